"""What lowering has to know of an architecture and of the arithmetic it is run in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["wide", "bounded"]
Indices = Literal["counts", "rope"]


@dataclass(frozen=True)
class Traits:
    """An architecture, as far as blocks differ by it.

    **Arguments:**
    - `positions`: whether the embeddings know the position (GPT-2); else it is counted.
    - `gated`: whether a neuron multiplies two linear functions (SwiGLU).
    - `relative`: whether scores can depend on how far back a key is (RoPE).
    - `bits`: of the significand that weights and activations keep: 24 for float32.
    - `mode`, `indices`: see `compile_rasp_to_llama`.
    """

    name: str
    positions: bool
    gated: bool
    relative: bool
    bits: int = 24
    mode: Mode = "wide"
    indices: Indices = "counts"

    @property
    def unit(self) -> float:
        """Relative rounding error of one operation."""
        return 2.0**-self.bits
