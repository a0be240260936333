"""verify: each disagreement is found and shown at its smallest; nothing else is counted."""

import dataclasses
import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

import tracr_lite
from tests.verifying.models import (
    BEFORE,
    MEAN,
    PREVIOUS,
    REVERSE,
    I,
    T,
    compiled,
    edited,
    scaled,
)
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.errors import CompileError, InputError, TracrLiteError
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program
from tracr_lite.transformer.encoder import CategoricalEncoder
from tracr_lite.verifying import VerifyError, verify

AB = ("a", "b")


def every(vocab, n):
    return [list(xs) for m in range(1, n + 1) for xs in itertools.product(vocab, repeat=m)]


def backwards(xs):
    return xs[::-1]


def test_it_is_exported():
    assert tracr_lite.verify is verify


def test_all_inputs_are_tried_if_they_are_few():
    report = verify(compiled(REVERSE, AB, 4))
    assert report.exhaustive
    assert report.agrees
    assert report.tried == report.compared == report.space == 2 + 4 + 8 + 16
    assert report.positions == 2 * 1 + 4 * 2 + 8 * 3 + 16 * 4
    assert (report.mismatches, report.raised, report.smallest) == (0, 0, None)
    assert report.lengths == (1, 2, 3, 4)


def test_the_program_can_be_any_function():
    assert verify(compiled(REVERSE, AB, 4), backwards).agrees


def test_one_wrong_input_of_all_is_found():
    def almost(xs):
        return ["a", "b", "b"] if xs == ["b", "a", "b"] else backwards(xs)

    report = verify(compiled(REVERSE, AB, 5), almost)
    assert (report.mismatches, report.agrees) == (1, False)
    (failure,) = report.failures
    assert failure.tokens == ("b", "a", "b")
    assert (failure.expected, failure.found) == (("a", "b", "b"), ("b", "a", "b"))
    assert failure.positions == (0, 1)


def test_mismatches_are_those_that_a_loop_finds():
    model = scaled(compiled(REVERSE, AB, 4), "transformer/layer_1/attn/query", 0.01)
    wrong = [xs for xs in every(AB, 4) if model.predict(["compiler_bos", *xs]) != backwards(xs)]
    report = verify(model, REVERSE)
    assert report.mismatches == len(wrong) > 0
    assert len(report.smallest.tokens) == min(map(len, wrong))
    assert len(report.failures) == min(len(wrong), 10)


@pytest.mark.parametrize("sample", [False, True])
def test_the_smallest_failure_cannot_be_made_smaller(sample):
    """Wrong where `c` stands before `b` somewhere: the smallest such input is c b."""

    def program(xs):
        wrong = any(x == "c" and "b" in xs[at:] for at, x in enumerate(xs))
        return [0] * len(xs) if wrong else list(xs)

    options = {"budget": 0, "samples": 300} if sample else {}
    report = verify(compiled(T, ("a", "b", "c"), 9), program, **options)
    assert report.exhaustive is not sample
    assert report.smallest.tokens == ("c", "b")
    assert report.minimal


def test_a_function_that_calls_exit_is_no_agreement():
    program = rasp.Map(lambda x: sys.exit(0) if x == "a" else x, rasp.tokens)
    model = compile_rasp_to_model(program, ["a", "b"], 2)
    assert verify(model, program).raised == 4  # of the six inputs, those with an a
    with pytest.raises(SystemExit):
        program(["a"])


