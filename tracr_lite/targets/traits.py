"""What lowering has to know of an architecture and of the arithmetic it is run in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tracr_lite.errors import CompileError, Problem

Dtype = Literal["float32", "bfloat16"]
Mode = Literal["wide", "bounded"]
Indices = Literal["counts", "rope"]
BITS = {"float32": 24, "bfloat16": 8}  # of the significand, with the hidden one


@dataclass(frozen=True)
class Traits:
    """An architecture, as far as blocks differ by it.

    **Arguments:**
    - `positions`: whether the embeddings know the position (GPT-2); else it is counted.
    - `gated`: whether a neuron multiplies two linear functions (SwiGLU).
    - `recent`: positions in which a head can find the latest of several keys; 0 if it cannot.
    - `relative`: whether scores can depend on how far back a key is (RoPE).
    - `dtype`: of weights and activations; sums are taken in float32 at least.
    - `noise`: relative error of what is read in float32, beside what it is read from.
    - `mode`, `indices`: see `compile_rasp_to_llama`.
    """

    positions: bool
    gated: bool
    relative: bool
    noise: float
    recent: int = 0
    dtype: Dtype = "float32"
    mode: Mode = "wide"
    indices: Indices = "counts"

    @property
    def bits(self) -> int:
        """Of the significand of what is stored."""
        return BITS[self.dtype]

    @property
    def unit(self) -> float:
        """Relative error of a number that is computed and stored."""
        return max(2.0**-self.bits, self.noise / 4)

    @property
    def digits(self) -> bool:
        """Whether counts can be decoded digit by digit: it takes a product, and precision."""
        return self.gated and self.dtype == "float32" and self.mode == "wide"

    def holds(self, values: np.ndarray) -> bool:
        """Whether these weights are stored exactly, or as well as in float32."""
        return self.dtype == "float32" or bool((self.rounded(values) == values).all())

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """Numbers as they are stored: to the nearest, ties to even."""
        if self.dtype == "float32":
            return values
        _, exponent = np.frexp(values)
        step = np.ldexp(1.0, exponent - self.bits)
        return np.round(values / step) * step


def check_choices(
    *, dtype: str, mode: str, indices: str, group: object = 1, theta: object = 1e4
) -> None:
    """Checks the options that are not about the program.

    **Raises:** `CompileError` that lists what is none of the choices.
    """
    given = (("dtype", dtype, Dtype), ("mode", mode, Mode), ("indices", indices, Indices))
    problems = [
        Problem(name, f"{value!r} is no choice", f"use one of {', '.join(get_args(kind))}")
        for name, value, kind in given
        if value not in get_args(kind)
    ]
    if dtype == "bfloat16" and mode == "bounded":
        reason = "its steps need float32"
        problems.append(Problem("mode", reason, 'use mode="wide" in bfloat16'))
    if type(group) is not int or group < 1:
        problems.append(Problem("queries_per_key", f"{group!r} is no positive whole number"))
    if not (isinstance(theta, int | float) and 1 < theta < float("inf")):
        problems.append(Problem("rope_theta", f"{theta!r} is no number above 1"))
    if problems:
        raise CompileError("arguments", problems)
