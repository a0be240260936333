"""What a user is told: compiling, all problems at once; running, what is wrong where."""

import pickle

import numpy as np
import pytest

from tests.compiler.checking import BOS, compiled
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.errors import (
    CompileError,
    InputError,
    InvalidValueSetError,
    Problem,
    TracrLiteError,
)
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import Aggregate, Comparison, Map, Select, SequenceMap, numerical

T, I = rasp.tokens, rasp.indices
EVERYWHERE = Select(I, I, Comparison.TRUE)
BEFORE = Select(I, I, Comparison.LT)
PAIRS = SequenceMap(lambda x, y: (x, y), T, Aggregate(BEFORE, T, default=1))


def refuse(program, vocab=(1, 2), n=3, **options):
    with pytest.raises(CompileError) as error:
        compile_rasp_to_model(program, vocab, n, **options)
    return error.value


# Compiling


def test_a_table_of_positions_that_nobody_can_hold_is_refused():
    (problem,) = refuse(T, n=10**9).problems
    assert (problem.node, problem.suggestion) == ("max_seq_len", "use less")
    assert "1,000,000,000 is more than 32,768" in problem.reason


@pytest.mark.parametrize("causal", ["no", None, 1, ()])
def test_causal_is_a_truth_value(causal):
    (problem,) = refuse(T, causal=causal).problems
    assert (problem.node, problem.reason) == ("causal", f"{causal!r} is no truth value")


def test_all_problems_of_a_program_are_listed_with_node_reason_and_suggestion():
    a = Map(lambda x: [x], T).named("a")
    b = Map(lambda x: float("inf"), I).named("b")
    c = Aggregate(EVERYWHERE, T, default={}).named("c")
    d = Map(lambda x: x, a, simplify=False).named("d")  # only because of a: not a problem
    pairs = SequenceMap(max, SequenceMap(max, a, b), SequenceMap(max, c, d))
    problems = refuse(SequenceMap(max, pairs, Aggregate(BEFORE, T, default={}))).problems
    assert [p.node.rsplit("_", 1)[0] for p in problems] == ["a", "b", "c", "aggregate"]
    assert ["[1]" in problems[0].reason, "inf" in problems[1].reason] == [True, True]
    assert all(isinstance(p, Problem) and p.suggestion for p in problems)


def test_all_nodes_that_have_no_exact_block_are_listed():
    first = Map(lambda x: x % 1, Aggregate(EVERYWHERE, T + 2**30)).named("first")
    second = Map(lambda x: x % 2, Aggregate(BEFORE, T + 2**30)).named("second")
    error = refuse(SequenceMap(lambda x, y: (x, y), Map(bool, first), second))
    assert error.stage == "lower"
    assert len({p.node for p in error.problems}) == len(error.problems) == 2
    assert all("too close" in p.reason and p.suggestion for p in error.problems)


def test_all_wrong_arguments_are_listed():
    error = refuse(T, [[1], float("nan"), "p"], 0, compiler_bos="p", compiler_pad="p")
    found = [p.node for p in error.problems]
    assert found.count("vocab") == 4
    assert {"max_seq_len", "compiler_pad"} <= set(found)


def test_the_text_of_a_refusal_is_a_list_for_people():
    error = refuse(Map(lambda x: [x], T).named("boxes"), [1])
    assert str(error) == (
        "infer: 1 problem(s); nothing was compiled\n"
        "  - boxes_1: it can hold the unhashable value [1]\n"
        "      try: return a tuple instead"
    )
    assert error.stage == "infer"


CAUGHT = [NotImplementedError, ValueError, TracrLiteError, CompileError, InvalidValueSetError]


@pytest.mark.parametrize("kind", CAUGHT)
def test_a_refusal_is_caught_as(kind):
    with pytest.raises(kind):
        compile_rasp_to_model(Map(lambda x: [x], T), {1}, 3)


def test_a_refusal_survives_pickling():
    error = refuse(Map(lambda x: [x], T))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.problems) == (
        type(error),
        str(error),
        error.problems,
    )


NO_PROGRAMS = [EVERYWHERE, 3, None, "x", len, [T]]


@pytest.mark.parametrize("program", NO_PROGRAMS, ids=lambda p: type(p).__name__)
def test_what_is_no_sop_is_refused(program):
    assert "expected an S-Op" in str(refuse(program))


WRONG_LENGTHS = [0, -1, 2.5, True, "3", None]


@pytest.mark.parametrize("n", WRONG_LENGTHS, ids=repr)
def test_a_wrong_max_seq_len_is_refused(n):
    (problem,) = refuse(T, {1}, n).problems
    assert problem.node == "max_seq_len"
    assert repr(n) in problem.reason


