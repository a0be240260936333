"""Sums of adapters, and smaller ones that do nearly the same.

    sum_i c_i b_i a_i = [c_1 b_1, c_2 b_2, ...] [a_1; a_2; ...]

so a sum is exact when the factors are laid side by side, at the sum of the ranks. The best
adapter of a smaller rank comes from the singular values of the product, which are those of a
matrix no larger than the rank: with b = Q R and a^T = P T, b a = Q (R T^T) P^T.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax and numpy are typed in part only)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from tracr_lite.lora.adapters import Adapter, factors
from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.weight import LoraWeight, mixed_types


@dataclass(frozen=True)
class Fit:
    """How well a change of some rank stands for another one.

    - `rank`: of the change.
    - `error`: Frobenius norm of the difference, relative to that of what it stands for.
    - `largest`: largest absolute difference of one number.
    """

    rank: int
    error: float
    largest: float


def concatenate(adapters: Sequence[Adapter], weights: Sequence[float] | None = None) -> Adapter:
    """The weighted sum of adapters, exactly: their factors side by side.

    **Raises:** `LoraError` if a parameter was trained densely in more than one of them, or in
    one whose weight is not 1: what that would mean depends on the base.
    """
    scales = [1.0] * len(adapters) if weights is None else [float(x) for x in weights]
    if len(scales) != len(adapters):
        raise LoraError(f"{len(adapters)} adapters, but {len(scales)} weights")
    if not np.isfinite(scales).all():
        raise LoraError(f"the weights must be finite; got {scales}")
    if len(adapters) == 1 and scales == [1.0]:
        return adapters[0]
    names = list(dict.fromkeys(name for each in adapters for name in each.weights))
    summed = {
        name: _side_by_side(
            name,
            [
                (each.weights[name], scale)
                for each, scale in zip(adapters, scales, strict=True)
                if name in each.weights
            ],
        )
        for name in names
    }
    return Adapter(summed, _full(adapters, scales))


def _side_by_side(name: str, parts: list[tuple[LoraWeight, float]]) -> LoraWeight:
    sides = {
        (x.b.shape[:-1], (*x.a.shape[:-2], x.a.shape[-1])) for x, _ in parts
    }  # all but the rank
    if len(sides) > 1:
        shapes = ", ".join(f"b {x.b.shape} a {x.a.shape}" for x, _ in parts)
        raise LoraError(f"{name}: these are changes of different weights: {shapes}")
    with mixed_types():
        b = jnp.concatenate([x.b * (scale * x.get_scale()) for x, scale in parts], axis=-1)
        a = jnp.concatenate([x.a for x, _ in parts], axis=-2)
    return factors(a, b, float(b.shape[-1]))


def _full(adapters: Sequence[Adapter], scales: Sequence[float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for adapter, scale in zip(adapters, scales, strict=True):
        for name, array in adapter.full.items():
            if name in found or scale != 1:
                raise LoraError(
                    f"{name} was trained densely, so a weighted sum of it is not defined by "
                    "the adapters; make the change low-rank with from_delta first"
                )
            if any(name in each.weights for each in adapters):
                raise LoraError(f"{name} is replaced by one adapter and changed by another")
            found[name] = array
    return found


def compress(
    adapter: Adapter, *, rank: int | None = None, tolerance: float | None = None
) -> tuple[Adapter, dict[str, Fit]]:
    """The best adapter of smaller ranks, by singular values, and how far it is off.

    **Arguments:** `rank`: the largest rank to keep; `tolerance`: the largest relative error,
    which is reached with the smallest rank that does. Give one or both; with both, the rank
    limits.
    **Returns:** the adapter, in the types it had, and a `Fit` per parameter.
    """
    check_limits(rank, tolerance)
    weights: dict[str, LoraWeight] = {}
    fits: dict[str, Fit] = {}
    for name, weight in adapter.weights.items():
        check_real(name, weight.b, weight.a)
        b, a = (np.asarray(x, np.float64) for x in (weight.b, weight.a))
        shared = b.ndim > 2 and all(n == 1 for n in a.shape[:-2])
        rows = b.reshape(-1, b.shape[-1]) if shared else b
        columns = a.reshape(a.shape[-2:]) if shared else a
        q, r = np.linalg.qr(weight.get_scale() * rows)
        p, t = np.linalg.qr(np.swapaxes(columns, -1, -2))
        u, s, v = np.linalg.svd(r @ np.swapaxes(t, -1, -2))
        kept = enough(s, rank, tolerance)
        root = np.sqrt(s[..., :kept])
        new_b = (q @ u[..., :, :kept]) * root[..., None, :]
        new_a = root[..., :, None] * (v[..., :kept, :] @ np.swapaxes(p, -1, -2))
        small = factors(
            jnp.asarray(new_a.reshape(*a.shape[:-2], kept, a.shape[-1]), weight.a.dtype),
            jnp.asarray(new_b.reshape(*b.shape[:-1], kept), weight.b.dtype),
            float(max(kept, 1)),
        )
        weights[name] = small
        exact = weight.get_scale() * (b @ a)
        fits[name] = fit(exact, small)
    return Adapter(weights, adapter.full), fits


def add(
    adapters: Sequence[Adapter],
    weights: Sequence[float] | None = None,
    *,
    rank: int | None = None,
    tolerance: float = 1e-6,
) -> Adapter:
    """The weighted sum of adapters, at no higher rank than it needs. **Raises:** as both."""
    return compress(concatenate(adapters, weights), rank=rank, tolerance=tolerance)[0]


def check_limits(rank: int | None, tolerance: float | None) -> None:
    """**Raises:** `LoraError` unless there is one limit at least, and it makes sense."""
    if rank is None and tolerance is None:
        raise LoraError("say what to keep: rank=..., tolerance=..., or both")
    if rank is not None and (isinstance(rank, bool) or not hasattr(rank, "__index__")):
        raise LoraError(f"the rank must be an int; got {rank!r}")
    if rank is not None and rank < 1:
        raise LoraError(f"the rank must be 1 or more; got {rank}")
    if tolerance is not None and not tolerance >= 0:
        raise LoraError(f"the tolerance must not be negative; got {tolerance}")


def check_real(name: str, *arrays: Any) -> None:
    """**Raises:** `LoraError` for complex numbers, of which singular values are not taken."""
    if any(jnp.issubdtype(x.dtype, jnp.complexfloating) for x in arrays):
        raise LoraError(f"{name} holds complex numbers; only real ones are decomposed")


def enough(s: np.ndarray, rank: int | None, tolerance: float | None) -> int:
    """How many singular values [..., n] to keep so that every matrix is close enough."""
    rest = np.sqrt(np.cumsum(s[..., ::-1] ** 2, axis=-1))[..., ::-1]  # norm from here on
    rounding = np.finfo(float).eps * s.shape[-1]
    limit = max(rounding, 0.0 if tolerance is None else tolerance) * rest[..., :1]
    kept = int((rest > limit).sum(axis=-1).max(initial=0))
    return max(min(kept, kept if rank is None else rank), min(1, s.shape[-1]))


def fit(exact: np.ndarray, weight: LoraWeight) -> Fit:
    """How well the factors stand for a dense change."""
    b, a = (np.asarray(x, np.float64) for x in (weight.b, weight.a))
    difference = exact - weight.get_scale() * (b @ a)
    norm = float(np.linalg.norm(exact))
    error = float(np.linalg.norm(difference))
    relative = error / norm if norm else float(error > 0)
    return Fit(weight.rank, relative, float(np.abs(difference).max(initial=0.0)))
