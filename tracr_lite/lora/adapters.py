"""Adapters without the model: what they change, by the names of the parameters.

An adapter can be taken off one tree of parameters and put on another one, added to others, made
smaller, or saved. Nothing here changes an array in place.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax is typed in part only)

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np

from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.paths import path_name
from tracr_lite.lora.specs import LORA_FULL, aligned
from tracr_lite.lora.weight import EmptyNode, LoraWeight, check_shapes, is_lora


@partial(jax.tree_util.register_dataclass, data_fields=["weights", "full"], meta_fields=[])
@dataclass(frozen=True)
class Adapter:
    """Changes to some parameters; a pytree.

    **Arguments:**
    - `weights`: name -> `LoraWeight` with `EmptyNode` for its `w`.
    - `full`: name -> the whole new array, for what was trained densely.
    """

    weights: dict[str, LoraWeight]
    full: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ranks(self) -> dict[str, int]:
        """Name -> rank."""
        return {name: weight.rank for name, weight in self.weights.items()}

    @property
    def nbytes(self) -> int:
        return sum(leaf.nbytes for leaf in jax.tree_util.tree_leaves(self))


def factors(a: Any, b: Any, alpha: float) -> LoraWeight:
    """A change without its weight."""
    return LoraWeight(EmptyNode, a, b, alpha)


def named(params: Any) -> dict[str, Any]:
    """Name -> leaf; a `LoraWeight` is one leaf.

    **Raises:** `LoraError` if two leaves have the same name.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_lora)
    found: dict[str, Any] = {}
    for path, leaf in leaves:
        name = path_name(path)
        if name in found:
            raise LoraError(f"two parameters are named {name!r}; rename a key of the tree")
        found[name] = leaf
    return found


def adapter_of(params: Any, lora_spec: Any = None) -> Adapter:
    """The adapter in a tree of parameters.

    **Arguments:** `lora_spec`: with it, LORA_FULL arrays belong to the adapter too. Without it
    they do not, as a tree does not tell them from frozen ones.
    """
    weights = {
        name: factors(leaf.a, leaf.b, leaf.alpha)
        for name, leaf in named(params).items()
        if isinstance(leaf, LoraWeight)
    }
    if lora_spec is None:
        return Adapter(weights)
    names, leaves, decisions, _ = aligned(params, lora_spec, is_lora)
    full = zip(names, leaves, decisions, strict=True)
    return Adapter(weights, {name: leaf for name, leaf, how in full if how == LORA_FULL})


def attach(params: Any, adapter: Adapter) -> Any:
    """The parameters with an adapter: `LoraWeight`s, and the arrays of `full`.

    **Arguments:** `params`: a tree of plain arrays, the base.
    **Raises:** `LoraError` listing every name that is not there, and every shape that differs.
    """
    there = named(params)
    problems: list[str] = []
    for name, weight in adapter.weights.items():
        problems += _misfit(name, there.get(name), weight)
    for name, array in adapter.full.items():
        if name in there and np.shape(there[name]) != np.shape(array):
            problems.append(f"{name}: {np.shape(array)} is to replace {np.shape(there[name])}")
        if name in adapter.weights:
            problems.append(f"{name}: both replaced and changed")
    unknown = (adapter.weights.keys() | adapter.full.keys()) - there.keys()
    problems += [f"{name}: no such parameter" for name in sorted(unknown)]
    if problems:
        raise LoraError("\n  - ".join(["the adapter does not fit these parameters", *problems]))

    def changed(path: Any, leaf: Any) -> Any:
        name = path_name(path)
        if name in adapter.full:
            return adapter.full[name]
        weight = adapter.weights.get(name)
        return leaf if weight is None else LoraWeight(leaf, weight.a, weight.b, weight.alpha)

    return jax.tree_util.tree_map_with_path(changed, params, is_leaf=is_lora)


def _misfit(name: str, leaf: Any, weight: LoraWeight) -> list[str]:
    if leaf is None:
        return []
    if isinstance(leaf, LoraWeight):
        return [f"{name}: has an adapter already; detach or merge it first"]
    try:
        check_shapes(np.shape(leaf), weight.a.shape, weight.b.shape)
    except LoraError as error:
        return [f"{name}: {error}"]
    return []


def detach(params: Any) -> Any:
    """The base: `w` of every `LoraWeight`. Arrays that were trained densely stay as they
    are."""
    return jax.tree_util.tree_map(
        lambda x: x.w if isinstance(x, LoraWeight) else x, params, is_leaf=is_lora
    )