@pytest.mark.parametrize("n", [np.int64(3), np.int32(3)], ids=repr)
def test_a_numpy_integer_is_a_max_seq_len(n):
    assert compile_rasp_to_model(lib.make_length(), {1}, n).apply([BOS, 1]).decoded == [BOS, 1]


@pytest.mark.parametrize("name", ["compiler_bos", "compiler_pad"])
@pytest.mark.parametrize("value", [[1], {}, float("nan")], ids=repr)
def test_a_special_token_that_cannot_be_a_token_is_refused(name, value):
    (problem,) = refuse(T, {1}, 3, **{name: value}).problems
    assert problem.node == name


def test_constants_that_fit_no_length_are_refused():
    program = rasp.ConstantSOp([1, 2, 3])
    assert "fit no input length" in str(refuse(program, n=2))
    two = rasp.ConstantSOp([1, 2])
    assert "fit no input length" in str(refuse(SequenceMap(max, program, two)))


def test_too_many_values_are_refused_with_their_count():
    wide = SequenceMap(lambda x, y: (x, y), Aggregate(BEFORE, T, default=0), PAIRS)
    error = refuse(Map(hash, wide, simplify=False), tuple(range(1, 4000, 7)), 12)
    assert any(character.isdigit() for character in error.problems[0].reason)
    assert isinstance(error, InvalidValueSetError)


def test_nothing_is_built_when_a_program_is_refused(monkeypatch):
    monkeypatch.setattr("tracr_lite.compiler.compiling.assemble", None)
    refuse(numerical(Map(str, T)))
    refuse(Map(lambda x: [x], T))


def test_an_error_in_a_users_function_is_not_swallowed_where_every_input_meets_it():
    """The evaluator raises on every input, so any model would do; compiling must not crash."""
    program = Map(lambda x: x.nothing, T)
    model = compiled(program, (1, 2), 3)
    assert len(model.apply([BOS, 1]).decoded) == 2


# Running

MODEL_ARGUMENTS = (lib.make_reverse(T), ("a", "b"), 4)
WRONG_INPUTS = {
    "unknown": ([BOS, "a", "z"], ["unknown token 'z'", "position 2", "'a', 'b'"]),
    "unknown_none": ([BOS, None], ["unknown token None", "position 1"]),
    "unhashable": ([BOS, ["a"]], ["['a']", "position 1"]),
    "too_long": ([BOS, *"ababa"], ["5 tokens", "max_seq_len = 4"]),
    "empty": ([], ["empty", f"must start with '{BOS}'"]),
    "no_bos": (["a", "b"], ["starts with 'a'", f"must start with '{BOS}'"]),
    "text": ("ab", ["starts with 'a'"]),
    "bos_in_the_middle": ([BOS, "a", BOS, "b"], [f"'{BOS}' at position 2", "position 0"]),
    "two_bos": ([BOS, BOS], ["position 1"]),
    "pad": ([BOS, "a", "compiler_pad"], ["'compiler_pad' at position 2", "pads by itself"]),
}
every_wrong_input = pytest.mark.parametrize("name", WRONG_INPUTS)


@every_wrong_input
@pytest.mark.parametrize("method", ["apply", "predict", "apply_batch"])
def test_a_wrong_input_is_refused_with_token_position_and_limit(name, method):
    model, (xs, words) = compiled(*MODEL_ARGUMENTS), WRONG_INPUTS[name]
    with pytest.raises(InputError) as error:
        getattr(model, method)([[BOS, "a"], xs] if method == "apply_batch" else xs)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("kind", [ValueError, KeyError, TracrLiteError])
def test_a_wrong_input_is_caught_as(kind):
    with pytest.raises(kind):
        compiled(*MODEL_ARGUMENTS).apply([BOS, "z"])


def test_forward_refuses_more_tokens_than_there_are_positions():
    model = compiled(*MODEL_ARGUMENTS)
    with pytest.raises(ValueError, match=r"9.*5"):
        model.forward(model.params, np.zeros((1, 9), int))


def test_a_full_input_and_one_of_one_token_are_fine():
    model = compiled(*MODEL_ARGUMENTS)
    assert model.apply([BOS, *"abbb"]).decoded == [BOS, *"bbba"]
    assert model.apply([BOS, "b"]).decoded == [BOS, "b"]


def test_an_empty_batch_has_no_answers():
    assert compiled(*MODEL_ARGUMENTS).apply_batch([]) == []
