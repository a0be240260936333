"""exp(-t) with the bits of `sampler_exp.exp_of_minus`, for compiled code.

In float64, 8 numbers at a time, and rounded: that is the same unless a number lies so close to
the middle of two float32 that the two may round to different sides. Those, one in 250, and the
smallest results are computed as there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracr_lite.llama.native.edge import compiled_strictly
from tracr_lite.llama.sampler_exp import BELOW, LIMIT, LN2_HIGH, LN2_REST, TABLE, TABLE_LOW

F32, F64, I64, U64 = np.float32, np.float64, np.int64, np.uint64
SMALL = F64(86)  # from here on the result may have fewer bits than others
LOG2_E = F64(1 / math.log(2))
HIGH = F64(math.floor(math.log(2) * 2**40) / 2**40)  # times small integers it is exact
LOW = F64(math.log(2) - math.floor(math.log(2) * 2**40) / 2**40)
TERMS = tuple(F64(1 / math.factorial(n)) for n in range(2, 13))
BETWEEN, MIDDLE = I64((1 << 29) - 1), I64(1 << 28)  # bits of a float64 that a float32 lacks
# Here the error is below 2**-50 of the result, and there below 2**-36: with room, in such bits.
CLOSE = I64(1 << 19)
BITS, BYTE = I64(0xFFFFFFFF), I64(255)
T64, T64_LOW = TABLE.astype(np.int64), TABLE_LOW.astype(np.int64)
NAN = F32(np.nan)


@compiled_strictly
def exps_of_minus(t: np.ndarray, out: np.ndarray) -> None:
    """`exp_of_minus` of each number: float32 from 0 up to infinity."""
    (c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12) = TERMS
    for i in range(len(t)):
        x = F64(t[i]) if F64(t[i]) < SMALL else F64(0)
        k = np.floor(x * LOG2_E + F64(0.5))
        r = (k * HIGH - x) + k * LOW
        p = c9 + r * (c10 + r * (c11 + r * c12))
        p = c5 + r * (c6 + r * (c7 + r * (c8 + r * p)))
        p = F64(1) + r * (F64(1) + r * (c2 + r * (c3 + r * (c4 + r * p))))
        value = p * I64((I64(1023) - I64(k)) << I64(52)).view(np.float64)
        far = abs((F64(value).view(np.int64) & BETWEEN) - MIDDLE) > CLOSE
        out[i] = F32(value) if far and F64(t[i]) < SMALL else NAN
    for i in range(len(t)):
        if out[i] != out[i]:
            out[i] = exactly(t[i])


@compiled_strictly
def exactly(t: Any) -> Any:
    """`exp_of_minus` of one number, step by step."""
    if not t < F32(LIMIT):
        return F32(0)
    k = I64(t * BELOW)
    scaled = (t - F32(k) * LN2_HIGH) * F32(65536)
    high = I64(scaled)
    low = I64((scaled - F32(high)) * F32(1 << 24))
    rest = k * I64(LN2_REST >> 16) + (k * I64(LN2_REST & 0xFFFF) >> I64(16))
    low -= rest & I64(0xFFFFFF)
    high -= (rest >> I64(24)) + I64(low < 0)
    low = I64(0) if high < 0 else low & I64(0xFFFFFF)
    high = max(high, I64(0))
    j, s = high >> I64(8), (high & BYTE) << I64(24) | low
    square = _high_half(s, s)
    cube = _high_half(square, s)
    fourth = _high_half(cube, s)
    q = s - (square >> I64(9)) + (cube // I64(6) >> I64(16)) - (fourth // I64(24) >> I64(24))
    product = _high_half(T64[j], q)
    below = T64_LOW[j] + I64(256) - (product & BYTE)
    top = (T64[j] - (product >> I64(8)) - I64(1) + (below >> I64(8))) & BITS
    return _rounded(k, top, below & BYTE)


@compiled_strictly
def _high_half(a: Any, b: Any) -> Any:
    return I64(U64(a) * U64(b) >> U64(32))


@compiled_strictly
def _rounded(k: Any, top: Any, below: Any) -> Any:
    """The float32 nearest to 2**-k * (top * 2**-32 + below * 2**-40), ties to even."""
    if top == 0:
        return F32(1)
    if not top >> I64(31):
        top, below = top << I64(1) | below >> I64(7), below << I64(1) & BYTE
        k += I64(1)
    if k >= 150:
        return F32(0)
    value = top >> I64(1) | top & I64(1) | I64(below != 0)
    drop = I64(7) + min(max(k - I64(125), I64(0)), I64(24))
    kept = value >> drop
    rest, half = value - (kept << drop), I64(1) << (drop - I64(1))
    up = I64(rest > half or (rest == half and kept & I64(1) == 1))
    bits = (max(I64(125) - k, I64(0)) << I64(23)) + kept + up
    return np.int32(bits).view(np.float32)
