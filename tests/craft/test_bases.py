"""Laws of vector spaces with named directions."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.craft.strategies import DIRECTIONS, SPACES, random_vector
from tracr_lite.craft import bases
from tracr_lite.craft.bases import BasisDirection, VectorInBasis, VectorSpaceWithBasis

ABC = VectorSpaceWithBasis.from_names(["a", "b", "c"])
AB = VectorSpaceWithBasis.from_names(["a", "b"])


@given(st.lists(DIRECTIONS, unique=True, max_size=8), st.randoms(use_true_random=False))
def test_order_of_the_basis_given_does_not_matter(directions, rng: random.Random):
    shuffled = rng.sample(directions, len(directions))
    first, second = VectorSpaceWithBasis(directions), VectorSpaceWithBasis(shuffled)
    assert first == second
    assert hash(first) == hash(second)
    assert list(map(repr, first.basis)) == list(map(repr, second.basis))
    assert list(first.basis) == sorted(directions)


def test_duplicates_are_refused_by_name():
    with pytest.raises(ValueError, match=r"given twice: v:(1|True), x$"):
        VectorSpaceWithBasis(
            [
                BasisDirection("x"),
                *(BasisDirection("v", v) for v in (2, True, 1)),
                BasisDirection("x"),
            ]
        )
    with pytest.raises(ValueError, match=r"given twice: a$"):
        VectorInBasis([BasisDirection("a"), BasisDirection("a")], np.zeros(2))


def test_from_values_takes_any_iterable():
    expected = VectorSpaceWithBasis([BasisDirection("t", v) for v in (None, 1, 3, "b")])
    assert VectorSpaceWithBasis.from_values("t", {3, "b", None, 1}) == expected
    assert VectorSpaceWithBasis.from_values("t", iter(["b", 1, None, 3])) == expected


@given(SPACES)
def test_index_and_basis_vectors_follow_the_basis(space):
    assert [space.index_by_direction[d] for d in space.basis] == list(range(space.num_dims))
    np.testing.assert_array_equal(space.indices_of(space), np.arange(space.num_dims))
    for direction, vector in zip(space.basis, space.basis_vectors(), strict=True):
        assert vector == space.vector_from_basis_direction(direction)
        assert (
            vector.magnitudes[space.index_by_direction[direction]]
            == 1
            == vector.magnitudes.sum()
        )


def test_indices_of_names_what_is_missing():
    with pytest.raises(ValueError, match="no direction c"):
        AB.indices_of(ABC)


@given(SPACES, SPACES)
def test_join_has_the_directions_of_both(v, w):
    join = bases.join_vector_spaces(v, w)
    assert join == bases.join_vector_spaces(w, v) == bases.join_vector_spaces(v, w, v)
    assert join.basis_set == v.basis_set | w.basis_set
    assert join == VectorSpaceWithBasis(join.basis_set)
    assert v.issubspace(join)
    assert (join == v) == w.issubspace(v)


@given(SPACES, SPACES)
def test_direct_sum_adds_dimensions_or_refuses(v, w):
    if v.basis_set & w.basis_set:
        with pytest.raises(ValueError, match="given twice"):
            bases.direct_sum(v, w)
    else:
        assert bases.direct_sum(v, w).num_dims == v.num_dims + w.num_dims
        assert bases.direct_sum(v, w) == bases.join_vector_spaces(v, w)


def test_join_and_sum_of_no_spaces_have_no_directions():
    assert bases.join_vector_spaces().num_dims == bases.direct_sum().num_dims == 0


@given(SPACES, SPACES, st.integers(0, 2))
def test_projecting_twice_is_projecting_once(v, w, rank):
    x = random_vector(v, *[2] * rank)
    once = x.project(w)
    assert once in w
    assert once.project(w) == once == x.project(list(w.basis)[::-1])
    shared = v.basis_set & w.basis_set
    assert np.count_nonzero(once.magnitudes) == len(shared) * 2**rank


def test_projection_copies_known_directions_and_zeroes_new_ones():
    x = AB.make_vector(np.array([[1.0, 2.0], [3.0, 4.0]]))
    bc = VectorSpaceWithBasis.from_names(["b", "c"])
    np.testing.assert_array_equal(x.project(bc).magnitudes, [[2.0, 0.0], [4.0, 0.0]])
    same = x.project(AB)
    same.magnitudes[0, 0] = 9
    assert x.magnitudes[0, 0] == 1


def test_unsorted_directions_take_their_magnitudes_along():
    x = VectorInBasis([BasisDirection("b"), BasisDirection("a")], np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(x.magnitudes, [[2.0, 1.0]])
    assert x == AB.make_vector(np.array([[2.0, 1.0]]))


def test_sorted_promise_is_believed():
    b_a = (BasisDirection("b"), BasisDirection("a"))
    x = VectorInBasis(b_a, np.array([1.0, 2.0]), _basis_is_sorted=True)
    assert x.basis_directions == b_a
    assert VectorSpaceWithBasis(b_a, _basis_is_sorted=True).basis == b_a


@given(SPACES)
def test_vector_algebra_is_numpy_algebra(space):
    x, y = random_vector(space, 3, seed=1), random_vector(space, 3, seed=2)
    np.testing.assert_array_equal((x + y).magnitudes, x.magnitudes + y.magnitudes)
    np.testing.assert_array_equal((x - y).magnitudes, x.magnitudes - y.magnitudes)
    assert 2 * x == x * 2 == np.float64(2) * x == x + x
    assert (x / 2) * 2 == x
    assert -x == space.make_vector(-x.magnitudes)
    assert VectorInBasis.sum([x, y]) == x + y


def test_vectors_over_different_directions_do_not_add():
    x, y = AB.null_vector(), ABC.null_vector()
    for combine in (lambda: x + y, lambda: x - y, lambda: VectorInBasis.sum([x, y])):
        with pytest.raises(TypeError, match=r"different directions: c$"):
            combine()
    with pytest.raises(TypeError, match="cannot add"):
        x + 1  # type: ignore[operator]
    assert x != y
    with pytest.raises(ValueError, match="empty"):
        VectorInBasis.sum([])


def test_add_directions_sums_over_the_directions_of_both():
    bc = VectorSpaceWithBasis.from_names(["b", "c"])
    both = AB.make_vector(np.array([1.0, 2.0])).add_directions(
        bc.make_vector(np.array([10.0, 20.0]))
    )
    assert both == ABC.make_vector(np.array([1.0, 12.0, 20.0]))


@pytest.mark.parametrize("axis", [0, 1, -2, -3])
def test_stack_keeps_the_basis_last(axis):
    x, y = random_vector(ABC, 2, seed=1), random_vector(ABC, 2, seed=2)
    stacked = VectorInBasis.stack([x, y], axis)
    np.testing.assert_array_equal(
        stacked.magnitudes, np.stack([x.magnitudes, y.magnitudes], axis)
    )


@pytest.mark.parametrize("axis", [-1, 2, 3, -4])
def test_stack_refuses_to_move_the_basis(axis):
    with pytest.raises(ValueError, match="axis"):
        VectorInBasis.stack([random_vector(ABC, 2)] * 2, axis)


@pytest.mark.parametrize("shape", [(), (2,), (3, 2)])
def test_magnitudes_must_fit_the_basis(shape):
    with pytest.raises(ValueError, match="axis of 3"):
        ABC.make_vector(np.zeros(shape))


def test_contains_asks_for_exactly_the_same_directions():
    assert BasisDirection("a") in AB
    assert BasisDirection("c") not in AB
    assert AB.null_vector() in AB
    assert AB.null_vector() not in ABC


def test_ensure_dims_names_the_space():
    bases.ensure_dims(AB, 2)
    with pytest.raises(ValueError, match="one_space must have 1 dimensions, but has 2"):
        bases.ensure_dims(AB, 1, "one_space")
