"""Bounds on tables that are never below those of a certificate; see `proved`."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.lowering.proved import MORE, UNKNOWN, Errors, U
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.sizes import Sizes
from tracr_lite.craft.entries import Entries

MOST = 2**17  # terms of a sum


def of_table(
    neurons: Neurons, k: int, has: tuple[Errors, float], code: Entries, *, one_hot: bool
) -> Errors:
    """Of a table over k one-hots. `has`: what they have, and with which noise it was made.

    `one_hot`: whether all that is written is 1. `UNKNOWN` where neurons may not be silent.
    """
    inputs, noise = has
    if not inputs.known:
        return UNKNOWN
    sizes = None if one_hot else Sizes.of(code)
    in_all, lost = (1.0, 0.0) if sizes is None else (sizes.in_all, sizes.lost_in_all)
    if inputs.exact and noise == 0.0:
        return Errors(lost, lost, lost, 0.0)
    read = int(np.bincount(neurons.reads.cols, minlength=1).max(initial=0)) + 3
    off = inputs.total + MORE * U * read * (4 * k + 4)
    if not (2 * off < 0.45 and inputs.bos < 0.2 and read < MOST):
        return UNKNOWN
    if noise == 0.0:  # sums are not protected: an error is handed on, and neurons near 0 add
        found = in_all * ((neurons.hidden + 1) * 1.5 * off + 4 * MORE * U) + lost
        return Errors(found, found, found * code.shape[1], 0.0)
    few = MORE * U * k * (4 * k + 1) + 4.1 * inputs.total
    each = 0.0 if k == 1 else 2 * min(few, MORE * U * (read + 1) * (4 * k + 1))
    found = in_all * (each + (0.0 if one_hot and k == 1 else 6 * U)) + lost
    return Errors(found, found, found, 0.0)
