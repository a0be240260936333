"""Sparse matrices; scipy has no types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Float
from scipy import sparse  # pyright: ignore[reportMissingTypeStubs]

LARGE = 2**18  # numbers, from which on it pays to look for the few that are not zero


def csr(*data: Any) -> Any:
    """By rows, from an array or from entries."""
    return cast(Any, sparse).csr_matrix(*data)


@dataclass(frozen=True)
class Factor:
    """A matrix, mostly zeros, that sparse ones are multiplied with from the left.

    `held`: an array, or sparse if it is large: both add up the same terms in the same order.
    """

    held: Any

    @classmethod
    def of(cls, array: Float[np.ndarray, "rows columns"]) -> Factor:
        return cls(array if array.size < LARGE else csr(array))

    def __getitem__(self, rows: slice) -> Factor:
        return Factor(self.held[rows])

    def after(self, left: Any) -> Float[np.ndarray, "others columns"]:
        """The product `left @ self`, as an array."""
        found: Any = left @ self.held
        return found if isinstance(self.held, np.ndarray) else found.toarray()
