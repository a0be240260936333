"""What the sure hinges of gated steps write, and how far off that is; see `proved`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from tracr_lite.compiler.lowering.proved import MORE, Errors, U
from tracr_lite.craft.arrays import distinct
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.ramps import Steps
from tracr_lite.craft.blocks.sizes import Sizes

Each = Float[np.ndarray, " neurons"]


@dataclass(frozen=True)
class Hinges:
    """Neurons: slope for the number (0: none), sizes of all other weights, largest number.

    `x`: the largest for which a neuron is active, or near it; `falls`: whether the number takes
    off from all the rest, at any number.
    """

    steep: Each
    other: Each
    x: Each
    slope: Each
    falls: Bool[np.ndarray, " neurons"]
    low: float  # size of the least number


def written(
    neurons: Neurons,
    steps: Steps,
    hinges: Hinges,
    sums: tuple[Each, Each],
    what: tuple[float, float, float, bool],
    sizes: Sizes | None,
) -> Errors:
    """Errors of the outputs: those of the ramps behind one gate, and of what opens it.

    `sums`: rounding and largest value of each neuron; `what`: rounding of the sum that opens
    a gate, what gates are off by, what all closed ones add up to, and whether these may be open
    by that; `sizes`: of what is written, None if it is 1.
    """
    (rounding, value), (opening, noise, closed, loose) = sums, what
    writes, ramp = neurons.writes, hinges.steep > 0.0
    in_all, lost_in_all = (1.0, 0.0) if sizes is None else (sizes.in_all, sizes.lost_in_all)
    gate, gates = _gates(steps, ramp)
    place = gate[writes.rows] * writes.shape[1] + writes.cols
    if gates == 1:
        found, which = np.arange(writes.shape[1]), writes.cols
    else:
        found, _, which = distinct(place)
    count = len(found)
    products = float(sizes is not None)
    terms = np.bincount(which, minlength=count) - 1.0 + products + float(gates > 1)
    terms = np.maximum(terms, 0.0) + (gates if loose else 0)
    of_ramp = ramp[writes.rows]
    each = rounding[writes.rows] + MORE * U * value[writes.rows] * terms[which]
    lost = np.abs(writes.values) * each * of_ramp
    most = MORE * U * (float(terms.max(initial=0.0)) + 2.0)
    base = in_all * (noise + opening + most) + lost_in_all
    base += in_all * closed
    of_place = np.bincount(which, lost, count)
    total = float(np.bincount(gate[writes.rows], lost, 1).max())
    columns = np.zeros(writes.shape[1])
    np.maximum.at(columns, found % writes.shape[1], of_place)
    summed = float(columns.sum()) + base * (writes.shape[1] if loose else gates)
    return Errors(float(columns.max(initial=0.0)) + base, total + base, summed, 0.0)


def _gates(steps: Steps, ramp: np.ndarray) -> tuple[np.ndarray, int]:
    """The gate of each hinge, as `step_mlp` orders them; all the same if that is not clear."""
    change = steps.gate[1:] != steps.gate[:-1]
    gates, count = int(np.count_nonzero(change)) + 1, len(ramp)
    of = np.zeros(count, np.int64)
    if gates > 1:
        own = steps.gate[:-1][~change & (steps.output[1:] != steps.output[:-1])]
        first = count - 2 * len(own)
        if first >= 0 and bool(ramp[first:].all()) and not ramp[:first].any():
            of[first:] = np.concatenate([own, own])
    return of, gates
