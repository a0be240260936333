"""Tensors as streams of float32 numbers, some megabytes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import lcm

import numpy as np

from tracr_lite.llama.errors import WeightsError
from tracr_lite.llama.formats.quantize import dequantize_groups
from tracr_lite.llama.weights import WHOLE, Quantized, Tensor

CHUNK = 1 << 20  # numbers

Tick = Callable[[int], None]  # told how many numbers have just been done


def no_tick(count: int) -> None:
    """Takes note of nothing."""


def flat(array: np.ndarray) -> np.ndarray:
    """All numbers in row-major order; not copied if they lie that way."""
    return np.ascontiguousarray(array).reshape(-1)


def ranges(size: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Cuts `size` into ranges of about `CHUNK`, at multiples of `multiple`."""
    step = max(CHUNK // multiple, 1) * multiple
    for start in range(0, size, step):
        yield start, min(start + step, size)


def float_chunks(
    name: str, layer: int, tensor: Tensor, multiple: int = 1
) -> Iterator[tuple[int, np.ndarray]]:
    """As `any_chunks`. Raises `WeightsError` at a number that is not finite, and says where."""
    for start, numbers in any_chunks(tensor, multiple):
        finite = np.isfinite(numbers)
        if not finite.all():
            first = int(np.argmin(finite))
            raise WeightsError(
                f"{where(name, layer)}: number {start + first} is {numbers[first]:g}; a model "
                "with such weights computes nothing"
            )
        yield start, numbers


def any_chunks(tensor: Tensor, multiple: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers of a matrix or vector as float32, each chunk with its first index.

    **Arguments:** `multiple`: all chunks have a length divisible by this, which divides all.
    """
    if isinstance(tensor, Quantized):
        values, scales, group = flat(tensor.values), flat(tensor.scales), tensor.group_size
        for start, stop in ranges(values.size, lcm(multiple, group)):
            some = scales[start // group : stop // group]
            with np.errstate(over="ignore", invalid="ignore"):  # for the caller to notice
                yield start, dequantize_groups(values[start:stop], some)
        return
    numbers = flat(tensor)
    for start, stop in ranges(numbers.size, multiple):
        with np.errstate(invalid="ignore"):  # signalling NaN
            chunk = np.asarray(numbers[start:stop], dtype=np.float32)
        yield start, chunk


def where(name: str, layer: int) -> str:
    """A tensor of one layer, in words."""
    return name if name in WHOLE else f"{name} of layer {layer}"


def check_tensor(name: str, layer: int, tensor: Tensor, tick: Tick = no_tick) -> None:
    """Raises `WeightsError` if a number of a tensor is not finite."""
    for _, chunk in float_chunks(name, layer, tensor):
        tick(chunk.size)
