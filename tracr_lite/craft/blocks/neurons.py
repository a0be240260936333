"""Weights of one ReLU MLP over numbered input columns, and how to add such MLPs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Neurons:
    """`out = relu(x @ w_in + bias) @ w_out`.

    **Arguments:** `w_in`: (in, hidden); `bias`: (hidden,), read from the constant direction;
    `w_out`: (hidden, out); `errors`: bound on the float32 error of each output;
    `spread`: bound on the sum of the errors of all outputs at once.
    """

    w_in: Float[np.ndarray, "inputs hidden"]
    bias: Float[np.ndarray, " hidden"]
    w_out: Float[np.ndarray, "hidden outputs"]
    errors: Float[np.ndarray, " outputs"]
    spread: float

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
        return cls(
            np.concatenate([p.w_in for p in parts], axis=1),
            np.concatenate([p.bias for p in parts]),
            np.concatenate([p.w_out for p in parts], axis=0),
            np.sum([p.errors for p in parts], axis=0),
            sum(p.spread for p in parts),
        )

    def __call__(self, x: Float[np.ndarray, "... inputs"]) -> Float[np.ndarray, "... outputs"]:
        """Evaluates in the precision of `x`."""
        return np.maximum(x @ self.w_in + self.bias, 0) @ self.w_out
