"""Sparse matrices; scipy has no types."""

from __future__ import annotations

from typing import Any, cast

from scipy import sparse  # pyright: ignore[reportMissingTypeStubs]


def csr(*data: Any) -> Any:
    """By rows, from an array or from entries."""
    return cast(Any, sparse).csr_matrix(*data)
