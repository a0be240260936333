"""Bounded gates, indices by rotary angles, bfloat16: what they hold, and what they refuse."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from tests.targets.runtimes import inputs, transformers_of, wrong
from tracr_lite.errors import CompileError
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.sampling import sample_program
from tracr_lite.targets import compile_rasp_to_gpt2, compile_rasp_to_llama, steps
from tracr_lite.targets.forward import logits as numpy_logits

INDICES_PLUS = rasp.SequenceMap(lambda i, x: f"{i}{x}", rasp.indices, rasp.tokens)


def check(model, program, vocab, size, seed=0):
    """0 wrong positions under numpy."""
    run = causal_eval.evaluate
    given = inputs(vocab, size, 6, seed)
    bad, _, error = wrong(
        model, lambda ids: numpy_logits(model, ids), lambda xs: run(program, xs), given
    )
    assert (bad, error < 1e-3) == (0, True)


def program_of(name):
    module = importlib.import_module(f"programs.{name}")
    return module.PROGRAM, module.VOCAB


@pytest.mark.parametrize("options", [{"mode": "bounded"}, {"indices": "rope"}], ids=str)
def test_random_programs_with_options(options):
    compiled = 0
    for seed in range(1000, 1060):
        sample = sample_program(seed)
        try:
            model = compile_rasp_to_llama(
                sample.program, sample.vocab, sample.max_seq_len, causal=True, **options
            )
        except CompileError:
            continue
        check(model, sample.program, sample.vocab, sample.max_seq_len, seed)
        compiled += 1
    assert compiled >= 25


def test_random_programs_in_gpt2():
    compiled = 0
    for seed in range(1000, 1060):
        sample = sample_program(seed)
        try:
            model = compile_rasp_to_gpt2(
                sample.program, sample.vocab, sample.max_seq_len, causal=True
            )
        except CompileError:
            continue
        check(model, sample.program, sample.vocab, sample.max_seq_len, seed)
        compiled += 1
    assert compiled >= 25


@pytest.mark.parametrize("name", ["hist", "induction_head", "frac_prevs", "generate_copy"])
def test_transformers_runs_gpt2(name):
    pytest.importorskip("transformers")
    program, vocab = program_of(name)
    model = compile_rasp_to_gpt2(program, vocab, 16, causal=True)
    given = inputs(vocab, 16, 5, 0)
    bad, _, error = wrong(
        model, transformers_of(model), lambda xs: causal_eval.evaluate(program, xs), given
    )
    assert (bad, error < 1e-3) == (0, True)


@pytest.mark.parametrize(
    "compiler", [compile_rasp_to_llama, compile_rasp_to_gpt2], ids=["llama", "gpt2"]
)
@pytest.mark.parametrize("name", ["previous_token", "hist", "bracket_depth", "reverse"])
def test_transformers_runs_bfloat16(name, compiler):
    pytest.importorskip("transformers")
    program, vocab = program_of(name)
    model = compiler(program, vocab, 30, causal=True, dtype="bfloat16")
    assert model.dtype == model.config["torch_dtype"] == "bfloat16"
    given = inputs(vocab, 30, 5, 0)
    run = transformers_of(model, dtype="bfloat16")
    bad, _, _ = wrong(model, run, lambda xs: causal_eval.evaluate(program, xs), given)
    assert bad == 0


def test_bounded_gates_stay_above_the_overflow_of_the_exponential():
    program, vocab = program_of("bracket_depth")
    model = compile_rasp_to_llama(program, vocab, 40, causal=True, mode="bounded")
    lowest = []

    def gates(x):
        lowest.append(float(x.min()))
        return x / (np.float32(1) + np.exp(-x))

    from tracr_lite.targets import forward

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forward, "_silu", gates)
        check(model, program, vocab, 40)
    assert -88 <= min(lowest) < -40


def test_rotary_indices_take_square_root_of_n_heads():
    model = compile_rasp_to_llama(INDICES_PLUS, "ab", 49, causal=True, indices="rope")
    place = next(node for node in model.nodes if node.label == "indices")
    assert len(place.heads) == 12
    check(model, INDICES_PLUS, "ab", 49)


def test_bfloat16_refuses_counts_past_127_with_the_largest_length():
    count = rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ))
    with pytest.raises(CompileError, match="max_seq_len=127, the largest") as error:
        compile_rasp_to_llama(count, "ab", 150, causal=True, dtype="bfloat16")
    assert "bfloat16" in str(error.value)
    compile_rasp_to_llama(count, "ab", 127, causal=True, dtype="bfloat16")


def test_bfloat16_refuses_rotary_indices_past_256():
    with pytest.raises(CompileError, match="max_seq_len=256, the largest"):
        compile_rasp_to_llama(
            INDICES_PLUS, "a", 300, causal=True, dtype="bfloat16", indices="rope"
        )


def test_bfloat16_refuses_averages_it_cannot_tell_apart():
    program, vocab = program_of("frac_prevs")
    with pytest.raises(CompileError, match="too close to be told apart in bfloat16"):
        compile_rasp_to_llama(program, vocab, 30, causal=True, dtype="bfloat16")


def test_choices_are_named_in_the_refusal():
    with pytest.raises(CompileError, match="float32, bfloat16"):
        compile_rasp_to_llama(rasp.tokens, "ab", 4, dtype="float16")
    with pytest.raises(CompileError, match="wide"):
        compile_rasp_to_llama(rasp.tokens, "ab", 4, dtype="bfloat16", mode="bounded")


@pytest.mark.parametrize("name", ["hist", "induction_head", "bracket_depth"])
def test_counts_decoded_digit_by_digit_are_as_exact(name, monkeypatch):
    monkeypatch.setattr(steps, "DIGITS", 5)  # past 512 values by default
    program, vocab = program_of(name)
    model = compile_rasp_to_llama(program, vocab, 40, causal=True)
    given = inputs(vocab, 40, 6, 0)
    bad, _, error = wrong(
        model,
        lambda ids: numpy_logits(model, ids),
        lambda xs: causal_eval.evaluate(program, xs),
        given,
    )
    assert (bad, error) == (0, 0.0)


@pytest.mark.parametrize("compiler", [compile_rasp_to_llama, compile_rasp_to_gpt2])
@pytest.mark.parametrize(
    ("end", "why"),
    [("a", "is a token"), ("END", "no output"), (True, "no output"), ([], "no output")],
)
def test_an_end_at_which_nothing_stops_is_refused(compiler, end, why):
    program = rasp.Map(lambda x: {"a": "a", "b": 1, "c": None}[x], rasp.tokens)
    with pytest.raises(CompileError, match=why) as error:
        compiler(program, "abc", 3, end=end)
    assert [problem.node for problem in error.value.problems] == ["end"]
    for good in (1, None):
        assert compiler(program, "abc", 3, end=good).vocabulary.end == 1
