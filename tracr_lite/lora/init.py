"""Adapters that start at nothing: `init_lora_parameters`, and the start of PiSSA."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax is typed in part only)

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.paths import Patterns
from tracr_lite.lora.specs import aligned
from tracr_lite.lora.weight import LoraWeight, is_lora, mixed_types

Alpha = float | Mapping[str, float]
Stacked = bool | Mapping[str, bool] | None


def init_lora_parameters(
    param_tree: Any,  # any tree of arrays
    lora_spec: Any,
    dtype: Any = jnp.float32,
    rng: jax.Array | None = None,
    stddev: float = 0.01,
    alpha: Alpha = 1.0,
    is_leaf: Callable[[Any], bool] | None = None,
    *,
    stacked: Stacked = None,
    rank_stabilised: bool = False,
) -> Any:
    """The tree with a `LoraWeight` where the spec says a rank; all start unchanged.

    - Matrices [in, out], stacks of them [layers, in, out]: `b` zero, `a` normal, in `dtype`.
    - Kernels [*window, in, out]: `b` normal, `a` zero, in the dtype of the kernel.

    **Arguments:**
    - `rng`: key for all of them; None is `PRNGKey(0)`. `stddev`: of what is not zero.
    - `alpha`: the change is scaled by alpha / rank; or regular expressions with their alphas.
    - `is_leaf`: as for `jax.tree.map`. `stacked`: are arrays of three or more axes stacks?
      True, False, or by regular expression; None: with three, unless the path says `conv`.
    - `rank_stabilised`: scale by alpha / sqrt(rank) (Kalajdzievski 2023, arXiv:2312.03732).

    **Returns:** frozen and fully trained arrays as the same objects.
    **Raises:** `LoraError` for ranks on vectors, integers, or above the smaller side.
    """
    chain = jax.random.PRNGKey(0) if rng is None else rng
    found = aligned(param_tree, lora_spec, lambda x: is_lora(x) or bool(is_leaf and is_leaf(x)))
    _check_used((alpha, stacked), found[0], found[2])
    alphas, is_stack = _alphas(alpha, rank_stabilised), stacks(stacked)
    made: list[Any] = []
    for name, leaf, rank in zip(*found[:3], strict=True):
        if rank > 0:
            chain, key = jax.random.split(chain)
            random, scale = (key, stddev, dtype), alphas(name, rank)
            made.append(_start(name, leaf, rank, random, scale, is_stack(name, leaf)))
        else:
            made.append(leaf)
    return jax.tree_util.tree_unflatten(found[3], made)


def _check_used(arguments: tuple[Alpha, Stacked], every: list[str], ranks: list[int]) -> None:
    """A pattern that chooses nothing is misspelt, save '', which stands for the rest."""
    names = [name for name, rank in zip(every, ranks, strict=True) if rank > 0]
    for values in arguments:
        if isinstance(values, Mapping):
            patterns = Patterns({pattern: True for pattern in values if pattern})
            for name in names:
                patterns.find(name)
            patterns.check_all_used(names)


def _alphas(alpha: Alpha, rank_stabilised: bool) -> Callable[[str, int], float]:
    """The alpha of a path and its rank."""
    patterns = Patterns(alpha if isinstance(alpha, Mapping) else {"": alpha})

    def find(name: str, rank: int) -> float:
        found = patterns.find(name)
        if found is None:
            raise LoraError(f"no pattern of alpha fits {name!r}; end them with '' for the rest")
        return found * math.sqrt(rank) if rank_stabilised else found

    return find


def stacks(stacked: Stacked) -> Callable[[str, Any], bool]:
    """Whether an array is a stack of matrices."""
    patterns = Patterns(stacked) if isinstance(stacked, Mapping) else None

    def find(name: str, leaf: Any) -> bool:
        chosen = patterns.find(name) if patterns else stacked
        if isinstance(chosen, bool):
            return chosen
        return jnp.ndim(leaf) == 3 and "conv" not in name.lower()

    return find


def _start(
    name: str,
    w: Any,
    rank: int,
    random: tuple[jax.Array, float, Any],
    alpha: float,
    is_stack: bool,
) -> LoraWeight:
    key, stddev, dtype = random
    _check(name, w, rank, is_stack)
    *leading, ins, outs = w.shape
    if w.ndim == 2 or is_stack:
        a = stddev * jax.random.normal(key, (*leading, rank, outs), dtype)
        return LoraWeight(w, a, jnp.zeros((*leading, ins, rank), dtype), alpha)
    b = stddev * jax.random.normal(key, (*leading, ins, rank), w.dtype)
    return LoraWeight(w, jnp.zeros((*(1 for _ in leading), rank, outs), w.dtype), b, alpha)


def _check(name: str, w: Any, rank: int, is_stack: bool) -> None:
    if isinstance(w, LoraWeight):
        raise LoraError(f"{name!r} is a LoraWeight already; merge it first, or freeze it")
    shape = jnp.shape(w)
    if len(shape) < 2:
        raise LoraError(
            f"{name!r} has shape {shape}: a rank needs two axes; use LORA_FULL to train it"
        )
    if not jnp.issubdtype(w.dtype, jnp.inexact):
        raise LoraError(f"{name!r} holds {w.dtype}; low-rank changes need floats")
    ins = math.prod(shape[:-1]) if len(shape) > 2 and not is_stack else shape[-2]
    if rank > min(ins, shape[-1]):
        raise LoraError(
            f"rank {rank} for {name!r} of shape {shape}: more than {min(ins, shape[-1])} "
            "changes nothing more; use LORA_FULL for a dense change"
        )


def pissa_init(params: Any) -> Any:  # any tree
    """Every `LoraWeight` with its principal part in `a` and `b`, and the rest in `w`.

    With w = U S V, b is U sqrt(S) and a is sqrt(S) V for the `rank` largest singular values,
    over the scale. The dense weights stay what they are, up to rounding; `w` changes, so keep
    the base. Matrices and stacks of matrices; other leaves are returned as they are.

    **Raises:** `LoraError` for kernels of convolutions, whose factors cannot hold it, and for
    an alpha that is not positive.
    Source: Meng et al. 2024, arXiv:2404.02948, section 3.
    """
    return jax.tree_util.tree_map(
        lambda x: _principal(x) if is_lora(x) else x, params, is_leaf=is_lora
    )


def _principal(weight: LoraWeight) -> LoraWeight:
    if weight.a.shape[:-2] != weight.shape[:-2] or weight.b.shape[:-2] != weight.shape[:-2]:
        raise LoraError(f"a kernel of shape {weight.shape} has no principal part of this form")
    if weight.alpha <= 0:
        raise LoraError(f"PiSSA needs an alpha above 0; got {weight.alpha}")
    with mixed_types():
        return _without_principal(weight)


def _without_principal(weight: LoraWeight) -> LoraWeight:
    w = jnp.asarray(weight.w, jnp.promote_types(weight.dtype, jnp.float32))
    u, s, v = jnp.linalg.svd(w, full_matrices=False)
    r = weight.rank
    root = jnp.sqrt(s[..., :r] / weight.get_scale())
    b = (u[..., :r] * root[..., None, :]).astype(weight.b.dtype)
    a = (root[..., :, None] * v[..., :r, :]).astype(weight.a.dtype)
    change = LoraWeight(w, a, b, weight.alpha).delta()
    return LoraWeight((w - change).astype(weight.dtype), a, b, weight.alpha)
