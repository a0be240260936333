"""How large the outputs of a table are, and what float32 loses of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tracr_lite.craft.entries import Entries, Identity


@dataclass(frozen=True)
class Sizes:
    """How large a code is, by column and in all, and what is lost when it is float32."""

    largest: Float[np.ndarray, " out"]
    in_all: float
    lost: Float[np.ndarray, " out"]
    lost_in_all: float

    @classmethod
    def of(cls, code: Entries) -> Sizes:
        if isinstance(code, Identity):
            count = code.shape[1]
            return cls(np.ones(count), float(count > 0), np.zeros(count), 0.0)
        size = np.abs(code.values)
        lost = np.abs(code.values - code.values.astype(np.float32))
        largest, in_all = _largest(code, size), _in_all(code, size)
        if not lost.any():
            return cls(largest, in_all, np.zeros(code.shape[1]), 0.0)
        return cls(largest, in_all, _largest(code, lost), _in_all(code, lost))


def _largest(code: Entries, size: np.ndarray) -> Float[np.ndarray, " out"]:
    """Largest size in each column."""
    found = np.zeros(code.shape[1])
    np.maximum.at(found, code.cols, size)
    return found


def _in_all(code: Entries, size: np.ndarray) -> float:
    """Largest sum of sizes in one row."""
    return float(np.bincount(code.rows, size, 1).max())
