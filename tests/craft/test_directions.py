"""Basis directions and their order."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.craft.strategies import DIRECTIONS, VALUES
from tracr_lite.craft.bases import BasisDirection, sort_key
from tracr_lite.craft.directions import directions_of, sorted_basis

ORDERED = [
    None,
    float("-inf"),
    -1,
    0,
    0.5,
    True,
    2,
    10,
    float("inf"),
    "",
    "10",
    "2",
    "a",
    (),
    (1,),
]


@given(VALUES, VALUES)
def test_sort_keys_are_equal_iff_the_values_are(a, b):
    assert (sort_key(a) == sort_key(b)) == (a == b)


@given(VALUES, VALUES)
def test_exactly_one_of_less_equal_greater_holds(a, b):
    assert (sort_key(a) < sort_key(b)) + (a == b) + (sort_key(b) < sort_key(a)) == 1


@given(st.lists(VALUES, min_size=3, max_size=3))
def test_order_is_transitive(values):
    low, middle, high = sorted(values, key=sort_key)
    assert sort_key(low) <= sort_key(middle) <= sort_key(high)
    assert sort_key(low) <= sort_key(high)


def test_kinds_come_in_the_stated_order():
    assert sorted(reversed(ORDERED), key=sort_key) == ORDERED


@pytest.mark.parametrize(
    "value", [[1], {1}, b"a", 1j, np.float64(1), np.int64(1), ([],)], ids=repr
)
def test_other_types_are_refused(value):
    with pytest.raises(TypeError, match="basis values are"):
        sort_key(value)
    with pytest.raises(TypeError, match="basis values are"):
        BasisDirection("x", value)


@pytest.mark.parametrize(
    "value", [float("nan"), (1, float("nan")), (("a", float("nan")),)], ids=repr
)
def test_nan_is_refused(value):
    with pytest.raises(ValueError, match="NaN"):
        BasisDirection("x", value)


@given(DIRECTIONS, DIRECTIONS)
def test_direction_equality_hash_and_order_agree(a, b):
    assert (a == b) == (a.key == b.key) == (not a < b and not b < a)
    assert a != b or hash(a) == hash(b)


def test_true_and_one_are_one_direction():
    assert (
        len({BasisDirection("x", True), BasisDirection("x", 1), BasisDirection("x", 1.0)}) == 1
    )


def test_a_direction_is_not_its_text_or_tuple():
    assert BasisDirection("x", 1) != "x:1"
    assert BasisDirection("x", 1) != ("x", 1)


@pytest.mark.parametrize(
    ("direction", "text"),
    [
        (BasisDirection("one"), "one"),
        (BasisDirection("tokens", "a"), "tokens:a"),
        (BasisDirection("map_3", False), "map_3:False"),
        (BasisDirection("map_3", 0), "map_3:0"),
        (BasisDirection("map_3:None", None), "map_3:None"),
        (BasisDirection("pair", (1, "a")), "pair:(1, 'a')"),
    ],
)
def test_text_of_a_direction(direction, text):
    assert str(direction) == text


def test_a_direction_is_frozen():
    direction = BasisDirection("x", 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        direction.value = 2  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        direction.other = 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_a_direction_survives_copy_and_pickle(clone):
    direction = BasisDirection("x", (1, "a"))
    assert clone(direction) == direction
    assert hash(clone(direction)) == hash(direction)


@given(st.lists(DIRECTIONS, unique=True))
def test_a_basis_is_sorted_by_the_keys_of_its_directions(directions):
    assert list(sorted_basis(directions)) == sorted(directions, key=lambda d: d.key)


@given(st.lists(DIRECTIONS))
def test_directions_made_again_are_the_same(directions):
    names, values = [d.name for d in directions], [d.value for d in directions]
    again = directions_of(names, values)
    assert again == directions
    assert list(map(repr, again)) == list(map(repr, directions))
