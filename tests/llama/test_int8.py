"""Products with int8 matrices: exact to float32, in all shapes, one vector or many."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracr_lite.llama.int8 import int8_matrix, int8_rows, quantize_groups
from tracr_lite.llama.matrices import product

# out, in, group: one chunk and several, groups too small for columns, more than a block of rows
SHAPES = [(33, 96, 32), (7, 640, 64), (257, 6, 1), (1, 64, 64)]
multiply = jax.jit(product)


def drawn(out, width, group):
    rng = np.random.default_rng(out)
    values = rng.integers(-127, 128, (out, width), dtype=np.int8)
    scales = rng.random((out, width // group), dtype=np.float32)
    return values, scales, values.astype(np.float64) * np.repeat(scales, group, axis=1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n", [1, 9, 70])  # in integers, as a batch, as a prompt
def test_products_are_those_of_the_whole_matrix(shape, n):
    values, scales, whole = drawn(*shape)
    x = np.random.default_rng(n).standard_normal((n, shape[1])).astype(np.float32)
    found = np.asarray(multiply(int8_matrix(values, scales, "float32"), x))
    limit = 1e-6 * (np.abs(x) @ np.abs(whole).T).max()
    np.testing.assert_allclose(found, x @ whole.T, rtol=0, atol=limit)


@pytest.mark.parametrize("n", [1, 9])
def test_q80_is_the_product_of_rounded_activations(n):
    values, scales, whole = drawn(7, 640, 64)
    x = np.random.default_rng(n).standard_normal((n, 640)).astype(np.float32)
    digits, sizes = quantize_groups(x.reshape(n, 10, 64).swapaxes(0, 1), 1)
    rounded = np.asarray(digits[:, 0], np.float64) * np.asarray(sizes)[:, 0, :, None]
    rounded = rounded.swapaxes(0, 1).reshape(n, 640)
    assert np.abs(rounded - x).max() > 1e-3
    found = np.asarray(multiply(int8_matrix(values, scales, "q80"), x))
    limit = 1e-6 * (np.abs(x) @ np.abs(whole).T).max()
    np.testing.assert_allclose(found, rounded @ whole.T, rtol=0, atol=limit)


@pytest.mark.parametrize("activations", ["float32", "q80"])
@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(activations, n, bad):
    values, scales, _ = drawn(40, 64, 32)
    x = np.ones((n, 64), np.float32)
    x[0, 3] = bad
    found = np.asarray(multiply(int8_matrix(values, scales, activations), x))
    assert not np.isfinite(found[0]).any()
    assert np.isfinite(found[1:]).all()


def test_zeros_are_zeros():
    values, scales, _ = drawn(40, 64, 32)
    found = multiply(int8_matrix(values, scales, "float32"), jnp.zeros((1, 64)))
    assert not np.asarray(found).any()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_are_those_of_the_whole_matrix(shape):
    values, scales, whole = drawn(*shape)
    ids = jnp.array([[0, shape[0] - 1], [0, 0]])
    found = np.asarray(int8_rows(int8_matrix(values, scales, "float32"), ids))
    assert (found == whole[np.asarray(ids)].astype(np.float32)).all()
