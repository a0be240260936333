"""Each operator, with a value or an S-Op at either side, against Python's own."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.rasp import rasp

XS = [3, 1, 2, 5]
ZS = [x * x - 7 for x in XS]  # 2, -6, -3, 18
CONSTANT = 2
OTHER = rasp.Map(lambda x: x * x - 7, rasp.tokens)

BINARY = [
    pytest.param(operator.add, operator.add, id="add"),
    pytest.param(operator.sub, operator.sub, id="sub"),
    pytest.param(operator.mul, operator.mul, id="mul"),
    pytest.param(operator.truediv, operator.truediv, id="truediv"),
    pytest.param(operator.floordiv, operator.floordiv, id="floordiv"),
    pytest.param(operator.mod, operator.mod, id="mod"),
    pytest.param(operator.pow, operator.pow, id="pow"),
    pytest.param(operator.and_, lambda x, y: x and y, id="and"),
    pytest.param(operator.or_, lambda x, y: x or y, id="or"),
    pytest.param(operator.eq, operator.eq, id="eq"),
    pytest.param(operator.ne, operator.ne, id="ne"),
    pytest.param(operator.lt, operator.lt, id="lt"),
    pytest.param(operator.le, operator.le, id="le"),
    pytest.param(operator.gt, operator.gt, id="gt"),
    pytest.param(operator.ge, operator.ge, id="ge"),
]


@pytest.mark.parametrize(("on_sops", "on_values"), BINARY)
def test_value_on_the_right(on_sops, on_values):
    assert on_sops(rasp.tokens, CONSTANT)(XS) == [on_values(x, CONSTANT) for x in XS]


@pytest.mark.parametrize(("on_sops", "on_values"), BINARY)
def test_value_on_the_left(on_sops, on_values):
    assert on_sops(CONSTANT, rasp.tokens)(XS) == [on_values(CONSTANT, x) for x in XS]


@pytest.mark.parametrize(("on_sops", "on_values"), BINARY)
def test_sops_on_both_sides(on_sops, on_values):
    expected = [on_values(x, z) for x, z in zip(XS, ZS, strict=True)]
    assert on_sops(rasp.tokens, OTHER)(XS) == expected
    expected = [on_values(z, x) for x, z in zip(XS, ZS, strict=True)]
    assert on_sops(OTHER, rasp.tokens)(XS) == expected


@pytest.mark.parametrize(
    ("on_sops", "on_values"),
    [
        (operator.neg, operator.neg),
        (operator.pos, operator.pos),
        (operator.abs, operator.abs),
        (operator.invert, operator.not_),
        (rasp.sop_not, operator.not_),
    ],
)
def test_unary(on_sops, on_values):
    assert on_sops(rasp.tokens)([3, 0, -2]) == [on_values(x) for x in [3, 0, -2]]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (3 | rasp.tokens, [3, 3, 3]),
        (0 | rasp.tokens, [0, "", 5]),
        (rasp.tokens | 3, [3, 3, 5]),
        (3 & rasp.tokens, [0, "", 5]),
        (rasp.tokens & 3, [0, "", 3]),
        (~rasp.tokens, [True, True, False]),
    ],
    ids=repr,
)
def test_and_or_not_are_those_of_python(program, expected):
    assert program([0, "", 5]) == expected


@given(st.lists(st.integers(-9, 9)), st.integers(-9, 9), st.integers(-9, 9))
def test_arithmetic_composes(xs, a, b):
    assert (a - (rasp.tokens + 1) * b)(xs) == [a - (x + 1) * b for x in xs]


def test_none_is_passed_on_by_every_operator():
    for program in (rasp.tokens + 1, rasp.tokens == None, -rasp.tokens):  # noqa: E711
        assert program([None]) == [None]
    assert (rasp.tokens < rasp.indices)([None, 0]) == [None, True]


def test_operators_work_on_strings():
    assert ("<" + rasp.tokens + ">")("ab") == ["<a>", "<b>"]
    assert ("b" < rasp.tokens)("abc") == [False, False, True]


def test_numpy_scalars_on_the_left_leave_the_operator_to_us():
    assert (np.int64(3) - rasp.tokens)([1, 2]) == [2, 1]


def test_kinds_of_nodes():
    assert isinstance(rasp.tokens == 1, rasp.Map)
    assert isinstance(rasp.tokens == rasp.indices, rasp.SequenceMap)


def test_equal_operations_have_equal_functions_and_hashes():
    assert (rasp.tokens + 1).f == (rasp.indices + 1).f
    assert hash((rasp.tokens + 1).f) == hash((rasp.indices + 1).f)
    assert (rasp.tokens < rasp.indices).f == (rasp.indices < rasp.tokens).f
    assert (~rasp.tokens).f == (~rasp.indices).f
    assert ((rasp.tokens + 1) * 2).f == ((rasp.indices + 1) * 2).f


@pytest.mark.parametrize(
    ("fst", "snd"),
    [(1, 1.0), (1, True), (0.0, -0.0), ((1, 2), (1, 2.0)), ("1", 1), (0, None)],
)
def test_constants_which_behave_differently_make_different_functions(fst, snd):
    assert (rasp.tokens * fst).f == (rasp.tokens * fst).f
    assert (rasp.tokens * fst).f != (rasp.tokens * snd).f


def test_sides_and_symbols_make_different_functions():
    functions = [(rasp.tokens - 1).f, (1 - rasp.tokens).f, (rasp.tokens + 1).f]
    assert len(set(functions)) == 3


def test_constants_need_not_be_hashable():
    program = rasp.tokens == [1]
    assert hash(program.f) == hash(program.f)
    assert program([1]) == [False]


def test_sops_can_be_keys_though_equality_is_elementwise():
    fst, snd = rasp.tokens + 1, rasp.tokens + 1
    assert {fst: "fst", snd: "snd"}[fst] == "fst"
    assert fst in [fst]


@pytest.mark.parametrize("expr", [rasp.tokens, rasp.Select(rasp.tokens, rasp.tokens, bool)])
def test_truth_value_is_refused_with_advice(expr):
    with pytest.raises(TypeError, match=r"use & \| ~"):
        bool(expr)


def test_selector_is_no_operand_of_a_sop():
    selector = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    for combine in (operator.add, operator.eq, operator.and_):
        with pytest.raises(TypeError):
            combine(rasp.tokens, selector)
    with pytest.raises(TypeError):
        _ = selector & rasp.tokens
