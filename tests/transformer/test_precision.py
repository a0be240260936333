"""Every matrix product of a model asks for the highest precision, as compiled weights need."""

from collections.abc import Iterator
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import pytest

from tests.transformer.reference import random_params, run
from tracr_lite.transformer.compressed_model import CompressedTransformer
from tracr_lite.transformer.model import TransformerConfig

HIGHEST = (jax.lax.Precision.HIGHEST,) * 2
CONFIG = TransformerConfig(2, 2, 3, 5, 0.0, causal=True)
X, MASK = jnp.ones((1, 3, 4)), jnp.ones((1, 3))


def products(jaxpr) -> Iterator[Any]:
    """All dot products, also inside of nested functions."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            yield eqn
        for inner in jax.tree.leaves(
            list(eqn.params.values()),
            is_leaf=lambda p: hasattr(p, "jaxpr") or hasattr(p, "eqns"),
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from products(inner)


def assert_highest(function, *args, count):
    found = list(products(jax.make_jaxpr(function)(*args).jaxpr))
    assert len(found) >= count
    assert {eqn.params["precision"] for eqn in found} == {HIGHEST}


def test_the_walk_finds_products_of_lower_precision():
    nested = jax.jit(lambda x: jax.lax.cond(x.sum() > 0, lambda y: y @ y, lambda y: y, x))
    with pytest.raises(AssertionError):
        assert_highest(nested, jnp.ones((2, 2)), count=1)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_transformer(layer_norm):
    config = TransformerConfig(2, 2, 3, 5, 0.0, layer_norm=layer_norm)
    params = random_params(config, 4)
    assert_highest(lambda p: run(config, p, X, MASK).output, params, count=2 * 8)


def test_gradient_of_the_transformer():
    params = random_params(CONFIG, 4)
    assert_highest(jax.grad(lambda p: run(CONFIG, p, X, MASK).output.sum()), params, count=30)


@pytest.mark.parametrize("every_layer", [True, False])
def test_compressed_transformer(every_layer):
    def forward(x):
        model = CompressedTransformer(CONFIG)
        return model(x, MASK, embedding_size=2, unembed_at_every_layer=every_layer).output

    model = hk.transform(forward)
    params = model.init(jax.random.PRNGKey(0), X)
    count = 2 * 8 + (10 if every_layer else 2)
    assert_highest(lambda p: model.apply(p, None, X), params, count=count)