def test_inputs_on_which_the_program_raises_are_no_agreement():
    program = rasp.Map(lambda x: 1 // x, T)
    report = verify(compiled(program, (0, 1), 3))
    assert (report.tried, report.compared, report.raised) == (14, 3, 11)
    assert report.raised_at == ((0,), "ZeroDivisionError: integer division or modulo by zero")
    assert report.agrees
    assert "on which the program has a value" in report.verdict()


def test_nothing_compared_is_no_agreement():
    def program(xs):
        raise OverflowError("always")

    report = verify(compiled(T, AB, 2), program)
    assert (report.compared, report.mismatches, report.agrees) == (0, 0, False)
    assert "Nothing was compared" in str(report)


def test_a_causal_model_is_compared_with_the_causal_interpreter():
    count = rasp.SelectorWidth(rasp.Select(T, T, rasp.Comparison.EQ))
    model = compiled(count, AB, 4, causal=True)
    assert verify(model).agrees
    assert not verify(model, lambda xs: count(xs)).agrees


def test_none_is_not_zero_and_numbers_of_other_types_are_equal():
    model = compiled(PREVIOUS, (1, 2), 3)
    assert verify(model).agrees
    assert not verify(model, lambda xs: [0, *xs[:-1]]).agrees
    assert verify(model, lambda xs: [None, *map(float, xs[:-1])]).agrees


def test_lengths_on_which_constants_raise_are_left_out_for_the_compiled_program():
    program = rasp.SequenceMap(lambda x, y: (x, y), T, rasp.ConstantSOp([1, 2]))
    model = compiled(program, AB, 3)
    assert verify(model).lengths == (2,)
    report = verify(model, program)
    assert (report.lengths, report.raised, report.compared) == ((1, 2, 3), 10, 4)


def test_the_margin_is_the_least_gap_between_columns():
    model = compiled(REVERSE, AB, 3)
    shown = verify(model).margin.value
    assert 0.99 < shown <= 1.0
    soft = scaled(model, "transformer/layer_1/attn/query", 0.2)
    report = verify(soft, REVERSE)
    matrix, _ = model.unembedding
    gaps = []
    for xs in every(AB, 3):
        stream = np.asarray(soft.apply(["compiler_bos", *xs]).transformer_output)
        columns = np.sort((stream @ matrix)[0, 1:], axis=-1)
        gaps.append((columns[:, -1] - columns[:, -2]).min())
    assert report.margin.value == pytest.approx(min(gaps), rel=1e-4, abs=1e-7)
    tokens, position = list(report.margin.tokens), report.margin.position
    stream = np.asarray(soft.apply(["compiler_bos", *tokens]).transformer_output)
    columns = np.sort((stream @ matrix)[0, 1 + position])
    assert columns[-1] - columns[-2] == pytest.approx(min(gaps), rel=1e-4, abs=1e-7)


def test_errors_of_numbers_are_measured_before_they_are_snapped():
    model = compiled(MEAN, (1, 3), 4)
    report = verify(model)
    assert report.agrees
    assert 0 <= report.error.value < 1e-5
    off = edited(model, lambda p: p["transformer/layer_0/attn/linear"]["w"].__imul__(1.001))
    report = verify(off, MEAN)
    assert report.error.value == pytest.approx(0.003, rel=1e-3)
    assert report.relative_error.value == pytest.approx(0.001, rel=1e-2)
    assert report.agrees, "they are snapped to the right numbers"
    assert report.margin is not None, "None may be mistaken for a number"


def test_outputs_without_columns_have_no_error_and_without_none_no_margin():
    assert verify(compiled(REVERSE, AB, 2)).error is None
    report = verify(compiled(rasp.numerical(rasp.Map(lambda x: x / 7, T)), (1, 2), 2))
    assert report.margin is None
    assert report.error.value < 1e-6


def test_weights_that_are_not_finite_are_a_mismatch_with_no_margin():
    model = scaled(compiled(REVERSE, AB, 2), "transformer/layer_1/attn/value", np.nan)
    report = verify(model, REVERSE)
    assert report.mismatches > 0
    assert report.margin.value == 0.0


def test_biases_are_run_too():
    """They are in none of the pruned parameters."""

    def change(params):
        params["transformer/layer_1/attn/linear"]["b"][model.shape.readout.columns[0]] = 2.0

    model = compiled(REVERSE, AB, 3)
    report = verify(edited(model, change), REVERSE)
    assert report.smallest.tokens == ("b",)
    assert report.mismatches == 14 - 3, "all that have a b"


def test_all_parameters_can_be_run():
    assert verify(compiled(REVERSE, AB, 3), dense=True).agrees
    off = scaled(compiled(REVERSE, AB, 3), "transformer/layer_1/attn/linear", 0)
    sparse, dense = (verify(off, REVERSE, dense=each) for each in (False, True))
    assert sparse.mismatches == dense.mismatches > 0


def test_a_model_with_a_forward_pass_of_its_own():
    model = dataclasses.replace(compiled(REVERSE, AB, 3), shape=None, trace=None)
    report = verify(model, REVERSE, lengths=[2])
    assert report.agrees
    assert report.margin is None


def test_a_sample_is_drawn_where_inputs_are_many():
    model = compiled(PREVIOUS, ("a", "b", "c"), 20)
    report = verify(model, samples=500, seed=3)
    assert report.agrees
    assert (report.exhaustive, report.tried, report.seed) == (False, 500, 3)
    assert report.space == sum(3**n for n in range(1, 21))
    assert set(report.strata) == {
        "short", "all equal", "counts", "repeated", "ordered", "few tokens", "random",
    }  # fmt: skip
    assert "500 of" in str(report)


def test_a_rare_mismatch_of_long_inputs_is_found():
    """Wrong only where more than three quarters of at least 40 tokens are equal."""

    def program(xs):
        often = max(map(xs.count, set(xs)))
        return ["x"] * len(xs) if len(xs) >= 40 and often > 0.75 * len(xs) else list(xs)

    report = verify(compiled(T, tuple("abcdefgh"), 48), program, samples=600)
    assert report.mismatches > 0
    assert len(report.smallest.tokens) == 40
    assert set(report.smallest.tokens) == {"a"}


def test_inputs_can_be_given():
    model = compiled(REVERSE, AB, 4)
    report = verify(model, inputs=["ab", ("b",), ["a", "a", "b", "b"]])
    assert (report.tried, report.exhaustive, report.strata) == (3, False, {"given": 3})
    assert report.agrees
    assert verify(model, lengths=[2, 4]).compared == 4 + 16


@pytest.mark.parametrize(
    "inputs", [np.array([[3, 3, 2]]), [[np.int64(3), np.int16(3), 2]], [(3, 3, np.int8(2))]]
)
def test_inputs_of_numpy_are_the_values_that_they_hold(inputs):
    off = scaled(compiled(REVERSE, (1, 2, 3), 4), "transformer/layer_1/attn/query", 0.01)
    report = verify(off, inputs=inputs)
    assert report.mismatches == 1
    assert {type(x) for x in report.failures[0].tokens} == {int}
    assert report.smallest == verify(off, inputs=[[3, 3, 2]]).smallest


def test_equal_tokens_of_another_type_are_as_simple():
    off = scaled(compiled(REVERSE, (1, 2, 3), 4), "transformer/layer_1/attn/query", 0.01)
    basis = off.input_encoder.basis
    off.input_encoder = CategoricalEncoder(basis, True, "compiler_bos", "compiler_pad", 4)
    report = verify(off, inputs=[[2.0, 2.0, True]])
    assert report.mismatches == 1
    assert report.minimal


def test_worker_processes_find_the_same():
    shift = 1
    program = rasp.Map(lambda x: x + shift if x < 2 else 0, T)  # a closure
    model = compiled(program, (0, 1, 2), 3)
    here, there = (
        dataclasses.replace(verify(model, each, workers=w), seconds=0.0, program="")
        for each, w in ((program, 0), (program, 1))
    )
    assert here == there
    report = verify(model, lambda xs: [x + shift for x in xs], workers=1)
    assert report.mismatches == sum(2 in xs for xs in every((0, 1, 2), 3))


def test_a_program_that_cannot_be_sent_is_refused_with_advice():
    import threading

    lock = threading.Lock()
    with pytest.raises(VerifyError, match="workers=0"):
        verify(compiled(T, AB, 2), lambda xs: list(xs) if lock else xs, workers=1)


def test_the_report_is_a_table():
    text = str(
        verify(scaled(compiled(REVERSE, AB, 2), "transformer/layer_1/attn/value", 0), REVERSE)
    )
    assert re.search(r"inputs tried +6: all of 1 to 2 tokens over 2\n", text)
    assert re.search(r"smallest +on \['b'\] at position 0: the program says \['b'\]", text)
    assert text.endswith("They DIFFER.")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"budget": -1}, "budget must be a whole number, 0 or more; got -1"),
        ({"budget": 1.5}, "budget must be"),
        ({"budget": 0, "samples": 0}, "samples must be a whole number, 1 or more"),
        ({"samples": True}, "samples must be"),
        ({"workers": -1}, "workers must be"),
        ({"lengths": []}, "no lengths"),
        ({"lengths": [0]}, "a length must be"),
        ({"lengths": [9]}, "more than the model takes, 3 tokens"),
        ({"lengths": 3}, "whole numbers, such as"),
        ({"lengths": ["a"]}, "a length must be"),
        ({"lengths": [1, "a"]}, "whole numbers, such as"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": "ab"}, "sequences of tokens"),
        ({"inputs": [1, 2]}, "sequences of tokens"),
        ({"inputs": 5}, "sequences of tokens"),
        ({"program": rasp.Select(T, T, rasp.Comparison.EQ)}, "wrap it in"),
        ({"program": 3}, "a program is an S-Op, or a function"),
        ({"program": lambda xs: xs[1:]}, "gave 0 values for 1 tokens"),
    ],
)
def test_arguments_that_make_no_sense(options, what):
    with pytest.raises(VerifyError, match=what):
        verify(compiled(REVERSE, AB, 3), **options)


