"""Values go to JSON and back as they are: same value, same type, same bits."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracr_lite.compiler.values.domain import typed_key
from tracr_lite.rasp.json_values import EXACT, from_json, to_json

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec=None), max_size=5),  # surrogates too
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3).map(tuple))


@given(VALUES)
@example(10**5000)
@example("\ud83d\ude00")
@example((1, 1.0, True, ("1", None), (), -0.0, 5e-324))
@example(EXACT)
@example(1 - EXACT)
def test_a_value_comes_back_with_its_type(value):
    text = json.dumps(to_json(value), allow_nan=False)
    assert typed_key(from_json(json.loads(text))) == typed_key(value)


@given(VALUES, VALUES)
def test_different_values_are_written_differently(one, two):
    same = typed_key(one) == typed_key(two)
    assert (json.dumps(to_json(one)) == json.dumps(to_json(two))) == same


def nested(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, math.nan, [1], {1}, b"a", 1j, (1, [2]), nested(10**5)],
    ids=type,
)
def test_what_is_no_value_of_rasp_is_refused(value):
    with pytest.raises(ValueError, match=r"finite|of type|100 deep"):
        to_json(value)


WRONG = [
    [],
    [1],
    {},
    {"tuple": 1},
    {"tuple": {}},
    {"tuple": [[]]},
    {"tuple": [], "int": "0x1"},
    {"list": []},
    {"int": 5},
    {"int": "0x10"},
    {"int": "0x0020000000000000"},
    {"int": "0X20000000000000"},
    {"int": "20000000000000"},
    {"codes": [97]},
    {"codes": []},
    {"codes": [0xD800, 0x110000]},
    {"codes": [0xD800, -1]},
    {"codes": [0xD800, True]},
    {"codes": "\ud800"},
    "\ud800",
    2**53,
    math.inf,
    math.nan,
]


@pytest.mark.parametrize("found", WRONG, ids=ascii)
def test_what_nobody_wrote_is_refused(found):
    with pytest.raises(ValueError, match=r"stands for|written as|finite|codes|integer"):
        from_json(found)


def test_json_that_is_nested_too_deeply_is_refused():
    found = {"tuple": []}
    for _ in range(10**5):
        found = {"tuple": [found]}
    with pytest.raises(ValueError, match="100 deep"):
        from_json(found)


def test_tuples_may_be_nested_a_hundred_deep():
    assert from_json(to_json(nested(99))) == nested(99)
    with pytest.raises(ValueError, match="100 deep"):
        to_json(nested(100))
