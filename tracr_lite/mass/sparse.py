"""The parameters of any model without their zeros, as data sets keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tracr_lite.transformer.sparse_params import Params as Params
from tracr_lite.transformer.sparse_params import SparseParams as SparseParams


def sparse(
    params: Mapping[str, Mapping[str, Any]], *, signed_zeros: bool = True
) -> SparseParams:
    """Drops the zeros; -0.0 is kept if `signed_zeros`, so that every bit comes back.

    **Raises:** `TypeError` for an array that is not float32.
    """
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    flat: list[np.ndarray] = [np.zeros(0, np.float32)]
    for module, group in params.items():
        shapes[module] = {}
        for leaf, array in group.items():
            if array.dtype != np.float32:
                raise TypeError(f"{module}/{leaf} is {array.dtype}; only float32 is known here")
            shapes[module][leaf] = tuple(array.shape)
            flat.append(np.asarray(array).ravel())
    vector = np.concatenate(flat)
    positions = np.flatnonzero(vector.view(np.uint32) if signed_zeros else vector)
    if vector.size < 2**31:
        positions = positions.astype(np.int32)
    return SparseParams(shapes, positions, vector[positions])
