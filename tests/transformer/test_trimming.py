"""Trimmed parameters compute every activation of the whole network."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transformer.test_precision import assert_highest
from tests.transformer.test_pruning import (
    D_MODEL,
    PAD,
    PLAIN,
    POSITIONS,
    VOCAB,
    bias,
    infinity,
    nan,
    some_params,
    transformed,
)
from tracr_lite.transformer import trimmed_model, trimming
from tracr_lite.transformer.pruning import prune
from tracr_lite.transformer.trimming import trim

WIDE = dataclasses.replace(PLAIN, mlp_hidden_size=70, num_heads=3, num_layers=3)
PARTS = ("layer_outputs", "residuals", "attn_logits", "output", "input_embeddings")


def whole(config):
    return transformed(config, lambda output: output.transformer_output)


def too_large(params):
    """JAX makes float32 of it, and so an infinity."""
    here = params["transformer/layer_1/attn/query"]
    here["w"] = here["w"].astype(np.float64)
    here["w"][0, 0] = 1e300


def run(params, config, tokens):
    forward = partial(trimmed_model.run, config=config, pad_token=PAD)
    return jax.jit(forward)(trim(params, config), tokens)


def assert_same(found, expected, atol=1e-5):
    for part in PARTS:
        one, other = jax.tree.leaves(found[part]), jax.tree.leaves(expected[part])
        assert len(one) == len(other), part
        for a, b in zip(one, other, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), part
            numbers = (np.asarray(each, np.float64) for each in (a, b))
            np.testing.assert_allclose(*numbers, atol=atol, err_msg=part)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    kept=st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]),
    step=st.sampled_from([1, 3, 16]),
    config=st.sampled_from([PLAIN, WIDE]),
    causal=st.booleans(),
    padding=st.integers(0, 3),
)
def test_every_activation_is_that_of_all_parameters(seed, kept, step, config, causal, padding):
    """Also at padding, and of heads whose values are zeros but whose scores are not."""
    config = dataclasses.replace(config, causal=causal)
    params = some_params(config, seed, kept)
    tokens = np.random.default_rng(seed).integers(1, VOCAB, (3, POSITIONS))
    tokens[:, POSITIONS - padding :] = PAD
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trimming, "STEP", step)
        found = run(params, config, tokens)
    assert_same(found, whole(config).apply(params, tokens))


def test_an_index_that_is_there_twice_counts_once(monkeypatch):
    """Rows and columns are filled up with the index 0, whose weights are zeros there."""
    monkeypatch.setattr(trimming, "STEP", 3)
    params = some_params(WIDE, seed=0)
    here = "transformer/layer_0/mlp"
    params[f"{here}/linear_1"]["w"][1:-1] = 0.0
    params[f"{here}/linear_2"]["w"][:, 1:-1] = 0.0
    _, mlp = trim(params, WIDE).layers[0]
    assert mlp.rows.tolist() == mlp.columns.tolist() == [0, D_MODEL - 1, 0]
    tokens = np.array([[1, 2, 3, 4]])
    assert_same(run(params, WIDE, tokens), whole(WIDE).apply(params, tokens))


def test_what_is_only_zeros_is_left_out(monkeypatch):
    monkeypatch.setattr(trimming, "STEP", 1)
    params = some_params(WIDE, seed=0)
    here = "transformer/layer_0"
    for part in ("query", "key", "value"):
        params[f"{here}/attn/{part}"]["w"][3] = 0.0  # does not read direction 3
    params[f"{here}/attn/key"]["w"][5] = 0.0  # the others do read this one
    params[f"{here}/attn/linear"]["w"][:, 2:] = 0.0
    params[f"{here}/mlp/linear_1"]["w"][:, 2:40] = 0.0
    params[f"{here}/mlp/linear_2"]["w"][50:] = 0.0
    params["transformer/layer_1/mlp/linear_2"]["w"][:] = 0.0
    first, second, _ = trim(params, WIDE).layers
    assert first[0].rows.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert first[0].reads.shape == (7, 36)
    assert first[0].columns.tolist() == [0, 1]
    assert first[1].reads.shape == (D_MODEL, 12)  # 0, 1, 40 to 49
    assert first[1].columns.tolist() == list(range(D_MODEL))
    assert (second[1].reads.shape, second[1].writes.shape) == ((0, 0), (0, D_MODEL))


def test_all_columns_are_written_where_choosing_them_saves_nothing(monkeypatch):
    monkeypatch.setattr(trimming, "STEP", 1)
    for columns, expected in ((1, 1), (4, 4), (5, D_MODEL)):  # 12 lanes to 8 columns
        params = some_params(WIDE, seed=0)
        params["transformer/layer_0/attn/linear"]["w"][:, columns:] = 0.0
        attention, _ = trim(params, WIDE).layers[0]
        assert attention.columns.tolist() == list(range(expected))
        assert attention.writes.shape == (12, expected)


@pytest.mark.parametrize("spoil", [bias, nan, infinity, too_large])
def test_parameters_that_zeros_cannot_be_cut_from_are_not_trimmed(spoil):
    params = some_params(PLAIN, seed=2)
    assert trim(params, PLAIN) is not None
    spoil(params)
    assert trim(params, PLAIN) is None
    assert prune(params, PLAIN) is None


@pytest.mark.parametrize("change", [{"layer_norm": True}, {"activation_function": jax.nn.gelu}])
def test_networks_of_another_kind_are_not_trimmed(change):
    config = dataclasses.replace(PLAIN, **change)
    assert trim(some_params(config, seed=3), config) is None


@pytest.mark.parametrize("kind", [jnp.bfloat16, jnp.float16])
def test_types_are_those_of_the_whole_network(kind):
    params = {
        module: {name: np.asarray(array, kind) for name, array in group.items()}
        for module, group in some_params(PLAIN, seed=4, kept=0.6).items()
    }
    tokens = np.array([[1, 2, 3, PAD], [PAD, PAD, PAD, PAD]])
    expected = whole(PLAIN).apply(params, tokens)
    assert_same(run(params, PLAIN, tokens), expected, atol=0.1)
    embed = {"embeddings": np.asarray(params["token_embed"]["embeddings"], np.float32)}
    assert trim({**params, "token_embed": embed}, PLAIN) is None  # of several types


def test_products_ask_for_the_highest_precision():
    trimmed = trim(some_params(PLAIN, seed=5, kept=0.5), PLAIN)
    forward = partial(trimmed_model.run, config=PLAIN, pad_token=PAD)
    assert_highest(forward, trimmed, jnp.ones((1, 3), int), count=2 * 6)


@pytest.mark.parametrize("causal", [False, True])
def test_no_axes_are_added_in_silence(causal):
    config = dataclasses.replace(PLAIN, causal=causal)
    params, tokens = some_params(config, seed=6, kept=0.5), np.array([[1, 2, PAD]])
    with jax.numpy_rank_promotion("raise"):
        assert_same(run(params, config, tokens), whole(config).apply(params, tokens))


def test_what_was_cut_out_cannot_be_edited():
    """The device has a copy, which would not follow."""
    leaves = jax.tree_util.tree_leaves(trim(some_params(PLAIN, seed=6), PLAIN).layers)
    assert leaves
    assert not any(leaf.flags.writeable for leaf in leaves)
