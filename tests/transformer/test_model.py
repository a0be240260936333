"""The Haiku transformer against plain numpy, and the laws of masks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transformer.reference import random_params, run, transformer
from tracr_lite.transformer.model import TransformerConfig

D, BATCH, SEQ = 6, 2, 5
CONFIG = TransformerConfig(
    num_heads=2,
    num_layers=2,
    key_size=3,
    mlp_hidden_size=7,
    dropout_rate=0.0,
    activation_function=jax.nn.relu,
    layer_norm=False,
)
VARIANTS = {
    "plain": CONFIG,
    "layer_norm": dataclasses.replace(CONFIG, layer_norm=True),
    "causal": dataclasses.replace(CONFIG, causal=True),
    "causal_layer_norm": dataclasses.replace(CONFIG, causal=True, layer_norm=True),
}
variants = pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
X = jnp.asarray(np.random.default_rng(1).normal(size=(BATCH, SEQ, D)), jnp.float32)
MASK = jnp.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@variants
def test_model_is_the_numpy_reference(config):
    params = random_params(config, D)
    out = run(config, params, X, MASK)
    for b in range(BATCH):
        real = MASK[b].astype(bool)  # rows of padding are free to be anything
        residuals, end = transformer(params, config, X[b], MASK[b], lambda z: np.maximum(z, 0))
        got = np.stack([r[b] for r in out.residuals])
        np.testing.assert_allclose(
            got[:, real], np.stack(residuals)[:, real], rtol=2e-4, atol=2e-4
        )
        np.testing.assert_allclose(out.output[b][real], end[real], rtol=2e-4, atol=2e-4)


def test_default_activation_is_gelu_and_layer_norm_is_on():
    config = TransformerConfig(1, 1, 2, 3, 0.0)
    assert config.activation_function is jax.nn.gelu
    assert config.layer_norm
    assert not config.causal


@variants
def test_outputs_hold_one_entry_per_half_layer(config):
    out = run(config, random_params(config, D), X, MASK)
    assert [a.shape for a in out.layer_outputs] == [(BATCH, SEQ, D)] * 4
    assert [a.shape for a in out.residuals] == [(BATCH, SEQ, D)] * 4
    assert [a.shape for a in out.attn_logits] == [(BATCH, 2, SEQ, SEQ)] * 2
    np.testing.assert_array_equal(out.input_embeddings, X)
    stream = X
    for added, residual in zip(out.layer_outputs, out.residuals, strict=True):
        stream = stream + added
        np.testing.assert_allclose(residual, stream, rtol=1e-6)
        stream = residual
    assert (out.output is out.residuals[-1]) == (not config.layer_norm)


@variants
def test_padded_positions_do_not_change_the_others(config):
    params = random_params(config, D)
    noisy = X + 100.0 * (1 - MASK)[..., None]
    short, long = run(config, params, X[1:, :3], MASK[1:, :3]), run(config, params, noisy, MASK)
    np.testing.assert_allclose(long.output[1, :3], short.output[0], rtol=1e-4, atol=1e-4)
    unmasked = run(config, params, noisy, jnp.ones_like(MASK))
    seen = np.abs(unmasked.output[1, :3] - short.output[0]).max() > 0.01
    assert seen == (not config.causal)


@variants
def test_later_positions_reach_earlier_ones_iff_not_causal(config):
    params, changed = random_params(config, D), X.at[:, 3:].add(10)
    before, after = (
        run(config, params, x, jnp.ones_like(MASK)).output[:, :3] for x in (X, changed)
    )
    assert np.array_equal(before, after) == config.causal


def test_a_row_of_nothing_but_padding_stays_finite():
    mask = jnp.zeros_like(MASK)
    out = run(CONFIG, random_params(CONFIG, D), X, mask)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(out))


def test_dropout_is_off_when_told_so_and_needs_no_key():
    config = dataclasses.replace(CONFIG, dropout_rate=0.5)
    params = random_params(config, D)
    off = run(config, params, X, MASK, use_dropout=False)
    np.testing.assert_array_equal(off.output, run(CONFIG, params, X, MASK).output)


def test_dropout_follows_the_key():
    config = dataclasses.replace(CONFIG, dropout_rate=0.5)
    params = random_params(config, D)
    keys = [jax.random.PRNGKey(i) for i in (0, 0, 1)]
    first, again, other = (run(config, params, X, MASK, key).output for key in keys)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@variants
def test_vmap_over_parameters_is_a_loop(config):
    both = [random_params(config, D, seed) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *both)
    many = jax.jit(jax.vmap(lambda p: run(config, p, X, MASK).output))(stacked)
    for i, params in enumerate(both):
        single = run(config, params, X, MASK).output
        np.testing.assert_allclose(many[i], single, rtol=1e-3, atol=1e-3)


def test_gradients_are_finite_and_reach_every_parameter():
    config = dataclasses.replace(VARIANTS["layer_norm"], activation_function=jax.nn.gelu)
    params = jax.tree.map(lambda leaf: 0.3 * leaf, random_params(config, D))
    grads = jax.grad(lambda p: (run(config, p, X, MASK).output ** 2).sum())(params)
    for module, leaves in grads.items():
        for name, leaf in leaves.items():
            assert np.isfinite(leaf).all()
            if not (module.endswith("key") and name == "b"):  # softmax ignores it
                assert np.abs(leaf).max() > 0, (module, name)


def test_no_layers_give_the_embeddings_back():
    config = dataclasses.replace(CONFIG, num_layers=0)
    out = run(config, {}, X, MASK)
    np.testing.assert_array_equal(out.output, X)
    assert out.residuals == []


def test_the_configuration_is_frozen_and_hashable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.causal = True  # type: ignore[misc]
    assert hash(CONFIG) == hash(dataclasses.replace(CONFIG))
