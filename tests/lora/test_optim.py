"""Optimisers: what is frozen stays, and costs no state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.lora.weights import array, lora
from tracr_lite.lora import (
    LORA_FULL,
    EmptyNode,
    LoraError,
    join_lora_params,
    lora_plus_rates,
    partition,
    use_implicit_args,
    wrap_tx,
)

optax = pytest.importorskip("optax")

SPEC = {"low": 2, "full": LORA_FULL, "frozen": 0, "stack": 2}


def params():
    return {
        "low": lora(4, 5),
        "full": array(5, 5),
        "frozen": array(5),
        "stack": lora(3, 5, 5, seed=1),
    }


def loss(p, x):
    x = jnp.tanh(x @ p["low"] @ p["full"] + p["frozen"])
    return jnp.sum(jax.lax.scan(lambda c, w: (jnp.tanh(c @ w), None), x, p["stack"])[0] ** 2)


LOSS = use_implicit_args(loss, strict=True)
GRADIENT = jax.jit(jax.grad(LOSS))
X = array(3, 4)


@jax.jit
def part_gradient(trained, frozen):
    return jax.grad(lambda t: LOSS(join_lora_params(t, frozen), X))(trained)


def changed(before, after):
    return [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for (path, a), b in zip(
            jax.tree_util.tree_flatten_with_path(before)[0], jax.tree.leaves(after), strict=True
        )
        if (np.asarray(a) != np.asarray(b)).any()
    ]


TRAINED = ["full", "low.a", "low.b", "stack.a", "stack.b"]


@pytest.mark.parametrize("scalar", [False, True])
def test_only_the_trained_arrays_change(scalar):
    tree = params()
    tx = wrap_tx(optax.adamw(0.1), SPEC, scalar_frozen_grads=scalar)
    gradients = GRADIENT(tree, X)
    updates, _ = jax.jit(tx.update)(gradients, tx.init(tree), tree)
    assert updates["frozen"].shape == (() if scalar else (5,))
    assert updates["low"].w.dtype == jnp.float32
    assert changed(tree, optax.apply_updates(tree, updates)) == TRAINED


def test_state_exists_for_the_trained_arrays_only():
    tree = params()
    state = wrap_tx(optax.adam(0.1), SPEC).init(tree)
    trained, _ = partition(tree, SPEC)
    count = sum(x.size for x in jax.tree.leaves(trained))
    assert sum(x.size for x in jax.tree.leaves(state)) == 2 * count + 1


def test_training_a_partition_is_the_same_as_wrapping():
    tree = params()
    wrapped, plain = wrap_tx(optax.adam(0.1), SPEC), optax.adam(0.1)
    trained, frozen = partition(tree, SPEC)
    state, small = wrapped.init(tree), plain.init(trained)
    for _ in range(2):
        updates, state = wrapped.update(GRADIENT(tree, X), state, tree)
        tree = optax.apply_updates(tree, updates)
        gradients = part_gradient(trained, frozen)
        assert gradients["frozen"] is EmptyNode
        updates, small = plain.update(gradients, small, trained)
        trained = optax.apply_updates(trained, updates)
    joined = join_lora_params(trained, frozen)
    for a, b in zip(jax.tree.leaves(joined), jax.tree.leaves(tree), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_neither_training_nor_other_values_trace_anew():
    traces = []

    def counted(p, x):
        traces.append(1)
        return loss(p, x)

    tx = optax.adamw(0.1)
    trained, frozen = partition(params(), SPEC)
    state = tx.init(trained)

    @jax.jit
    def step(trained, state):
        def total(t):
            return use_implicit_args(counted, strict=True)(join_lora_params(t, frozen), X)

        updates, state = tx.update(jax.grad(total)(trained), state, trained)
        return optax.apply_updates(trained, updates), state

    for _ in range(3):
        trained, state = step(trained, state)
    assert len(traces) == 1

    run = jax.jit(use_implicit_args(counted))
    for tree in (params(), join_lora_params(trained, frozen)):
        run(tree, X)
    assert len(traces) == 2


def test_gradients_of_integers_are_zeros():
    tree = {"low": lora(4, 5), "table": jnp.arange(3)}
    tx = wrap_tx(optax.sgd(0.1), {"low": 2, "table": 0})

    def total(p):
        return jnp.sum(X @ p["low"]) + p["table"].sum()

    gradients = jax.grad(use_implicit_args(total), allow_int=True)(tree)
    updates, _ = tx.update(gradients, tx.init(tree), tree)
    after = optax.apply_updates(tree, updates)
    np.testing.assert_array_equal(after["table"], tree["table"])
    assert after["table"].dtype == tree["table"].dtype


def test_update_needs_the_parameters():
    tree = params()
    tx = wrap_tx(optax.sgd(0.1), SPEC)
    with pytest.raises(LoraError, match="update needs params"):
        tx.update(tree, tx.init(tree))


def test_lora_plus_trains_the_output_side_faster():
    trained, frozen = partition(params(), SPEC)
    gradients = part_gradient(trained, frozen)
    one, two = optax.sgd(0.1), optax.chain(optax.sgd(0.1), lora_plus_rates(16))
    slow, _ = one.update(gradients, one.init(trained), trained)
    fast, _ = two.update(gradients, two.init(trained), trained)
    for name in ("low", "stack"):
        np.testing.assert_allclose(fast[name].a, 16 * slow[name].a, rtol=1e-6)
        np.testing.assert_array_equal(fast[name].b, slow[name].b)
    np.testing.assert_array_equal(fast["full"], slow["full"])


def test_lora_plus_works_under_wrap_tx_too():
    tree = params()
    tx = wrap_tx(optax.chain(optax.sgd(0.1), lora_plus_rates(4.0)), SPEC)
    gradients = GRADIENT(tree, X)
    updates, _ = tx.update(gradients, tx.init(tree), tree)
    np.testing.assert_allclose(updates["low"].a, -0.4 * gradients["low"].a, rtol=1e-5)
    with pytest.raises(LoraError, match="ratio"):
        lora_plus_rates(0)
