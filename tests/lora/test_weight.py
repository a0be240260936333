"""`LoraWeight`: three arrays and a number, as a pytree."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.lora.weights import lora
from tracr_lite.errors import TracrLiteError
from tracr_lite.lora import (
    EmptyNode,
    LoraError,
    LoraShapeError,
    LoraWeight,
    use_implicit_args,
)


def test_it_is_the_weight_plus_the_scaled_product():
    w = lora(4, 5, rank=2, alpha=3.0)
    want = np.asarray(w.w) + 1.5 * np.asarray(w.b) @ np.asarray(w.a)
    np.testing.assert_allclose(w.materialize(), want, atol=1e-5)
    assert w.shape == (4, 5)
    assert w.ndim == 2
    assert w.dtype == jnp.float32


def test_the_dense_weight_has_the_type_of_w():
    w = lora(4, 5)
    low = LoraWeight(w.w.astype(jnp.bfloat16), w.a, w.b, w.alpha)
    assert low.materialize().dtype == jnp.bfloat16
    assert low.dtype == jnp.bfloat16


def test_the_scale_counts_the_columns_of_b_for_kernels_too():
    """The original read b.shape[1], which is a window size here."""
    kernel = LoraWeight(
        jnp.ones((3, 3, 4, 5)), jnp.ones((1, 1, 2, 5)), jnp.ones((3, 3, 4, 2)), alpha=4
    )
    assert kernel.get_scale() == 2
    np.testing.assert_array_equal(kernel.materialize(), jnp.full((3, 3, 4, 5), 5.0))


def test_stacked_layers_have_factors_of_their_own():
    w = lora(3, 4, 5)
    for i in range(3):
        one = LoraWeight(w.w[i], w.a[i], w.b[i], w.alpha)
        np.testing.assert_allclose(w.materialize()[i], one.materialize(), rtol=1e-6)


def test_it_is_a_pytree_with_three_leaves_and_a_static_alpha():
    w = lora(4, 5, alpha=0.3)
    leaves, tree = jax.tree.flatten(w)
    assert [leaf.shape for leaf in leaves] == [(4, 5), (2, 5), (4, 2)]
    assert jax.tree.unflatten(tree, leaves).alpha == 0.3
    paths = jax.tree_util.tree_flatten_with_path(w)[0]
    assert [jax.tree_util.keystr(path) for path, _ in paths] == [".w", ".a", ".b"]


@pytest.mark.parametrize("leaf", ["label", None, 0, EmptyNode, object()])
def test_anything_may_stand_for_its_arrays(leaf):
    tree = jax.tree.structure(lora(4, 5))
    assert jax.tree.unflatten(tree, [leaf] * 3).w is leaf


def test_axes_of_vmap_may_stand_for_its_arrays():
    axes = LoraWeight(0, 0, None, 3.0)
    w = lora(3, 4, 5)
    shared = LoraWeight(w.w, w.a, w.b[0], w.alpha)
    got = jax.vmap(lambda v: v.materialize(), in_axes=(axes,))(shared)
    np.testing.assert_allclose(got[2], LoraWeight(w.w[2], w.a[2], w.b[0], 3.0).materialize())


@pytest.mark.parametrize(
    ("w", "a", "b"),
    [
        pytest.param((4, 5), (2, 5), (4, 3), id="ranks differ"),
        pytest.param((4, 5), (2, 5), (5, 2), id="inputs differ"),
        pytest.param((4, 5), (2, 4), (4, 2), id="outputs differ"),
        pytest.param((4, 5), (4, 2), (2, 5), id="factors exchanged"),
        pytest.param((3, 4, 5), (2, 2, 5), (3, 4, 2), id="other layers"),
        pytest.param((5,), (2, 5), (5, 2), id="a vector"),
        pytest.param((4, 5), (1, 2, 5), (4, 2), id="too many axes"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(w, a, b):
    with pytest.raises(AssertionError, match=r"must fit; got w \(") as error:
        LoraWeight(jnp.ones(w), jnp.ones(a), jnp.ones(b))
    assert isinstance(error.value, LoraShapeError)
    assert isinstance(error.value, TracrLiteError)


@pytest.mark.parametrize("alpha", [True, "1", None, float("nan"), float("inf"), jnp.ones(())])
def test_alpha_is_a_plain_number(alpha):
    with pytest.raises(LoraError, match="alpha must be"):
        LoraWeight(jnp.ones((4, 5)), jnp.ones((2, 5)), jnp.ones((4, 2)), alpha)


@pytest.mark.parametrize("alpha", [np.float32(3), np.int64(3), np.float64(3)])
def test_numbers_of_numpy_become_plain_ones(alpha):
    w = LoraWeight(jnp.ones((4, 5)), jnp.ones((2, 5)), jnp.ones((4, 2)), alpha)
    assert w.alpha == 3
    assert type(w.alpha) in (int, float)


def test_integers_are_refused_as_the_change_would_be_cut_off():
    with pytest.raises(LoraError, match="w holds int32; low-rank changes need floats"):
        LoraWeight(jnp.ones((4, 5), int), jnp.ones((2, 5)), jnp.ones((4, 2)))
    cast = jax.tree.map(lambda x: x.astype(int), lora(4, 5))
    with pytest.raises(LoraError, match="holds int32"):
        cast.materialize()
    with pytest.raises(LoraError, match="w of the LoraWeight 'layer' holds int32"):
        use_implicit_args(lambda p: jnp.ones(4) @ p["layer"])({"layer": cast})


def test_a_rank_of_zero_changes_nothing():
    w = LoraWeight(jnp.ones((4, 5)), jnp.ones((0, 5)), jnp.ones((4, 0)))
    np.testing.assert_array_equal(w.materialize(), w.w)


def test_there_is_one_empty_node_and_it_has_no_leaves():
    assert jax.tree.leaves({"x": EmptyNode}) == []
    assert jax.tree.map(lambda x: x, EmptyNode) is EmptyNode
    assert pickle.loads(pickle.dumps(EmptyNode)) is EmptyNode
    assert repr(EmptyNode) == "EmptyNode"
