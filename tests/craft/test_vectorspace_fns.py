"""Linear maps and bilinear forms are their matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.craft.strategies import SPACES, random_vector
from tracr_lite.craft import vectorspace_fns as fns
from tracr_lite.craft.bases import VectorSpaceWithBasis

RNG = np.random.default_rng(0)
MATRICES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6),
    elements=st.sampled_from([0.0, -0.0, 1.0, 0.1, -3.7]),
)


def space(n, name="d"):
    return VectorSpaceWithBasis.from_values(name, range(n))


def form(matrix):
    return fns.ScalarBilinear(space(matrix.shape[0]), space(matrix.shape[1]), matrix)


@given(SPACES, SPACES)
def test_linear_multiplies_from_the_right(v, w):
    matrix, x = RNG.normal(size=(v.num_dims, w.num_dims)), random_vector(v, 2, 3)
    y = fns.Linear(v, w, matrix)(x)
    assert y in w
    np.testing.assert_array_equal(y.magnitudes, x.magnitudes @ matrix)


@pytest.mark.parametrize("cls", [fns.Linear, fns.ScalarBilinear])
def test_a_matrix_of_another_shape_is_refused(cls):
    with pytest.raises(ValueError, match=r"must have shape \(2, 3\); got \(3, 2\)"):
        cls(space(2), space(3), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="finite"):
        cls(space(1), space(1), np.array([[np.inf]]))


def test_arguments_over_other_directions_are_refused():
    with pytest.raises(TypeError, match="input is over other directions"):
        fns.Linear(space(2), space(2), np.eye(2))(space(3).null_vector())
    with pytest.raises(TypeError, match="right argument is over other directions"):
        form(np.eye(2))(space(2).null_vector(), space(3).null_vector())
    with pytest.raises(TypeError, match="d:1"):
        fns.Linear.from_action(space(2), space(1), space(2).vector_from_basis_direction)


@given(SPACES, SPACES)
def test_from_action_gives_the_rows(v, w):
    matrix = RNG.normal(size=(v.num_dims, w.num_dims))
    linear = fns.Linear.from_action(
        v, w, lambda d: w.make_vector(matrix[v.index_by_direction[d]])
    )
    np.testing.assert_array_equal(linear.matrix, matrix)


@given(SPACES, SPACES)
def test_projection_function_agrees_with_the_method(v, w):
    x = random_vector(v, 2)
    assert fns.project(v, w)(x) == x.project(w)


@given(st.lists(st.tuples(SPACES, SPACES), max_size=3))
def test_parallel_maps_add_up(pairs):
    maps = [fns.Linear(v, w, RNG.normal(size=(v.num_dims, w.num_dims))) for v, w in pairs]
    both = fns.Linear.combine_in_parallel(maps)
    x = random_vector(both.input_space)
    expected = sum(
        (m(x.project(m.input_space)).project(both.output_space).magnitudes for m in maps),
        np.zeros(both.output_space.num_dims),
    )
    np.testing.assert_allclose(both(x).magnitudes, expected, atol=1e-12)


@given(MATRICES)
def test_factors_give_the_matrix_exactly_at_the_stated_rank(matrix):
    left, right = form(matrix).factors
    np.testing.assert_array_equal(left @ right.T, matrix)
    rows = {tuple(row) for row in matrix if row.any()}
    columns = {tuple(column) for column in matrix.T if column.any()}
    assert left.shape == (matrix.shape[0], min(len(rows), len(columns)))
    assert right.shape == (matrix.shape[1], min(len(rows), len(columns)))


@given(MATRICES)
def test_one_factor_is_a_selection(matrix):
    for factor in form(matrix).factors:
        if np.isin(factor, [0, 1]).all() and (factor.sum(axis=1) <= 1).all():
            return
    pytest.fail("neither factor selects")


def test_merged_columns_win_when_they_are_fewer():
    matrix = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [3.0, 3.0, 0.0]])
    left, right = form(matrix).factors
    np.testing.assert_array_equal(left, [[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(right, [[1.0], [1.0], [0.0]])


def test_rows_that_differ_in_the_sign_of_zero_are_equal():
    left, right = form(np.array([[1.0, 2.0, 0.0], [1.0, 2.0, -0.0]])).factors
    np.testing.assert_array_equal(left, [[1.0], [1.0]])
    np.testing.assert_array_equal(right, [[1.0], [2.0], [0.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.float64])
def test_factors_work_for_other_number_types(dtype):
    matrix = np.array([[1, 2, 1], [0, 0, 0], [1, 2, 1], [5, 0, 5]], dtype)
    left, right = form(matrix).factors
    assert left.dtype == right.dtype == dtype
    np.testing.assert_array_equal(left @ right.T, matrix)
    assert left.shape == (4, 2)


def test_given_factors_are_kept_and_the_matrix_follows():
    left, right = RNG.normal(size=(4, 2)), RNG.normal(size=(3, 2))
    bilinear = fns.ScalarBilinear.from_factors(space(4), space(3), left, right)
    assert bilinear.factors[0] is left
    assert "matrix" not in vars(bilinear)
    np.testing.assert_array_equal(bilinear.matrix, left @ right.T)
    assert bilinear.matrix is bilinear.matrix


@pytest.mark.parametrize(("left", "right"), [((4, 2), (3, 1)), ((3, 2), (3, 2)), ((4,), (3,))])
def test_factors_of_other_shapes_are_refused(left, right):
    with pytest.raises(ValueError, match="must have shape"):
        fns.ScalarBilinear.from_factors(space(4), space(3), np.zeros(left), np.zeros(right))


@given(SPACES, SPACES)
def test_bilinear_from_action_is_x_matrix_y(v, w):
    matrix = RNG.normal(size=(v.num_dims, w.num_dims))
    bilinear = fns.ScalarBilinear.from_action(
        v, w, lambda a, b: matrix[v.index_by_direction[a], w.index_by_direction[b]]
    )
    x, y = random_vector(v, seed=1), random_vector(w, seed=2)
    np.testing.assert_array_equal(bilinear.matrix, matrix)
    assert bilinear(x, y) == pytest.approx(x.magnitudes @ matrix @ y.magnitudes)
