"""Refusals name the largest length that compiles; models with tight bounds are certified."""

from types import SimpleNamespace

import pytest

from tracr_lite.certifying.certify import certify
from tracr_lite.compiler import compile_rasp_to_model, settling
from tracr_lite.errors import CompileError, Problem
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program

REFUSED = CompileError("lower", [Problem("map_1", "too close", "write something else")])


@pytest.mark.parametrize("largest", [1, 2, 5, 6, 30, 99])
def test_the_largest_length_is_found_by_bisection(largest):
    tried = []

    def compile_at(n):
        tried.append(n)
        if n > largest:
            raise REFUSED

    found = settling.with_length(REFUSED, compile_at, 100, 0.0)
    assert found.hint == f"the largest max_seq_len that compiles is {largest}, not 100"
    assert found.problems == REFUSED.problems
    assert str(found).endswith(found.hint)
    assert len(tried) <= 8


def test_nothing_is_said_where_no_length_works():
    tried = []

    def compile_at(n):
        tried.append(n)
        raise REFUSED

    assert settling.with_length(REFUSED, compile_at, 100, 0.0) is REFUSED
    assert tried == [1]


@pytest.mark.parametrize(
    ("seconds", "said"), [(2.0, "at least 75"), (4.0, "at least 50"), (9.0, "at least 1")]
)
def test_a_search_that_takes_too_long_says_what_it_knows(monkeypatch, seconds, said):
    """Each compilation takes so many seconds of CPU time, and the search stops after five."""
    spent = []
    clock = SimpleNamespace(process_time=lambda: sum(spent))
    monkeypatch.setattr(settling, "time", clock)
    found = settling.with_length(REFUSED, lambda n: spent.append(seconds), 100, 0.0)
    assert f"{said}, not 100" in found.hint


def close_together(n):
    """Means of numbers that are too close for float32 as soon as there are several."""
    large = rasp.Map(lambda x: 2.0**30 + x, rasp.tokens)
    everywhere = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)
    return rasp.Map(lambda x: x > 2.0**30 + 0.4, rasp.Aggregate(everywhere, large))


def test_a_refusal_names_the_length_that_compiles():
    with pytest.raises(CompileError) as caught:
        compile_rasp_to_model(close_together(6), {0, 1}, 6)
    assert "the largest max_seq_len that compiles is" in str(caught.value)
    largest = int(caught.value.hint.split(" is ")[1].split(",")[0])
    compile_rasp_to_model(close_together(6), {0, 1}, largest)
    with pytest.raises(CompileError):
        compile_rasp_to_model(close_together(6), {0, 1}, largest + 1)


def doubtful_seeds():
    """Random programs whose bounds are tight, however they are lowered."""
    return [3044, 3119]


@pytest.mark.parametrize("seed", doubtful_seeds())
def test_models_with_tight_bounds_are_certified(seed):
    sample = sample_program(seed)
    model = compile_rasp_to_model(
        sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
    )
    assert certify(model).holds


def test_a_doubtful_model_without_a_certificate_is_refused(monkeypatch):
    """If the bounds were worse than they are: the refusal says which node, and what to do."""
    sample = sample_program(3119)
    monkeypatch.setattr(settling, "_doubtful", lambda model: True)

    class Failing:
        def why_not(self):
            return ["aggregate_1: may be off by 2, but only 1 is tolerated"]

    monkeypatch.setattr("tracr_lite.certifying.certify.certify", lambda model: Failing())
    with pytest.raises(CompileError, match="certify: 1 problem") as caught:
        compile_rasp_to_model(
            sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
        )
    assert caught.value.problems[0].node == "aggregate_1"
    assert caught.value.problems[0].suggestion == "use a smaller max_seq_len"


def test_large_doubtful_models_are_lowered_cleaner_before_they_are_certified(monkeypatch):
    """What is returned is consistent with its trace, whichever attempt it comes from."""
    sample = sample_program(1190)  # attention reads one-hots with errors
    doubtful = []

    def first_only(model):
        doubtful.append(model.trace.layers.blocks.clean)
        return not model.trace.layers.blocks.clean

    monkeypatch.setattr(settling, "_doubtful", first_only)
    request = sample.program, sample.vocab, sample.max_seq_len
    assert not compile_rasp_to_model(*request, causal=sample.causal).trace.layers.blocks.clean
    monkeypatch.setattr(settling, "QUICK", 0)
    model = compile_rasp_to_model(*request, causal=sample.causal)
    assert model.trace.layers.blocks.clean
    assert certify(model).holds
    assert doubtful.count(True) == 1
