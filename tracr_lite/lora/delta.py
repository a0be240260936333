"""From two sets of weights to the low-rank adapter that turns one into the other.

The best approximation of a matrix by one of rank r keeps its r largest singular values (Eckart
and Young 1936). Where two compiled programs differ in a few rows and columns, the change has a
small rank, and the adapter is exact up to rounding: a patch from one program to the other.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax and numpy are typed in part only)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from tracr_lite.lora.adapters import Adapter, factors, named
from tracr_lite.lora.combining import Fit, check_limits, enough, fit
from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.init import Stacked, stacks
from tracr_lite.lora.weight import LoraWeight


def from_delta(
    base: Any,
    tuned: Any,
    *,
    rank: int | None = None,
    tolerance: float | None = None,
    stacked: Stacked = None,
) -> tuple[Adapter, dict[str, Fit]]:
    """The adapter that best turns `base` into `tuned`.

    Matrices that differ get a low-rank change; vectors and integers that differ are replaced;
    what does not differ is not in the adapter.

    **Arguments:**
    - `base`, `tuned`: trees of arrays with the same names and shapes.
    - `rank`: the largest rank to use; `tolerance`: the largest error, relative to the change,
      in the Frobenius norm; the smallest rank that reaches it is used. One or both.
    - `stacked`: as for `init_lora_parameters`; a stack has one rank, that of its worst layer.

    **Returns:** the adapter, and a `Fit` per changed matrix: rank and error.
    **Raises:** `LoraError` listing names and shapes that differ, and numbers not finite.
    """
    check_limits(rank, tolerance)
    before, after = named(base), named(tuned)
    _check(before, after)
    is_stack = stacks(stacked)
    weights: dict[str, LoraWeight] = {}
    full: dict[str, Any] = {}
    fits: dict[str, Fit] = {}
    for name, old in before.items():
        change = np.asarray(after[name], np.float64) - np.asarray(old, np.float64)
        if not change.any():
            continue
        dtype = np.asarray(old).dtype
        if change.ndim < 2 or not jnp.issubdtype(dtype, jnp.inexact):
            full[name] = after[name]
            continue
        weights[name] = _truncated(change, is_stack(name, old), (rank, tolerance), dtype)
        fits[name] = fit(change, weights[name])
    return Adapter(weights, full), fits


def _check(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    problems = [f"{name}: only in one of them" for name in before.keys() ^ after.keys()]
    for name in before.keys() & after.keys():
        one, two = before[name], after[name]
        if isinstance(one, LoraWeight) or isinstance(two, LoraWeight):
            problems.append(f"{name}: has an adapter; merge it first")
        elif np.shape(one) != np.shape(two):
            problems.append(f"{name}: {np.shape(one)} and {np.shape(two)}")
        elif np.iscomplexobj(one) or np.iscomplexobj(two):
            problems.append(f"{name}: complex numbers")
        elif not (_finite(one) and _finite(two)):
            problems.append(f"{name}: not all numbers are finite")
    if problems:
        raise LoraError(
            "\n  - ".join(["the two sets of weights cannot be compared", *sorted(problems)])
        )


def _finite(x: Any) -> bool:
    return bool(np.isfinite(np.asarray(x, np.float64)).all())


def _truncated(
    change: np.ndarray, stack: bool, limits: tuple[int | None, float | None], dtype: Any
) -> LoraWeight:
    """A change as factors. Rows and columns of zeros are left out of the decomposition."""
    dtype = jnp.promote_types(dtype, jnp.float32)  # 16 bits would miss the tolerance
    *leading, ins, outs = change.shape
    matrices = change.reshape(-1, ins, outs) if stack else change.reshape(1, -1, outs)
    rows, columns = matrices.any(axis=(0, 2)), matrices.any(axis=(0, 1))
    u, s, v = np.linalg.svd(matrices[:, rows][:, :, columns], full_matrices=False)
    kept = enough(s, *limits)
    root = np.sqrt(s[:, :kept])
    b = np.zeros((*matrices.shape[:2], kept))
    a = np.zeros((len(matrices), kept, outs))
    b[:, rows] = u[:, :, :kept] * root[:, None, :]
    a[:, :, columns] = root[:, :, None] * v[:, :kept, :]
    shape = leading if stack else [1] * len(leading)
    return factors(
        jnp.asarray(a.reshape(*shape, kept, outs), dtype),
        jnp.asarray(b.reshape(*change.shape[:-1], kept), dtype),
        float(kept),
    )
