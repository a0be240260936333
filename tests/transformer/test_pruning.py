"""Pruned parameters compute what all of them do, and hold nothing that is only zeros."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracr_lite.transformer import pruned_model
from tracr_lite.transformer.model import (
    CompiledTransformerModel,
    Transformer,
    TransformerConfig,
)
from tracr_lite.transformer.pruning import prune

PLAIN = TransformerConfig(
    num_heads=2,
    num_layers=2,
    key_size=4,
    mlp_hidden_size=6,
    dropout_rate=0.0,
    activation_function=jax.nn.relu,
    layer_norm=False,
)
VOCAB, POSITIONS, D_MODEL, PAD = 5, 7, 8, 0


def transformed(config, part=lambda output: output.unembedded_output):
    """The whole network, by Haiku; `part` of what it computes."""

    def run(tokens):
        model = CompiledTransformerModel(
            Transformer(config),
            hk.Embed(VOCAB, D_MODEL, name="token_embed"),
            hk.Embed(POSITIONS, D_MODEL, name="pos_embed"),
            lambda stream, use_unembed_argmax: stream,
            use_unembed_argmax=False,
            pad_token=PAD,
        )
        return part(model(tokens, use_dropout=False))

    return hk.without_apply_rng(hk.transform(run))


def some_params(config, seed, kept=1.0):
    """Haiku's own initial parameters; about a share `kept` of rows and columns is left."""
    rng = np.random.default_rng(seed)
    tokens = np.zeros((1, 2), np.int32)
    params = transformed(config).init(jax.random.PRNGKey(seed), tokens)

    def cut(array):
        array = np.array(array)
        for axis in range(array.ndim):
            gone = rng.random(array.shape[axis]) > kept
            array[(slice(None),) * axis + (gone,)] = 0.0
        return array

    return {
        module: {name: cut(array) for name, array in group.items()}
        for module, group in params.items()
    }


def run(params, config, tokens):
    pruned = prune(params, config)
    return pruned_model.run(
        pruned, tokens, key_size=config.key_size, causal=config.causal, pad_token=PAD
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    kept=st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]),
    causal=st.booleans(),
    padding=st.integers(0, 3),
)
def test_the_stream_is_that_of_all_parameters(seed, kept, causal, padding):
    config = dataclasses.replace(PLAIN, causal=causal)
    params = some_params(config, seed, kept)
    tokens = np.random.default_rng(seed).integers(1, VOCAB, (3, POSITIONS))
    tokens[:, POSITIONS - padding :] = PAD
    real = slice(None), slice(POSITIONS - padding)
    expected = transformed(config).apply(params, tokens)
    np.testing.assert_allclose(
        np.asarray(run(params, config, tokens))[real], np.asarray(expected)[real], atol=1e-5
    )


def test_what_is_only_zeros_is_left_out():
    params = some_params(PLAIN, seed=0)
    here = "transformer/layer_0"
    params[f"{here}/attn/value"]["w"][:, :4] = 0.0  # head 0
    params[f"{here}/attn/key"]["w"][:, 6:] = 0.0  # two lanes of head 1
    params[f"{here}/attn/query"]["w"][3] = 0.0  # does not read direction 3
    params[f"{here}/attn/linear"]["w"][:, 5] = 0.0  # does not write direction 5
    params[f"{here}/mlp/linear_1"]["w"][:, 2] = 0.0  # neuron 2
    params["transformer/layer_1/mlp/linear_2"]["w"][:] = 0.0
    first, second = prune(params, PLAIN).layers
    (head,) = first.heads
    assert head.query.weights.shape == (7, 2)
    assert head.query.rows.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert head.out.columns.tolist() == [0, 1, 2, 3, 4, 6, 7]
    assert first.neurons.read.weights.shape == (D_MODEL, 5)
    assert len(second.heads) == 2
    assert second.neurons is None


def test_a_head_without_scores_still_averages():
    params = some_params(PLAIN, seed=1)
    params["transformer/layer_0/attn/query"]["w"][:] = 0.0
    assert prune(params, PLAIN).layers[0].heads[0].query.weights.shape == (0, 0)
    tokens = np.array([[1, 2, 3, 4]])
    expected = transformed(PLAIN).apply(params, tokens)
    np.testing.assert_allclose(run(params, PLAIN, tokens), expected, atol=1e-5)


def bias(params):
    params["transformer/layer_1/mlp/linear_1"]["b"][0] = 1e-3


def nan(params):
    params["transformer/layer_1/attn/query"]["w"][0, 0] = np.nan


def infinity(params):
    params["token_embed"]["embeddings"][0, 0] = -np.inf


@pytest.mark.parametrize("spoil", [bias, nan, infinity])
def test_parameters_that_zeros_cannot_be_cut_from_are_not_pruned(spoil):
    params = some_params(PLAIN, seed=2)
    assert prune(params, PLAIN) is not None
    spoil(params)
    assert prune(params, PLAIN) is None


@pytest.mark.parametrize("change", [{"layer_norm": True}, {"activation_function": jax.nn.gelu}])
def test_networks_of_another_kind_are_not_pruned(change):
    config = dataclasses.replace(PLAIN, **change)
    assert prune(some_params(config, seed=3), config) is None


@pytest.mark.parametrize("kind", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("part", ["embed", "layer_0", "linear", ""])
def test_numbers_of_several_types_are_added_as_in_the_whole_network(kind, part):
    """Some columns only are written, and their type is the larger one."""
    params = {
        module: {k: np.asarray(v, kind if part in module else np.float32) for k, v in g.items()}
        for module, g in some_params(PLAIN, seed=4, kept=0.6).items()
    }
    tokens = np.array([[1, 2, 3, PAD]])
    expected = transformed(PLAIN).apply(params, tokens)
    found = run(params, PLAIN, tokens)
    assert found.dtype == expected.dtype
    error = 1e-5 if found.dtype == np.float32 else 0.1
    np.testing.assert_allclose(
        *(np.asarray(x, np.float32)[:, :3] for x in (found, expected)), atol=error
    )


@pytest.mark.parametrize("causal", [False, True])
def test_half_precision_has_no_nan_where_all_is_padding(causal):
    config = dataclasses.replace(PLAIN, causal=causal)
    params = some_params(config, seed=5)
    params = {
        m: {k: np.asarray(v, np.float16) for k, v in g.items()} for m, g in params.items()
    }
    assert np.isfinite(np.asarray(run(params, config, np.full((1, 3), PAD)))).all()


def test_what_was_cut_out_cannot_be_edited():
    """The device has a copy, which would not follow."""
    pruned = prune(some_params(PLAIN, seed=6), PLAIN)
    leaves = jax.tree_util.tree_leaves(pruned.layers)
    assert leaves
    assert not any(leaf.flags.writeable for leaf in leaves)
