"""`apply_lora`, on a Haiku transformer, from specification to merged weights."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.lora.weights import assert_close, assert_no_delta, dense
from tracr_lite.lora import (
    LoraWeight,
    XRapTure,
    XRapTureConfig,
    XRapTureModule,
    apply_lora,
    init_lora_parameters,
    merge_parameters,
    use_implicit_args,
)
from tracr_lite.transformer.model import (
    CompiledTransformerModel,
    Transformer,
    TransformerConfig,
)

optax = pytest.importorskip("optax")

CONFIG = TransformerConfig(2, 2, 4, 16, 0.0, causal=True)
IDS = jnp.array([[1, 4, 2, 0, 3], [3, 3, 1, 0, 2]])


def model():
    def unembed(x, use_unembed_argmax):
        return x @ hk.get_parameter("unembed", (12, 7), init=hk.initializers.RandomNormal(0.3))

    def run(ids):
        transformer = CompiledTransformerModel(
            Transformer(CONFIG),
            hk.Embed(7, 12, name="token_embed"),
            hk.Embed(5, 12, name="pos_embed"),
            unembed,
            False,
        )
        return transformer(ids, use_dropout=False).unembedded_output

    transformed = hk.without_apply_rng(hk.transform(run))
    return transformed.apply, jax.jit(transformed.init)(jax.random.PRNGKey(0), IDS)


APPLY, PARAMS = model()
RANKS = {r"(query|value)/w": 2, "token_embed": 2, "mlp": 3, "unembed": -1}


def adapted(**options):
    return apply_lora(APPLY, PARAMS, optax.adam(1e-2), RANKS, strict=True, **options)


def stirred(params):
    """Adapters that do something."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.PRNGKey(7), len(leaves))
    noise = [0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, [x + n for x, n in zip(leaves, noise, strict=True)])


def test_an_untrained_adapter_changes_no_bit():
    module = adapted()
    assert isinstance(module, XRapTureModule)
    got = jax.jit(module.lora_module)(module.lora_parameters, IDS)
    np.testing.assert_array_equal(got, jax.jit(APPLY)(PARAMS, IDS))


def test_the_transformer_runs_with_low_rank_weights_only():
    module = adapted()
    params = stirred(module.lora_parameters)
    got = jax.jit(module.lora_module)(params, IDS)
    assert_close(got, jax.jit(APPLY)(dense(params), IDS))
    assert_no_delta(module.lora_module, params, IDS)


def test_so_does_its_gradient():
    params = stirred(adapted().lora_parameters)

    def loss(f):
        return jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(f(p, IDS)))))(params)

    got = loss(use_implicit_args(APPLY, strict=True))
    assert_close(got, loss(lambda p, ids: APPLY(dense(p), ids)))


def test_training_lowers_the_loss_and_moves_only_what_it_should():
    module = adapted()
    params, state = module.lora_parameters, module.lora_opt_state

    @jax.jit
    def step(params, state):
        def loss(p):
            logits = module.lora_module(p, IDS)
            return optax.softmax_cross_entropy_with_integer_labels(logits, IDS[:, ::-1]).mean()

        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = module.lora_tx.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value

    values = []
    for _ in range(40):
        params, state, value = step(params, state)
        values.append(float(value))
    assert values[-1] < values[0] / 3
    for (path, before), after in zip(
        jax.tree_util.tree_flatten_with_path(PARAMS)[0],
        jax.tree.leaves(params, is_leaf=lambda x: isinstance(x, LoraWeight)),
        strict=True,
    ):
        base = after.w if isinstance(after, LoraWeight) else after
        assert (base == before).all() != ("unembed" in str(path)), path
    merged = merge_parameters(params, destructive=False)
    assert_close(jax.jit(APPLY)(merged, IDS), jax.jit(module.lora_module)(params, IDS))


def test_the_class_takes_decisions_and_type_from_its_configuration():
    names = ["*/attn/query"]
    config = XRapTureConfig(2, ["pos_embed"], names, verbose=False, dtype=jnp.bfloat16)
    module = XRapTure(config).apply_lora(APPLY, PARAMS, optax.sgd(0.1), alpha=2.0)
    weight = module.lora_parameters["transformer/layer_0/attn/query"]["w"]
    assert weight.a.dtype == jnp.bfloat16
    assert weight.alpha == 2.0
    assert module.lora_specs["pos_embed"] == {"embeddings": -1}
    assert XRapTure.init_lora_parameters is init_lora_parameters
    assert XRapTure.merge_parameters is merge_parameters


def test_options_reach_the_parameters():
    module = adapted(alpha={"query": 8.0, "": 1.0}, rank_stabilised=True, stddev=3.0)
    weight = module.lora_parameters["transformer/layer_0/attn/query"]["w"]
    assert weight.get_scale() == pytest.approx(8 / np.sqrt(2))
    assert float(jnp.std(weight.a)) > 1