@pytest.mark.parametrize(
    ("xs", "what"),
    [
        (["a", "z"], "sequence 1 of the batch: unknown token 'z' at position 2"),
        (["a"] * 4, "4 tokens .* limit is max_seq_len = 3"),
        ([["a"]], "unhashable token"),
        (["compiler_bos"], "only be at position 0"),
        (["compiler_pad"], "leave it out"),
    ],
)
def test_inputs_that_the_model_does_not_take(xs, what):
    with pytest.raises(InputError, match=what):
        verify(compiled(REVERSE, AB, 3), inputs=[["a"], xs])


@pytest.mark.parametrize("tool", [verify, tracr_lite.blame])
@pytest.mark.parametrize("no_model", [REVERSE, None, "reverse", {}, 3])
def test_what_is_no_model(tool, no_model):
    with pytest.raises(VerifyError, match="the first argument is a compiled model; got"):
        tool(no_model, REVERSE)


def test_models_that_cannot_be_verified():
    model = compiled(REVERSE, AB, 3)
    with pytest.raises(VerifyError, match="does not know its program"):
        verify(dataclasses.replace(model, trace=None))
    with pytest.raises(VerifyError, match="takes ids, not tokens"):
        verify(dataclasses.replace(model, input_encoder=None))


MISFITS = [
    (lambda a: a[:-1], r"token_embed/embeddings has the shape \[3, \d+\]; it must be \[4, "),
    (lambda a: a.tolist(), "token_embed/embeddings is no array of real numbers"),
    (lambda a: None, "token_embed/embeddings is missing"),
    (lambda a: a.astype(object), "is no array of real numbers"),
    (lambda a: a.astype(np.complex64), "is no array of real numbers"),
    (lambda a: a.astype(">f4"), "is no array of real numbers that JAX can read"),
]


