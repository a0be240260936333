"""Every construct that the evaluator evaluates compiles, alone and inside of a program."""

import pytest

from tests.compiler.checking import check, compiled, interpreted, run
from tests.compiler.constructs import (
    BEFORE,
    LARGE,
    MIXED,
    NUMBER,
    NUMBERS,
    ON_LARGE,
    ON_MIXED,
    ON_NUMBERS,
    PREVIOUS,
    SAME,
    UP_TO,
    I,
    T,
    pair,
    show,
)
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.errors import CompileError
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import (
    Aggregate,
    Comparison,
    ConstantSOp,
    Full,
    Map,
    Select,
    SelectorWidth,
    SequenceMap,
    numerical,
)


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("name", ON_NUMBERS)
def test_every_construct_compiles_and_agrees(name, causal):
    assert check(ON_NUMBERS[name], NUMBERS, 4, causal=causal) > 2


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("name", ON_MIXED)
def test_values_of_all_types_live_in_one_vocabulary(name, causal):
    assert check(ON_MIXED[name], MIXED, 2, causal=causal) > 5


@pytest.mark.parametrize("name", ON_LARGE)
def test_values_may_outnumber_keys(name):
    assert check(ON_LARGE[name], LARGE, 3) > 100


DEFAULTS = [None, 0, -1, 2.5, True, "x", (1, "a"), ()]


@pytest.mark.parametrize("default", DEFAULTS, ids=repr)
@pytest.mark.parametrize(
    "inner", [T, NUMBER, Map(str, T), Map(lambda x: None, T)], ids=["int", "num", "str", "none"]
)
def test_a_default_of_any_type_answers_where_nothing_is_selected(inner, default):
    assert check(Aggregate(SAME & BEFORE, inner, default=default), NUMBERS, 3) > 30


@pytest.mark.parametrize("default", DEFAULTS, ids=repr)
def test_a_default_keeps_its_type_in_the_functions_that_read_it(default):
    copied = Aggregate(PREVIOUS, T, default=default)
    assert check(Map(show, copied, simplify=False), NUMBERS, 3) > 30


@pytest.mark.parametrize("default", [*DEFAULTS, 1.0], ids=repr)
def test_a_default_keeps_its_type_beside_a_mean(default):
    mean = Aggregate(BEFORE, T, default=default)
    assert check(Map(show, mean, simplify=False), NUMBERS, 3) > 30


def test_tokens_that_are_equal_give_one_value():
    assert run(compiled(T, (True, 0), 3), [[True, 0, True]]) == [[True, 0, True]]


@pytest.mark.parametrize("program", [rasp.length, rasp.length - I, numerical(rasp.length)])
def test_length_is_refused_in_a_causal_model(program):
    with pytest.raises(CompileError, match="how long its input will be"):
        compile_rasp_to_model(program, set("ab"), 4, causal=True)


def test_length_compiles_where_every_position_sees_it():
    assert check(rasp.length, "ab", 5) > 30
    assert check(SequenceMap(pair, rasp.length - I, T), "ab", 5) > 30


def test_an_unused_length_is_no_problem_in_a_causal_model():
    assert check(Map(lambda n: "x", rasp.length), "ab", 3, causal=True) > 10


def refused(program, vocab=(1, 2)):
    with pytest.raises(CompileError) as error:
        compile_rasp_to_model(program, vocab, 3)
    return str(error.value)


REFUSED = {
    "text_as_number": (numerical(Map(str, T)), "numerical, but can hold '1'"),
    "tuple_as_number": (numerical(Map(lambda x: (x,), T)), "numerical, but can hold (1,)"),
    "list": (Map(lambda x: [x], T), "unhashable value [1]"),
    "list_as_default": (Aggregate(PREVIOUS, T, default=[]), "unhashable value []"),
    "list_in_constant": (ConstantSOp([[0], 1, 2]), "unhashable value [0]"),
    "list_in_full": (Full([0]), "unhashable value [0]"),
    "object": (Map(lambda x: {x}.__class__, T), "of type type"),
    "complex": (Map(complex, T), "of type complex"),
    "infinity": (Map(lambda x: float("inf"), T), "non-finite number inf"),
    "nan": (numerical(Map(lambda x: float("nan"), T)), "non-finite number nan"),
    "infinite_default": (Aggregate(PREVIOUS, T, default=float("-inf")), "non-finite"),
    "float32_overflow": (numerical(T * 1e300), "outside the range of float32"),
    "float32_resolution": (Map(lambda x: x % 1, Aggregate(UP_TO, T + 2**30)), "too close"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_exact_form_is_refused_with_the_reason(name):
    program, reason = REFUSED[name]
    assert reason in refused(program)


REFUSED_VOCABULARIES = {
    "empty": ([], "it is empty"),
    "bos": (["a", "compiler_bos"], "compiler_bos 'compiler_bos' is a token too"),
    "pad": (["a", "compiler_pad"], "compiler_pad 'compiler_pad' is a token too"),
    "nan": ([float("nan")], "non-finite number nan"),
    "list": ([["a"]], "unhashable value ['a']"),
    "number": (5, "no collection"),
}


@pytest.mark.parametrize("name", REFUSED_VOCABULARIES)
def test_a_vocabulary_that_cannot_be_is_refused_with_the_reason(name):
    vocab, reason = REFUSED_VOCABULARIES[name]
    assert reason in refused(T, vocab)


VOCABULARIES = [set("ab"), "ab", ["b", "a", "b"], ("a", "b"), {"a": 1, "b": 2}, iter("ab")]


@pytest.mark.parametrize("vocab", VOCABULARIES, ids=lambda v: type(v).__name__)
def test_any_iterable_is_a_vocabulary(vocab):
    model = compile_rasp_to_model(lib.make_reverse(T), vocab, 3)
    assert run(model, ["abb"]) == [["b", "b", "a"]]


def test_equality_of_two_sops_is_that_of_their_elements():
    assert run(compiled(T == I, (0, 1), 3), [[0, 0, 1]]) == [[True, False, False]]


def test_a_selector_of_values_that_no_input_has():
    """The evaluator raises on every input, so the model may answer anything."""
    fails = Map(lambda x: 1 / 0, T)
    equal = [Select(keys, queries, Comparison.EQ) for keys, queries in ((fails, T), (T, I))]
    program = SelectorWidth(equal[0] | equal[1])
    assert interpreted(program, "ab") is None
    assert len(run(compiled(program, ("a", "b"), 2), ["ab"])[0]) == 2
