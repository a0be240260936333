"""exp(-t) for t >= 0 in float32 from integer arithmetic: the same bits on every machine.

XLA, numpy and C each have an `expf` of their own, and they differ in the last bit. This one is
made of exact steps only, with numpy or with jax.numpy, so the two agree bit for bit:

    t = k ln 2 + j / 256 + s            k, j integers, 0 <= s < 1/256, in units of 2**-40
    exp(-t) = 2**-k * TABLE[j] * (1 - q),   q = 1 - exp(-s) = s - s**2/2 + s**3/6 - s**4/24

The error before the last rounding is below 2**-37, so the result is the correctly rounded one
save for about one argument in a hundred thousand.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from types import ModuleType
from typing import Any

import numpy as np

LIMIT = 104.0  # from here on the result is zero
# A little less than 1 / ln 2, so that k is never too large even after rounding t * BELOW.
BELOW = np.float32(1.4426944)
LN2_HIGH = np.float32(45426 / 65536)  # 16 bits: times k it is exact


def _constants() -> tuple[int, np.ndarray, np.ndarray]:
    """The rest of ln 2 in 2**-56; exp(-j/256) in 2**-32, and what that leaves in 2**-40."""
    with localcontext() as context:
        context.prec = 40
        rest = (Decimal(2).ln() - Decimal(45426) / 65536) * 2**56
        values = [int((Decimal(-j) / 256).exp() * 2**40 + Decimal("0.5")) for j in range(180)]
    high = [min(value >> 8, 0xFFFFFFFF) for value in values]  # exp(0) has nine bits below
    low = [value - (top << 8) for value, top in zip(values, high, strict=True)]
    return int(rest + Decimal("0.5")), np.array(high, np.uint32), np.array(low, np.uint32)


LN2_REST, TABLE, TABLE_LOW = _constants()


def exp_of_minus(xp: ModuleType, t: Any) -> Any:
    """`exp(-t)`, element by element.

    **Arguments:** `xp`: `numpy` or `jax.numpy`. `t`: float32 array of that module, at least one
    axis, no negative number and no NaN; infinity is allowed.
    """
    inside = xp.where(t < LIMIT, t, xp.float32(0))
    k, high, low = _reduce(xp, inside)
    j = high >> 8
    q = _one_minus_exp(xp, (high & 255) << 24 | low)
    product = _high_half(xp.asarray(TABLE)[j], q)  # units of 2**-40, like q
    below = xp.asarray(TABLE_LOW)[j] + 256 - (product & 255)
    top = xp.asarray(TABLE)[j] - (product >> 8) - 1 + (below >> 8)
    bits = _round(xp, k, top, below & 255)
    return xp.where(t < LIMIT, bits.view(xp.float32), xp.float32(0))


def _reduce(xp: ModuleType, t: Any) -> tuple[Any, Any, Any]:
    """k, and t - k ln 2 as 16 bits in units of 2**-16 and 24 bits in units of 2**-40."""
    k = (t * BELOW).astype(xp.int32)
    scaled = (t - k.astype(xp.float32) * LN2_HIGH) * xp.float32(65536)  # exact
    high = scaled.astype(xp.int32)
    low = ((scaled - high.astype(xp.float32)) * xp.float32(1 << 24)).astype(xp.int32)
    rest = k * xp.int32(LN2_REST >> 16) + (k * xp.int32(LN2_REST & 0xFFFF) >> 16)
    low = low - (rest & 0xFFFFFF)
    high = high - (rest >> 24) - (low < 0).astype(xp.int32)
    low = xp.where(high < 0, 0, low & 0xFFFFFF)  # below zero by rounding only
    return k, xp.maximum(high, 0).astype(xp.uint32), low.astype(xp.uint32)


def _one_minus_exp(xp: ModuleType, s: Any) -> Any:
    """1 - exp(-s) for s < 1/256; both in units of 2**-40."""
    square = _high_half(s, s)  # 2**-48
    cube = _high_half(square, s)  # 2**-56
    fourth = _high_half(cube, s)  # 2**-64
    return s - (square >> 9) + (cube // 6 >> 16) - (fourth // 24 >> 24)


def _high_half(a: Any, b: Any) -> Any:
    """The upper 32 of the 64 bits of a product of uint32 arrays."""
    a1, a0, b1, b0 = a >> 16, a & 0xFFFF, b >> 16, b & 0xFFFF
    middle = (a0 * b0 >> 16) + (a1 * b0 & 0xFFFF) + (a0 * b1 & 0xFFFF)
    return a1 * b1 + (a1 * b0 >> 16) + (a0 * b1 >> 16) + (middle >> 16)


def _round(xp: ModuleType, k: Any, top: Any, below: Any) -> Any:
    """The float32 bits nearest to 2**-k * (top * 2**-32 + below * 2**-40), ties to even.

    `top` of 0 stands for 2**32: one, at t = 0 and next to it.
    """
    one = top == 0
    small = (top >> 31 == 0) & ~one
    top = xp.where(small, top << 1 | below >> 7, top)
    below = xp.where(small, below << 1 & 255, below)
    k = k + small.astype(xp.int32)
    value = top >> 1 | top & 1 | (below != 0).astype(xp.uint32)  # 31 bits, the last one sticky
    exponent = xp.maximum(125 - k, 0).astype(xp.uint32)
    drop = xp.uint32(7) + xp.clip(k - 125, 0, 24).astype(xp.uint32)  # subnormals lose more
    kept = value >> drop
    rest = value - (kept << drop)
    half = xp.ones_like(drop) << (drop - 1)
    up = (rest > half) | (rest == half) & (kept & 1 == 1)
    bits = (exponent << 23) + kept + up.astype(xp.uint32)
    return xp.where(one, xp.uint32(0x3F800000), xp.where(k >= 150, xp.uint32(0), bits))
