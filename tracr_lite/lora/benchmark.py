"""`python -m tracr_lite.lora.benchmark`: cost of forward and training step, in three ways.

The model is tanh(x W1) W2 with matrices of D x D, trained with Adam on a squared error:

- dense: W1 and W2 are trained;
- by hand: x W + (x b) a written out, gradients for a and b only;
- lora: the dense function, through `use_implicit_args`, with `partition`.

FLOPs are those that XLA counts in the compiled program. Times are the least of several runs,
which take turns, so that what else runs on the machine hits all three alike. Needs optax.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax and optax are typed in part only)

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from tracr_lite.lora.implicit_args import use_implicit_args
from tracr_lite.lora.init import init_lora_parameters
from tracr_lite.lora.optim import import_optax
from tracr_lite.lora.specs import make_lora_specs
from tracr_lite.lora.trees import join_lora_params, partition

RANK, TOKENS, ALPHA = 8, 256, 8.0
SIZES = (512, 2048)


@dataclass(frozen=True)
class Variant:
    """One way to train: what is trained, what is not, and the model as a function of both."""

    name: str
    trained: Any
    frozen: Any
    apply: Callable[[Any, Any, jax.Array], jax.Array]


@dataclass(frozen=True)
class Cost:
    """FLOPs and seconds of a compiled function, and the seconds it took to compile."""

    flops: float
    seconds: float
    compiling: float


def model(params: Any, x: jax.Array) -> jax.Array:
    """x: [tokens, size]."""
    return jnp.tanh(x @ params["w1"]) @ params["w2"]


def by_hand(factors: Any, weights: Any, x: jax.Array) -> jax.Array:
    """The same with low-rank changes, alpha / rank = 1."""

    def times(x: jax.Array, name: str) -> jax.Array:
        return x @ weights[name] + (x @ factors[name]["b"]) @ factors[name]["a"]

    return times(jnp.tanh(times(x, "w1")), "w2")


def variants(size: int) -> list[Variant]:
    """The three ways, with the same weights."""
    keys = jax.random.split(jax.random.PRNGKey(0), 2)
    weights = {
        name: jax.random.normal(key, (size, size)) / size**0.5
        for name, key in zip(("w1", "w2"), keys, strict=True)
    }
    spec = make_lora_specs(weights, lambda path, array: RANK)
    adapted = init_lora_parameters(weights, spec, alpha=ALPHA)
    trained, frozen = partition(adapted, spec)
    factors = {name: {"a": w.a, "b": w.b} for name, w in adapted.items()}
    implicit = use_implicit_args(model, strict=True)
    return [
        Variant("dense", weights, {}, lambda p, _, x: model(p, x)),
        Variant("by hand", factors, weights, by_hand),
        Variant("lora", trained, frozen, lambda t, f, x: implicit(join_lora_params(t, f), x)),
    ]


def train_step(
    apply: Any, tx: Any, trained: Any, state: Any, frozen: Any, x: jax.Array, y: jax.Array
) -> Any:
    """One step of the optimiser on a squared error."""
    loss, gradients = jax.value_and_grad(
        lambda trained: jnp.mean((apply(trained, frozen, x) - y) ** 2)
    )(trained)
    updates, state = tx.update(gradients, state, trained)
    return import_optax().apply_updates(trained, updates), state, loss


def compiled(function: Callable[..., Any], *args: Any) -> tuple[Callable[..., Any], Cost]:
    """A function compiled for its arguments, and its cost without the time."""
    start = time.perf_counter()
    made = jax.jit(function).lower(*args).compile()
    compiling = time.perf_counter() - start
    analysis: Any = made.cost_analysis()
    return made, Cost(float(analysis["flops"]), float("inf"), compiling)


def measure(size: int, times: int = 150) -> dict[str, tuple[Cost, Cost, int]]:
    """Forward, training step and bytes of the optimiser's state, for each way."""
    tx = import_optax().adam(1e-3)
    x, y = jnp.ones((TOKENS, size)), jnp.zeros((TOKENS, size))
    runs: list[tuple[str, str, Callable[..., Any], tuple[Any, ...]]] = []
    costs: dict[tuple[str, str], Cost] = {}
    states: dict[str, int] = {}
    for way in variants(size):
        state = tx.init(way.trained)
        states[way.name] = sum(leaf.nbytes for leaf in jax.tree_util.tree_leaves(state))
        step = partial(train_step, way.apply, tx)
        for what, function, args in (
            ("forward", way.apply, (way.trained, way.frozen, x)),
            ("step", step, (way.trained, state, way.frozen, x, y)),
        ):
            run, costs[way.name, what] = compiled(function, *args)
            runs.append((way.name, what, run, args))
    for _ in range(times):
        for name, what, run, args in runs:
            start = time.perf_counter()
            jax.block_until_ready(run(*args))
            seconds = time.perf_counter() - start
            old = costs[name, what]
            costs[name, what] = Cost(old.flops, min(old.seconds, seconds), old.compiling)
    return {n: (costs[n, "forward"], costs[n, "step"], bytes_) for n, bytes_ in states.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tracr_lite.lora.benchmark")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="D of the matrices")
    parser.add_argument("--times", type=int, default=150, help="runs; the fastest counts")
    options = parser.parse_args()
    title = f"rank {RANK}, {TOKENS} tokens, 2 layers, on {jax.devices()[0].platform}"
    table = Table("D", "way", "forward", "", "step", "", "compile", "Adam state", title=title)
    for size in options.sizes:
        for name, (forward, step, state) in measure(size, options.times).items():
            table.add_row(
                str(size),
                name,
                *(text for cost in (forward, step) for text in _shown(cost)),
                f"{step.compiling:.2f} s",
                f"{state / 1e6:.2f} MB",
            )
        table.add_section()
    Console().print(table)


def _shown(cost: Cost) -> tuple[str, str]:
    return f"{cost.flops / 1e9:.3f} GFLOP", f"{cost.seconds * 1e3:.2f} ms"


if __name__ == "__main__":
    main()
