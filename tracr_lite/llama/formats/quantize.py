"""Q8_0: groups of a row-major tensor as int8 with one float32 scale each.

    scale = float32(max |w| / 127)        true division; times 1/127 gives other bits
    q     = rint(float32(w / scale))      half to even, in [-127, 127]
    w'    = q * scale                     in float32; |w - w'| <= scale / 2, and its rounding

A group of zeros, or one so small that its scale is 0, has q = 0 and scale 0. Where the scale
is subnormal (|w| below 1e-36) it is rounded coarsely and w / scale can pass 127: q is then cut
to 127, where the exporter of llama2.c wraps around to the other sign.
Source: llama2.c, export.py, `quantize_q80` (350e04f).
"""

from __future__ import annotations

from math import gcd

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import CannotStore
from tracr_lite.llama.weights import Quantized, Tensor, to_float32

GROUP_SIZE = 64  # where the back-off starts
LARGEST = np.float32(127)


def choose_group_size(config: LlamaConfig, start: int = GROUP_SIZE) -> int:
    """Halves `start` until it divides `dim`, as llama2.c does.

    **Raises:** `CannotStore` if `hidden_dim` is no multiple of the result: llama2.c's own
    exporter writes such files, and its runq.c then ignores the ends of rows.
    """
    if start < 1:
        raise CannotStore(f"the group size is {start}; at least 1 is needed")
    size = start
    while config.dim % size:
        size //= 2
    if config.hidden_dim % size:
        common = gcd(config.dim, config.hidden_dim)
        fits = max(each for each in range(1, min(start, common) + 1) if common % each == 0)
        raise CannotStore(
            f"hidden_dim {config.hidden_dim} is no multiple of the group size {size}, and "
            f"programs that run such a file give wrong results; choose a group size of {fits}"
        )
    return size


def quantize_groups(numbers: np.ndarray, group_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The integers `(n,)` and scales `(n / group_size,)` of float32 numbers `(n,)`, finite."""
    groups = numbers.reshape(-1, group_size)
    scales = np.abs(groups).max(axis=1) / LARGEST
    divisors = np.where(scales == 0, np.float32(1), scales)[:, None]
    with np.errstate(over="ignore"):  # beyond the largest subnormal scales; cut below
        ratios = np.rint(groups / divisors)
    ratios[scales == 0] = 0
    return np.clip(ratios, -LARGEST, LARGEST).astype(np.int8).reshape(-1), scales


def dequantize_groups(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The float32 products, `(n,)`."""
    return (values.reshape(len(scales), -1) * scales[:, None]).reshape(-1)


def quantize(tensor: Tensor, group_size: int) -> Quantized:
    """A matrix, or matrices stacked over layers, in Q8_0; one that is in it already is kept.

    **Raises:** `WeightsError` if the groups do not fit into a matrix.
    """
    if isinstance(tensor, Quantized) and tensor.group_size == group_size:
        return tensor
    numbers = to_float32(tensor)
    values, scales = quantize_groups(np.ascontiguousarray(numbers).reshape(-1), group_size)
    return Quantized(
        values.reshape(tensor.shape), scales.reshape(*tensor.shape[:-2], -1), group_size
    )
