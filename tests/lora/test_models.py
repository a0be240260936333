"""Whole models with low-rank weights, under all of JAX: a compiled program, our Llama, Haiku.

Nothing in these models knows of adapters. Each is run with JAX's transformations inside and
outside of `use_implicit_args`, compared with its dense weights, value and gradient, and its
jaxpr searched for a dense change.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.llama.running import GQA, make_model
from tests.lora import test_xrapture
from tests.lora.weights import assert_close, assert_no_delta, dense
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.llama.cache import empty_cache
from tracr_lite.llama.model import forward, logits
from tracr_lite.lora import init_lora_parameters, make_lora_specs, partition, use_implicit_args
from tracr_lite.lora.trees import join_lora_params
from tracr_lite.rasp import rasp


def compiled():
    program = lib.make_sort_unique(rasp.tokens, rasp.tokens)
    model = compile_rasp_to_model(program, set("abcd"), 4, compiler_bos="BOS")
    ids = [model.input_encoder.encode(["BOS", *word]) for word in ("dacb", "abcd", "cadb")]

    def run(params, ids):
        return model.forward(params, ids[None]).transformer_output.output[0]

    return run, model.params, {r"(query|key|value|linear\w*)/w": 2, "token_embed": 2}, ids


def llama():
    model = make_model(GQA)

    def run(params, tokens):
        cache = empty_cache(GQA, 1, tokens.shape[0])
        x, _ = forward(params, GQA, tokens[None], jnp.zeros(1, jnp.int32), cache)
        return logits(params, x)[0]

    ids = [[1, 5, 7, 30], [1, 39, 4, 5], [1, 1, 2, 3]]
    return run, model.params, {"wqkv|w13": 3, "wo|w2": 2, "embedding": 2}, ids


def haiku():
    def run(params, ids):
        return test_xrapture.APPLY(params, ids[None])[0]

    ids = [[1, 4, 2, 0, 3], [3, 3, 1, 0, 2], [0, 6, 5, 1, 1]]
    return run, test_xrapture.PARAMS, {"(attn|mlp).*/w": 2, "token_embed|unembed": 2}, ids


@functools.cache
def case(make):
    """A function of parameters and tokens [seq], parameters with adapters, tokens, spec."""
    run, params, ranks, ids = make()
    spec = make_lora_specs(params, ranks)
    adapted = init_lora_parameters(params, spec, alpha=4.0)
    rng = np.random.default_rng(3)
    moved = jax.tree.map(
        lambda x: jnp.asarray(x + 0.1 * rng.standard_normal(x.shape), x.dtype), adapted
    )
    return run, moved, jnp.array(ids), spec


AROUND = {  # from a function of one sequence to one of several
    "jit": lambda f: jax.jit(lambda p, b: jax.vmap(f, (None, 0))(p, b)),
    "vmap": lambda f: jax.vmap(f, (None, 0)),
    "scan": lambda f: lambda p, b: lax.scan(lambda c, ids: (c, f(p, ids)), 0, b)[1],
    "scan carrying": lambda f: lambda p, b: lax.scan(lambda c, i: (c, f(c, i)), p, b)[1],
    "remat of vmap": lambda f: jax.checkpoint(jax.vmap(f, (None, 0))),
    "jit in jit in map": lambda f: (
        lambda p, b: lax.map(lambda ids: jax.jit(lambda ids: jax.jit(f)(p, ids))(ids), b)
    ),
    "cond": lambda f: (
        lambda p, b: lax.map(
            lambda ids: lax.cond(ids[0] >= 0, f, lambda p, i: -f(p, i), p, ids), b
        )
    ),
}
MODELS = [compiled, llama, haiku]
QUICK = [
    *((compiled, around) for around in AROUND),
    (llama, "remat of vmap"),
    (llama, "cond"),
    (haiku, "scan carrying"),
]


def every(pairs):
    return [pytest.param(*pair, id=f"{pair[0].__name__} in {pair[1]}") for pair in pairs]


ALL = every((model, around) for model in MODELS for around in AROUND)


@pytest.mark.parametrize(("model", "around"), every(QUICK))
def test_no_dense_change_is_in_the_jaxpr(model, around):
    check_jaxpr(model, around)


def check_jaxpr(model, around):
    """Neither of the value nor of the gradient of the factors."""
    run, params, batch, spec = case(model)
    for f in (
        use_implicit_args(AROUND[around](run), strict=True),
        AROUND[around](use_implicit_args(run, strict=True)),
    ):

        def both(params, batch, f=f):
            trained, frozen = partition(params, spec)
            return jax.value_and_grad(
                lambda t: jnp.sum(jnp.sin(f(join_lora_params(t, frozen), batch)))
            )(trained)

        assert_no_delta(both, params, batch)


def check(model, around, where):
    run, params, batch, spec = case(model)
    if where == "inside":
        implicit = use_implicit_args(AROUND[around](run), strict=True)
    else:
        implicit = AROUND[around](use_implicit_args(run, strict=True))

    @functools.partial(jax.jit, static_argnums=0)
    def both(f, params):
        def loss(trained, frozen):
            outs = f(join_lora_params(trained, frozen), batch)
            return jnp.sum(jnp.sin(outs)), outs

        (_, outs), gradients = jax.value_and_grad(loss, has_aux=True)(*partition(params, spec))
        return outs, gradients

    want = both(lambda p, b: jax.vmap(run, (None, 0))(dense(p), b), params)
    assert_close(both(implicit, params), want, 1e-4)


@pytest.mark.parametrize(
    ("model", "around"),
    every(
        [(compiled, "scan carrying"), (llama, "remat of vmap"), (haiku, "jit in jit in map")]
    ),
)
def test_values_and_gradients_are_those_of_the_dense_weights(model, around):
    check(model, around, "inside")


@pytest.mark.heavy
@pytest.mark.parametrize("where", ["inside", "outside"])
@pytest.mark.parametrize(("model", "around"), ALL)
def test_the_same_for_every_transformation(model, around, where):
    check_jaxpr(model, around)
    check(model, around, where)
