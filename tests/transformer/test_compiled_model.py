"""From token ids to answers."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transformer.reference import random_params
from tracr_lite.transformer.model import (
    CompiledTransformerModel,
    Transformer,
    TransformerConfig,
)

D, VOCAB, PAD = 4, 6, 5
CONFIG = TransformerConfig(2, 1, 3, 5, 0.5, jax.nn.relu, layer_norm=False)
RNG = np.random.default_rng(0)
PARAMS = {
    "token_embed": {"embeddings": RNG.normal(size=(VOCAB, D)).astype(np.float32)},
    "pos_embed": {"embeddings": RNG.normal(size=(9, D)).astype(np.float32)},
    **random_params(CONFIG, D),
}


def model(argmax=True, pad_token=PAD):
    def unembed(x, use_unembed_argmax):
        return jnp.argmax(x, axis=-1) if use_unembed_argmax else x[..., 0]

    token_embed = hk.Embed(VOCAB, D, name="token_embed")
    position_embed = hk.Embed(9, D, name="pos_embed")
    transformer = Transformer(CONFIG)
    return CompiledTransformerModel(
        transformer, token_embed, position_embed, unembed, argmax, pad_token
    )


def run(tokens, **kwargs):
    forward = hk.without_apply_rng(
        hk.transform(lambda t: model(**kwargs)(t, use_dropout=False))
    )
    return forward.apply(PARAMS, jnp.array(tokens))


def test_parameters_have_the_names_that_are_promised():
    init = hk.transform(lambda t: model()(t, use_dropout=False)).init
    params = init(jax.random.PRNGKey(0), jnp.zeros((1, 3), int))
    shapes = jax.tree.map(jnp.shape, dict(params))
    assert shapes == jax.tree.map(jnp.shape, PARAMS)


def test_embed_adds_token_and_position():
    tokens = jnp.array([[0, 3, 3], [1, 2, 0]])
    embed = hk.without_apply_rng(hk.transform(lambda t: model().embed(t)))
    tables = [PARAMS[name]["embeddings"] for name in ("token_embed", "pos_embed")]
    expected = tables[0][tokens] + tables[1][np.arange(3)]
    np.testing.assert_array_equal(embed.apply(PARAMS, tokens), expected)
    np.testing.assert_array_equal(run(tokens).transformer_output.input_embeddings, expected)


@pytest.mark.parametrize("argmax", [True, False])
def test_unembedding_is_applied_to_the_output(argmax):
    out = run([[0, 1, 2]], argmax=argmax)
    stream = out.transformer_output.output
    expected = stream.argmax(-1) if argmax else stream[..., 0]
    np.testing.assert_array_equal(out.unembedded_output, expected)


def test_padding_does_not_change_the_answers_of_the_others():
    alone = run([[0, 3, 1]], argmax=False).unembedded_output[0]
    padded = run([[0, 3, 1, PAD, PAD], [1, 2, 3, 4, 0]], argmax=False).unembedded_output[0, :3]
    np.testing.assert_allclose(padded, alone, rtol=1e-5, atol=1e-5)
    unmasked = run([[0, 3, 1, PAD, PAD]], argmax=False, pad_token=None).unembedded_output
    assert np.abs(unmasked[0, :3] - alone).max() > 1e-3


def test_padding_keys_have_the_lowest_score_for_every_query():
    logits = run([[0, PAD, 1]]).transformer_output.attn_logits[0]
    assert (logits[..., 1] < -1e29).all()
    assert (logits[..., [0, 2]] > -1e3).all()


def test_outputs_go_through_jit_and_vmap():
    tokens = jnp.array([[0, 1, 2, PAD]])
    once = run(tokens)
    jitted = jax.jit(run)(tokens)
    many = jax.vmap(run)(jnp.stack([tokens, tokens]))
    assert jax.tree.structure(once) == jax.tree.structure(jitted)
    np.testing.assert_array_equal(jitted.unembedded_output, once.unembedded_output)
    np.testing.assert_array_equal(many.unembedded_output[1], once.unembedded_output)