@pytest.mark.parametrize(("change", "what"), MISFITS)
def test_weights_that_do_not_fit_the_model(change, what):
    model = compiled(REVERSE, AB, 4)

    def spoil(params):
        group = params["token_embed"]
        group["embeddings"] = change(group["embeddings"])

    off = edited(model, spoil)
    for call in (
        lambda: verify(off),
        lambda: tracr_lite.blame(off, xs=["a"]),
        lambda: off.intervene({"tokens": "a"}).predict(["compiler_bos", "a"]),
    ):
        with pytest.raises(TracrLiteError, match=f"cannot be run: its parameter .*{what}"):
            call()
    for lacking in (lambda params: params.pop("pos_embed"), lambda params: params.clear()):
        with pytest.raises(VerifyError, match="is missing"):
            verify(edited(model, lacking))


def test_no_tokens_and_one_token():
    assert verify(compiled(REVERSE, AB, 3), inputs=[[]]).compared == 1
    report = verify(compiled(REVERSE, ("a",), 1))
    assert (report.space, report.agrees) == (1, True)


def test_tokens_of_all_kinds():
    """None, numbers that equal bools, and tuples; those of other types are refused."""
    vocab = (None, True, 0, 2.5, "True", (1, "b"))
    program = rasp.Map(lambda x: (type(x).__name__, x), PREVIOUS, simplify=False)
    assert verify(compiled(program, vocab, 3)).agrees

    def program_without(xs):
        return [None if x == (1, "b") else x for x in xs]

    report = verify(compiled(T, vocab, 3), program_without)
    assert report.smallest.tokens == ((1, "b"),)
    with pytest.raises(InputError, match="of another type"):
        verify(compiled(T, vocab, 3), inputs=[[1]])


def test_a_space_that_no_float_can_count():
    model = compiled(T, tuple(range(30)), 400)
    report = verify(model, samples=20)
    assert report.space == sum(30**n for n in range(1, 401))
    assert "20 of about 1e590 of 1 to 400 tokens" in str(report)


def test_what_a_program_raises_takes_one_line():
    def program(xs):
        raise ValueError("first\nanother line")

    text = str(verify(compiled(T, AB, 1), program))
    assert "ValueError: first\n" in text
    assert "another line" not in text


def test_models_from_worker_processes_can_be_verified_and_taken_apart():
    (item,) = tracr_lite.compile_many([(REVERSE, AB, 3)], workers=1)
    assert verify(item.model).agrees
    assert item.model.circuit() == compiled(REVERSE, AB, 3).circuit()
    assert item.model.intervene({T: "a"}).predict(["compiler_bos", "b"]) == ["a"]
    off = scaled(item.model, "transformer/layer_1/attn/value", 0.0)
    assert str(tracr_lite.blame(off).culprits[0].writer) == "layer 1 head 0"


def test_jax_is_not_loaded_before_it_is_needed():
    code = "import sys, tracr_lite.cli.verify; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def check_random(seed):
    sample = sample_program(seed)
    try:
        model = compile_rasp_to_model(
            sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
        )
    except CompileError:
        return 0
    report = verify(model, budget=300, samples=150, seed=seed)
    assert not report.mismatches, f"seed {seed}\n{report}\n{sample.text}"
    return report.compared


def test_models_of_random_programs_agree():
    assert sum(check_random(f"verify {seed}") for seed in range(8)) > 300


@pytest.mark.heavy
def test_models_of_many_random_programs_agree():
    assert sum(check_random(f"verify more {seed}") for seed in range(300)) > 10_000


@pytest.mark.heavy
def test_long_inputs():
    width = rasp.SelectorWidth(rasp.Select(T, T, rasp.Comparison.EQ) & BEFORE)
    report = verify(compiled(rasp.SequenceMap(max, width, I), ("a", "b", "c"), 300))
    assert report.agrees
    assert max(report.lengths) == 300
