"""Attention, alone."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracr_lite.transformer.attention import MultiHeadAttention

RNG = np.random.default_rng(0)
QUERY, KEY = (jnp.asarray(RNG.normal(size=(2, n, 5)), jnp.float32) for n in (3, 4))


def attention(q, k, v, mask=None, **kwargs):
    forward = hk.transform(lambda *args: MultiHeadAttention(2, 3, name="attn", **kwargs)(*args))
    params = forward.init(jax.random.PRNGKey(0), q, k, v, mask)
    return params, forward.apply(params, None, q, k, v, mask)


def test_sizes_of_parameters_and_outputs():
    params, out = attention(QUERY, KEY, KEY, value_size=7, model_size=11)
    shapes = {name: leaves["w"].shape for name, leaves in params.items()}
    expected = {"query": (5, 6), "key": (5, 6), "value": (5, 14), "linear": (14, 11)}
    assert shapes == {f"attn/{name}": shape for name, shape in expected.items()}
    assert out.out.shape == (2, 3, 11)
    assert out.logits.shape == (2, 2, 3, 4)


def test_model_size_defaults_to_all_heads():
    assert attention(QUERY, KEY, KEY)[1].out.shape == (2, 3, 6)


def test_scores_are_divided_by_the_root_of_the_key_size():
    params, out = attention(QUERY, KEY, KEY)
    heads = [
        (x @ params[f"attn/{name}"]["w"]).reshape(*x.shape[:2], 2, 3)
        for name, x in (("query", QUERY), ("key", KEY))
    ]
    expected = np.einsum("bthd,bThd->bhtT", *heads) / np.sqrt(3)
    np.testing.assert_allclose(out.logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
def test_masked_scores_are_finite_and_weigh_nothing(dtype):
    q, k = (jnp.asarray(x, dtype) for x in (QUERY, KEY))
    mask = jnp.ones((1, 1, 1, 4)).at[..., 2].set(0)
    _, out = attention(q, k, k, mask)
    assert jnp.isfinite(out.logits).all()
    assert (out.logits[..., 2] < -6e4).all()
    changed = k.at[:, 2].set(3)
    np.testing.assert_array_equal(attention(q, k, changed, mask)[1].out, out.out)


def test_a_mask_of_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"rank 4.*got shape \(2, 4\)"):
        attention(QUERY, KEY, KEY, jnp.ones((2, 4)))


def test_two_initialisers_are_refused():
    with pytest.raises(ValueError, match="not both"):
        attention(QUERY, KEY, KEY, w_init_scale=1.0, w_init=hk.initializers.Constant(0))


def test_initialisers_are_used():
    params, _ = attention(QUERY, KEY, KEY, w_init=hk.initializers.Constant(2))
    assert all((leaves["w"] == 2).all() for leaves in params.values())
    small, large = (attention(QUERY, KEY, KEY, w_init_scale=scale)[0] for scale in (1.0, 100.0))
    np.testing.assert_allclose(large["attn/key"]["w"], 10 * small["attn/key"]["w"], rtol=1e-5)
