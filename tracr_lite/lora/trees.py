"""Trees of parameters with `LoraWeight`s in them: merge, take apart, put together."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax is typed in part only)

from __future__ import annotations

from typing import Any

import jax
import jax.core
import jax.numpy as jnp

from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.paths import path_name
from tracr_lite.lora.specs import LORA_FREEZE, LORA_FULL, aligned
from tracr_lite.lora.weight import EmptyNode, LoraWeight, is_lora


def merge_parameters(lora_parameters: Any, destructive: bool = True) -> Any:
    """Every `LoraWeight` as its dense weight; other leaves are the same objects.

    **Arguments:** `destructive`: delete the arrays `w`, `a` and `b` afterwards, to halve the
    memory. The tree cannot be used again then, nor can the base that shares its `w`.
    """
    merged: dict[int, Any] = {}

    def merge(leaf: Any) -> Any:
        if not isinstance(leaf, LoraWeight):
            return leaf
        if id(leaf) not in merged:
            merged[id(leaf)] = leaf.materialize()
        return merged[id(leaf)]

    result = jax.tree_util.tree_map(merge, lora_parameters, is_leaf=is_lora)
    if destructive:
        kept = {id(leaf) for leaf in jax.tree_util.tree_leaves(result)}
        for leaf in jax.tree_util.tree_leaves(lora_parameters, is_leaf=is_lora):
            if isinstance(leaf, LoraWeight):
                _delete(leaf, kept)
    return result


def _delete(weight: LoraWeight, kept: set[int]) -> None:
    for leaf in (weight.w, weight.a, weight.b):
        is_array = isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
        if is_array and id(leaf) not in kept and not leaf.is_deleted():
            leaf.delete()


def partition(params: Any, lora_spec: Any) -> tuple[Any, Any]:
    """What is trained, and what is not: two trees like `params`, with `EmptyNode` for the rest.

    `jax.grad` with respect to the first gives gradients for `a`, `b` and LORA_FULL arrays only,
    and an optimiser that is started with it has state for these only. `join_lora_params` puts
    the two together, at no cost, inside of the loss.

    **Raises:** `LoraError` if the spec does not belong to the parameters.
    """
    names, leaves, decisions, structure = aligned(params, lora_spec, is_lora)
    halves = [*map(_halves, names, leaves, decisions)]
    trained, frozen = (
        jax.tree_util.tree_unflatten(structure, [half[i] for half in halves]) for i in (0, 1)
    )
    return trained, frozen


def _halves(name: str, leaf: Any, decision: int) -> tuple[Any, Any]:
    if isinstance(leaf, LoraWeight):
        if decision in (LORA_FREEZE, LORA_FULL):
            raise LoraError(f"{name!r} is a LoraWeight, but the spec says {decision}, no rank")
        w, (a, b) = leaf.w, (leaf.a, leaf.b)
        return _weight(EmptyNode, a, b, leaf), _weight(w, EmptyNode, EmptyNode, leaf)
    if decision == LORA_FREEZE:
        return EmptyNode, leaf
    if decision == LORA_FULL:
        return leaf, EmptyNode
    raise LoraError(
        f"the spec gives {name!r} rank {decision}, but it is a plain array; use the tree that "
        "init_lora_parameters returned"
    )


def _weight(w: Any, a: Any, b: Any, like: LoraWeight) -> LoraWeight:
    return LoraWeight.tree_unflatten(like.alpha, (w, a, b))


def split_lora_params(params: Any, lora_spec: Any) -> Any:
    """The tree with `EmptyNode` for all that is not trained: small enough for checkpoints.

    **Raises:** as `partition`.
    """
    return partition(params, lora_spec)[0]


def join_lora_params(trained: Any, params: Any) -> Any:
    """The inverse of `split_lora_params` and of `partition`: holes filled from another tree.

    **Arguments:** `params`: the other half, or a whole tree of the same structure, of which
    only what is missing in `trained` is used.
    **Raises:** `LoraError` naming what is in neither, or if the structures differ.
    """

    def is_hole(x: object) -> bool:
        return x is EmptyNode

    one, structure = jax.tree_util.tree_flatten_with_path(trained, is_leaf=is_hole)
    two, other = jax.tree_util.tree_flatten(params, is_leaf=is_hole)
    if structure != other:
        raise LoraError(
            "the two trees have different structures; both must come from the same parameters, "
            f"with the same alphas:\n{structure}\n{other}"
        )
    pairs = [(path, b if a is EmptyNode else a) for (path, a), b in zip(one, two, strict=True)]
    missing = [path_name(path) for path, leaf in pairs if leaf is EmptyNode]
    if missing:
        raise LoraError(f"neither tree has {', '.join(missing)}")
    return jax.tree_util.tree_unflatten(structure, [leaf for _, leaf in pairs])


def spec_of(params: Any) -> Any:
    """The spec of a tree with adapters: ranks for its `LoraWeight`s, the rest frozen."""
    return jax.tree_util.tree_map(
        lambda x: x.rank if isinstance(x, LoraWeight) else LORA_FREEZE, params, is_leaf=is_lora
    )


def dropout_parameters(params: Any, rng: jax.Array, rate: float) -> Any:
    """The tree for one training step, with inputs of every adapter dropped at random.

    Rows of `b` are set to zero with probability `rate`, the others divided by 1 - rate. Since
    `b` reads the input of a layer, that is dropout on what the adapter reads, with one mask for
    all positions and examples; under `vmap` over keys it is one mask per example. The frozen
    path sees everything.

    **Raises:** `LoraError` unless 0 <= rate < 1.
    Source: Lin et al. 2024, arXiv:2404.09610, section 3. (PEFT draws per position.)
    """
    if not 0 <= rate < 1:
        raise LoraError(f"the dropout rate must be in [0, 1); got {rate}")
    leaves, structure = jax.tree_util.tree_flatten(params, is_leaf=is_lora)
    keys = iter(jax.random.split(rng, max(len(leaves), 1)))

    def dropped(leaf: Any, key: jax.Array) -> Any:
        if not isinstance(leaf, LoraWeight):
            return leaf
        kept = jax.random.bernoulli(key, 1 - rate, (*leaf.b.shape[:-1], 1))
        b = jnp.where(kept, leaf.b / (1 - rate), jnp.zeros_like(leaf.b))
        return _weight(leaf.w, leaf.a, b, leaf)

    return jax.tree_util.tree_unflatten(structure, [*map(dropped, leaves, keys)])
