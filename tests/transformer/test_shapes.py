"""Parameter names and shapes, computed and initialised by Haiku."""

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from tracr_lite.transformer.model import Transformer, TransformerConfig
from tracr_lite.transformer.shapes import param_shapes

SIZES = [(1, 1, 1, 1), (2, 3, 4, 5), (0, 0, 0, 0), (3, 0, 2, 2), (0, 1, 2, 2), (2, 11, 1, 3)]


@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", [None, "inner"])
def test_shapes_are_those_of_init_in_the_same_order(sizes, layer_norm, name):
    config = TransformerConfig(*sizes, dropout_rate=0.1, layer_norm=layer_norm)
    model, order = hk.transform(lambda e, m: Transformer(config, name)(e, m)), []

    def init(*args):  # eval_shape sorts what it returns
        params = model.init(*args)
        order.extend(params)
        return params

    found = jax.eval_shape(init, jax.random.PRNGKey(0), jnp.ones((2, 3, 7)), jnp.ones((2, 3)))
    expected = {m: {k: a.shape for k, a in leaves.items()} for m, leaves in found.items()}
    computed = param_shapes(config, 7, name or "transformer")
    assert computed == expected
    assert list(computed) == order
