"""Functions of numbers and of single rows, for compiled code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracr_lite.llama.native.edge import compiled, compiled_strictly
from tracr_lite.llama.native.heads import gate_vectors
from tracr_lite.llama.native.vectors import LANES

F32 = np.float32
LOG2_E = F32(1 / math.log(2))
LN2_HIGH = F32(45426 / 65536)  # 16 bits, so that small multiples of it are exact
LN2_LOW = F32(math.log(2) - 45426 / 65536)
LOWEST, HIGHEST = F32(-87.0), F32(88.0)  # beyond them the result is not a normal number
C2, C3, C4, C5, C6, C7 = (F32(1 / math.factorial(n)) for n in range(2, 8))
ONE, HALF = F32(1), F32(0.5)


@compiled_strictly
def exp(x: Any) -> Any:
    """exp(x) within 2e-7 of itself, in steps that fill vectors; cut at exp(-87) and exp(88).

    x = k ln 2 + r with |r| < 0.35; the series of exp(r) up to r**7; its exponent plus k.
    """
    inside = x if x > LOWEST else LOWEST
    inside = inside if inside < HIGHEST else HIGHEST
    k = np.floor(inside * LOG2_E + HALF)
    r = inside - k * LN2_HIGH - k * LN2_LOW
    series = C4 + r * (C5 + r * (C6 + r * C7))
    series = ONE + r * (ONE + r * (C2 + r * (C3 + r * series)))
    power = np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
    return series * power if x == x else x  # NaN stays NaN


@compiled
def normalize(x: np.ndarray, weight: np.ndarray, eps: float, out: np.ndarray) -> None:
    """RMSNorm of one row: Zhang and Sennrich 2019, arXiv:1910.07467."""
    total = F32(0)
    for i in range(len(weight)):
        total += x[i] * x[i]
    factor = F32(ONE / np.sqrt(total / F32(len(weight)) + F32(eps)))
    for i in range(len(weight)):
        out[i] = weight[i] * (x[i] * factor)


@compiled
def gate(row: np.ndarray, first: int, last: int, hidden: int) -> None:
    """SwiGLU: `row[i] = silu(row[i]) * row[hidden + i]`. Shazeer 2020, arXiv:2002.05202."""
    vectors, start = (last - first) // LANES, row.ctypes.data
    gate_vectors(start + first * 4, start + (hidden + first) * 4, vectors)
    for i in range(first + vectors * LANES, last):
        value = row[i]
        row[i] = value / (ONE + exp(-value)) * row[hidden + i]


@compiled
def turn(row: np.ndarray, at: int, cos: np.ndarray, sin: np.ndarray) -> None:
    """Turns the pairs (2i, 2i + 1) of a head that starts at `at`: arXiv:2104.09864."""
    for i in range(len(cos)):
        even, odd = row[at + 2 * i], row[at + 2 * i + 1]
        row[at + 2 * i] = even * cos[i] - odd * sin[i]
        row[at + 2 * i + 1] = even * sin[i] + odd * cos[i]


@compiled
def widened(number: Any) -> Any:
    """The bfloat16 whose bits an int16 holds."""
    return np.int32(np.int32(number) << np.int32(16)).view(np.float32)


@compiled
def rounded_to_bfloat16(row: np.ndarray, count: int) -> None:
    """Rounds numbers to bfloat16, half to even; NaN and infinities stay."""
    for i in range(count):
        value = F32(row[i])
        bits = value.view(np.uint32)
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        near = np.uint32((bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000))
        row[i] = near.view(np.float32) if abs(value) < F32(np.inf) else value


@compiled_strictly
def rounded_to_q80(row: np.ndarray, scales: np.ndarray, groups: int, size: int) -> None:
    """Rounds groups of numbers to integers from -127 to 127, and gives their scales.

    Halves go away from zero, a group of zeros has scale 0. Numbers that are not finite give
    NaN, in the group or all over it. Source: llama2.c, runq.c, `quantize` (350e04f).
    """
    for g in range(groups):
        largest = F32(0)
        for i in range(g * size, (g + 1) * size):
            if abs(row[i]) > largest:
                largest = abs(row[i])
        scale = F32(largest / F32(127))
        divisor = scale if scale != 0 else ONE
        for i in range(g * size, (g + 1) * size):
            ratio = F32(row[i] / divisor)
            row[i] = np.trunc(ratio + (HALF if ratio > 0 else -HALF))
        scales[g] = scale
