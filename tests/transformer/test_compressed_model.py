"""The transformer with a compressed residual stream."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transformer.reference import linear, random_params, run
from tracr_lite.transformer.compressed_model import CompressedTransformer
from tracr_lite.transformer.model import TransformerConfig

D, E = 6, 4
CONFIG = TransformerConfig(2, 2, 3, 5, 0.0, jax.nn.relu, layer_norm=False)
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(2, 3, D)), jnp.float32)
MASK = jnp.array([[1, 1, 1], [1, 1, 0]])
NAME = "compressed_transformer"
CLOSE = {"rtol": 1e-3, "atol": 1e-3}


def compressed(params, config=CONFIG, **kwargs):
    forward = hk.transform(lambda x: CompressedTransformer(config)(x, MASK, **kwargs))
    return forward.apply(params, None, X)


def params_with(w_emb, size=D):
    return {NAME: {"w_emb": w_emb.astype(np.float32)}, **random_params(CONFIG, size, name=NAME)}


@pytest.mark.parametrize("every_layer", [True, False])
def test_without_a_size_it_is_the_transformer(every_layer):
    out = compressed(random_params(CONFIG, D, name=NAME), unembed_at_every_layer=every_layer)
    expected = run(CONFIG, random_params(CONFIG, D), X, MASK)
    np.testing.assert_array_equal(out.output, expected.output)
    assert len(out.residuals) == 4


@pytest.mark.parametrize("every_layer", [True, False])
def test_an_orthogonal_matrix_of_full_size_changes_nothing_it_should_not(every_layer):
    rotation = np.linalg.qr(RNG.normal(size=(D, D)))[0] if every_layer else np.eye(D)
    out = compressed(
        params_with(rotation), embedding_size=D, unembed_at_every_layer=every_layer
    )
    expected = run(CONFIG, random_params(CONFIG, D), X, MASK)
    np.testing.assert_allclose(out.output, expected.output, **CLOSE)
    np.testing.assert_allclose(out.residuals[1] @ rotation, expected.residuals[1], **CLOSE)


@pytest.mark.parametrize(("every_layer", "inner"), [(True, D), (False, E)])
def test_parameters_and_outputs_have_the_stated_sizes(every_layer, inner):
    def forward(x):
        model = CompressedTransformer(CONFIG)
        return model(x, MASK, embedding_size=E, unembed_at_every_layer=every_layer)

    model = hk.transform(forward)
    params = model.init(jax.random.PRNGKey(0), X)
    assert params[NAME]["w_emb"].shape == (E, D)
    assert params[f"{NAME}/layer_0/attn/query"]["w"].shape == (inner, 6)
    out = model.apply(params, None, X)
    assert {a.shape for a in (*out.residuals, *out.layer_outputs)} == {(2, 3, E)}
    assert out.output.shape == out.input_embeddings.shape == (2, 3, D)


@pytest.mark.parametrize("every_layer", [True, False])
def test_the_stream_is_written_transposed_and_read_straight(every_layer):
    w_emb = RNG.normal(size=(E, D))
    params = params_with(w_emb, D if every_layer else E)
    out = compressed(params, embedding_size=E, unembed_at_every_layer=every_layer)
    before, after = out.residuals[:2]
    np.testing.assert_allclose(before - out.layer_outputs[0], X @ w_emb.T, **CLOSE)
    np.testing.assert_allclose(out.output, out.residuals[-1] @ w_emb, **CLOSE)
    mlp = [params[f"{NAME}/layer_0/mlp/linear_{i}"] for i in (1, 2)]
    inputs = before @ w_emb if every_layer else before
    added = linear(mlp[1], np.maximum(linear(mlp[0], inputs), 0))
    np.testing.assert_allclose(
        after - before, added @ w_emb.T if every_layer else added, **CLOSE
    )
