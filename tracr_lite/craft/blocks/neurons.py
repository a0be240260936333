"""Weights of one ReLU MLP over numbered input columns, and how to add such MLPs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tracr_lite.craft.entries import Entries


@dataclass(frozen=True)
class Neurons:
    """`out = relu(x @ reads + bias) @ writes`.

    **Arguments:** `reads`: (in, hidden); `bias`: (hidden,), read from the constant direction;
    `writes`: (hidden, out); `errors`: bound on the float32 error of each output;
    `spread`: bound on the sum of the errors of all outputs at once; `sure`: whether inputs
    might be off `CARE` times as far as they are said to be.
    """

    reads: Entries
    bias: Float[np.ndarray, " hidden"]
    writes: Entries
    errors: Float[np.ndarray, " outputs"]
    spread: float
    sure: bool = True

    @property
    def w_in(self) -> Float[np.ndarray, "inputs hidden"]:
        return self.reads.dense()

    @property
    def w_out(self) -> Float[np.ndarray, "hidden outputs"]:
        return self.writes.dense()

    @property
    def error(self) -> float:
        """The largest of the errors."""
        return float(self.errors.max(initial=0.0))

    @property
    def hidden(self) -> int:
        return len(self.bias)

    @classmethod
    def concatenate(cls, parts: Sequence[Neurons]) -> Neurons:
        """The MLP whose output is the sum of the outputs of `parts`."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            Entries.beside([p.reads for p in parts]),
            np.concatenate([p.bias for p in parts]),
            Entries.stacked([p.writes for p in parts]),
            np.sum([p.errors for p in parts], axis=0),
            sum(p.spread for p in parts),
            all(p.sure for p in parts),
        )

    def __call__(self, x: Float[np.ndarray, "... inputs"]) -> Float[np.ndarray, "... outputs"]:
        """Evaluates in the precision of `x`."""
        return np.maximum(x @ self.w_in + self.bias, 0) @ self.w_out
