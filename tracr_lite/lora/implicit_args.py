"""`use_implicit_args`: a function of arrays becomes one that takes low-rank weights too."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core

import tracr_lite.lora.rules as _rules
from tracr_lite.lora.errors import LoraError, MaterializationError, MaterializationWarning
from tracr_lite.lora.implicit import Implicit, from_weight, to_weight
from tracr_lite.lora.interpreter import OUTPUT, STRICT, Problem, Result, interpret
from tracr_lite.lora.paths import key_name, path_name
from tracr_lite.lora.weight import EmptyNode, LoraWeight, check_floats, is_lora

assert _rules  # importing it registers the rules


def use_implicit_args(f: Callable[..., Any], *, strict: bool = False) -> Callable[..., Any]:
    """`f`, which was written for arrays, with `LoraWeight`s allowed in its arguments.

    The result is that of the dense weights, up to rounding, but b @ a is never computed: `x @
    w` runs as `x @ w + scale * (x @ b) @ a`, an embedding looks up rows of `w` and of `b`, and
    so on. All other arguments reach `f` untouched. `jit`, `grad`, `vmap`, `scan`, `remat` may
    stand inside and outside.

    **Arguments:** `strict`: refuse, instead of warning, where the dense weight is needed.
    **Returns:** a function with the arguments of `f`. Weights that `f` passes on, casts or
    transposes come out as `LoraWeight`s.
    **Raises:** when called, `MaterializationError` in strict mode, listing every primitive and
    parameter; otherwise those are a `MaterializationWarning` each, and dense.
    """

    @functools.wraps(f)
    def implicit_f(*args: Any, **kwargs: Any) -> Any:
        paths, tree = jax.tree_util.tree_flatten_with_path((args, kwargs), is_leaf=is_lora)
        leaves = [leaf for _, leaf in paths]
        where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, LoraWeight)]
        if not where:
            return f(*args, **kwargs)
        names = [
            path_name(paths[i][0][2:]) or f"argument {key_name(paths[i][0][1])}" for i in where
        ]
        values = [_checked(leaves[i], name) for i, name in zip(where, names, strict=True)]
        traced = _Traced(f, leaves, tree, where)
        closed = jax.make_jaxpr(traced)(*(value.w for value in values))
        token = STRICT.set(strict)
        try:
            known = [*(None for _ in closed.consts), *names]
            result = interpret(closed.jaxpr, [*closed.consts, *values], known)
        finally:
            STRICT.reset(token)
        outs = _as_weights(result)
        _tell(result.problems, len(closed.consts), names, strict)
        return traced.restored(outs)

    return implicit_f


class _Traced:
    """`f` as a function of the dense weights alone; remembers what else it returned."""

    def __init__(self, f: Callable[..., Any], leaves: list[Any], tree: Any, where: list[int]):
        self.f, self.leaves, self.tree, self.where = f, leaves, tree, where
        self.out_leaves: list[Any] = []
        self.out_tree: Any = None

    def __call__(self, *weights: Any) -> list[Any]:
        leaves = list(self.leaves)
        for i, weight in zip(self.where, weights, strict=True):
            leaves[i] = weight
        args, kwargs = jax.tree_util.tree_unflatten(self.tree, leaves)
        self.out_leaves, self.out_tree = jax.tree_util.tree_flatten(self.f(*args, **kwargs))
        return [leaf for leaf in self.out_leaves if isinstance(leaf, jax.core.Tracer)]

    def restored(self, outs: Sequence[Any]) -> Any:
        """The result of `f`, with values for what was traced."""
        values = iter(outs)
        leaves = [
            next(values) if isinstance(leaf, jax.core.Tracer) else leaf
            for leaf in self.out_leaves
        ]
        return jax.tree_util.tree_unflatten(self.out_tree, leaves)


def _checked(weight: LoraWeight, name: str) -> Implicit:
    for part, leaf in (("w", weight.w), ("a", weight.a), ("b", weight.b)):
        if not hasattr(leaf, "shape"):
            what = "is missing" if leaf is EmptyNode else f"is {leaf!r}, not an array"
            raise LoraError(
                f"{part} of the LoraWeight {name!r} {what}; if this tree is one half of a "
                "partition, join it with the other half first"
            )
    check_floats(weight.w, f"w of the LoraWeight {name!r}")
    return from_weight(weight)


def _as_weights(result: Result) -> list[Any]:
    """The outputs; what is no longer a matrix with factors is made dense."""
    outs: list[Any] = []
    for out, origin in zip(result.outs, result.origins, strict=True):
        weight = to_weight(out) if isinstance(out, Implicit) else out
        if weight is None and origin is not None:
            result.problems.append((OUTPUT, origin))
            weight = out.dense()
        outs.append(weight)
    return outs


def _tell(problems: list[Problem], consts: int, names: list[str], strict: bool) -> None:
    """One warning per primitive and parameter, or one error with all of them."""
    found = list(dict.fromkeys((primitive, names[i - consts]) for primitive, i in problems))
    if found and strict:
        raise MaterializationError(found)
    for primitive, name in found:
        if primitive == OUTPUT:
            what = f"The low-rank weight {name!r} is returned in a form that no LoraWeight has"
        else:
            what = f"Primitive {primitive} was not handled for the low-rank weight {name!r}"
        warnings.warn(
            f"{what}: it will be materialized, at the time and memory of the dense weight",
            MaterializationWarning,
            stacklevel=3,
        )
