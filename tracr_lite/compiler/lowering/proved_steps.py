"""Bounds on gated steps that are never below those of a certificate; see `proved`.

They are computed from the weights. With W the sum of sizes of a neuron's weights, each times
the largest input, and P the errors of its inputs: a neuron is off by its inputs' errors and by
rounding, Q = (terms) U W. Neurons that stand further from zero than that are surely active or
surely silent; of the active ones of a step, errors of the number cancel, and those of the gates
add up to what is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tracr_lite.compiler.lowering.mlp_inputs import Inputs
from tracr_lite.compiler.lowering.proved import MORE, UNKNOWN, Errors, NumberErrors, U
from tracr_lite.compiler.lowering.proved_hinges import Each, Hinges, written
from tracr_lite.craft.arrays import distinct, distinct_values
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.ramps import Steps
from tracr_lite.craft.blocks.sizes import Sizes
from tracr_lite.craft.entries import Entries

ROOM = 0.109  # least distance of a hinge from zero: (1 - 1 / 1.25) / 2 * 1.25 - 1 / 64


@dataclass(frozen=True)
class Read:
    """What a gated step reads: its inputs, the number's coefficients, and errors of all."""

    inputs: Inputs
    number: NumberErrors
    read: Float[np.ndarray, " inputs"]
    flag: Float[np.ndarray, " inputs"]
    gates: Errors
    flags: int

    @property
    def noise(self) -> float:
        """Errors of the gates, and of the flags that close them, where there is a number."""
        return self.gates.total + self.of_flags

    @property
    def of_flags(self) -> float:
        return 2 * self.flags * self.number.unflagged


def of_steps(
    neurons: Neurons, steps: Steps, reads: Read, code: Entries, *, one_hot: bool
) -> Errors:
    """Of a gated step function; `one_hot`: whether all that it writes is 1.

    `UNKNOWN` where its ramps may be reached from elsewhere."""
    if not (reads.number.known and reads.gates.known):
        return UNKNOWN
    k = reads.inputs.cells.shape[1]
    hinges = _hinges(neurons, steps, reads)
    number, noise = reads.number, reads.noise
    count = k + 1 + (reads.flags + 1 if noise > 0.0 else 0)
    count += float(hinges.other.max(initial=0.0) > 2**17)
    terms = MORE * U * (count + (number.terms + 4 if number.terms else 0))
    off, rounding, size = _off(hinges, reads, terms, hinges.x)
    several = len(steps.gate) > 0 and bool(steps.gate[0] != steps.gate[-1])
    near = off + rounding
    far = _far(neurons, hinges, near, (several, reads.flags > 0), reads, steps)
    if far and not (near[hinges.steep > 0.0].max(initial=0.0) < ROOM):
        far = _apart(neurons, hinges, reads, steps, terms)
    if not far:
        return UNKNOWN
    # with up to two exact one-hots, sums that keep gates closed are not rounded
    loose = k > 2 or noise > 0.0
    opening = terms * (2 * k + 2) * (1 + noise)
    closed = _nearly_open(reads, opening) if several and loose else 0.0
    return written(
        neurons,
        steps,
        hinges,
        _rounding(hinges, number, terms, (off, rounding, size)),
        (opening, noise, closed, loose),
        None if one_hot else Sizes.of(code),
    )


def _rounding(
    hinges: Hinges, number: NumberErrors, terms: float, found: tuple[Each, Each, Each]
) -> tuple[Each, Each]:
    """Of each neuron that is active: rounding, and its largest value. `found`: by `_off`."""
    off, rounding, size = found
    # one that is active and falls from a positive value is smaller than that
    value = np.where(hinges.falls, np.minimum(size, hinges.other + off), size)
    least = np.minimum(rounding, terms * (2 * value + off))
    value = np.where(hinges.falls, np.maximum(value - hinges.steep * hinges.low, off), value)
    rounding = np.where(hinges.falls, least, rounding)
    if number.terms:
        lost = MORE * U * (number.terms + 4) * (number.size + number.most)
        rounding = rounding + hinges.steep * (2.1 * number.scattered + lost)
    return rounding, value


def _nearly_open(reads: Read, opening: float) -> float:
    """What gates may write together that should be closed.

    Those that lack two of their one-hots stay closed, whatever is off. Those that lack one have
    the errors of that column, which are no more than all errors of its node together, and of
    their other columns. `opening`: rounding of the sum of each.
    """
    cells, gates = reads.inputs.cells, reads.gates
    k, size = cells.shape[1], len(reads.inputs.dirs) + 1
    found = 0.0
    for leaf in range(k):
        code = np.zeros(len(cells), np.int64)
        for column in np.delete(cells, leaf, axis=1).T:
            code = code * size + column
        both = distinct_values(code * size + cells[:, leaf])
        most = int(np.bincount(distinct(both // size)[2]).max()) - 1
        off = min(most * gates.total, gates.total + most * (k - 1) * gates.each)
        found += off + most * (reads.of_flags + 1.5 * opening)
    return found


def _hinges(neurons: Neurons, steps: Steps, reads: Read) -> Hinges:
    entries, count = neurons.reads, neurons.hidden
    of_number = (reads.read != 0.0)[entries.rows]
    size = np.abs(entries.values)
    factors = float(np.abs(reads.read).sum()) or 1.0
    steep = np.bincount(entries.cols, size * of_number, count) / factors
    other = np.bincount(entries.cols, size * ~of_number, count) + np.abs(neurons.bias)
    signed = entries.values * np.sign(reads.read)[entries.rows] * of_number
    slope = np.sign(np.bincount(entries.cols, signed, count)) * steep
    low, high = float(steps.x.min()), float(steps.x.max())
    x = np.full(count, max(abs(low), abs(high)))
    falls = ((low >= 0.0) & (slope < 0.0)) | ((high <= 0.0) & (slope > 0.0))
    # far from their ramp they are silent, the more so the farther
    near = 2.0 * other / np.where(steep > 0.0, steep, 1.0)
    x = np.where(falls, np.minimum(x, near), x)
    return Hinges(steep, other, x, slope, falls, float(np.abs(steps.x).min()))


def _off(hinges: Hinges, reads: Read, terms: float, x: Each) -> tuple[Each, Each, Each]:
    """How far inputs move each neuron when the number is as large as x; rounding; size."""
    number = reads.number
    size: Each = hinges.other + hinges.steep * (number.size if number.terms else x)
    if number.terms:  # sums of several columns: errors of those that should be zero are terms
        moved = hinges.steep * (1.01 * number.most + 2.1 * number.scattered)
    else:
        moved = hinges.steep * (number.absolute + number.relative * x)
    off = moved + hinges.other * reads.noise
    return off, terms * (size + off), size


def _apart(neurons: Neurons, hinges: Hinges, reads: Read, steps: Steps, terms: float) -> bool:
    """Whether each ramp is further from the numbers beside it than its hinges may be off.

    From there on their distance grows faster than what they may be off.
    """
    ramp, count = hinges.steep > 0.0, neurons.hidden
    own = (steps.gate[1:] == steps.gate[:-1]) & (steps.output[1:] != steps.output[:-1])
    first = count - 2 * int(np.count_nonzero(own))
    ordered = first >= 0 and bool(ramp[first:].all()) and not ramp[:first].any()
    if not ordered or reads.number.relative + terms > 0.3:
        return False
    of_gate = ~((reads.flag != 0.0) | (reads.read != 0.0))[neurons.reads.rows]
    opened = np.bincount(neurons.reads.cols, neurons.reads.values * of_gate, count)
    for beside in (steps.x[:-1][own], steps.x[1:][own]):
        x = np.zeros(count)
        x[first:] = np.concatenate([beside, beside])
        off, rounding, _ = _off(hinges, reads, terms, np.abs(x))
        z = np.abs(opened + neurons.bias + hinges.slope * x)
        if not bool((off + rounding < z)[first:].all()):
            return False
    return True


def _far(
    neurons: Neurons,
    hinges: Hinges,
    off: Each,
    closing: tuple[bool, bool],
    reads: Read,
    steps: Steps,
) -> bool:
    """Whether hinges are further from zero than they may be off: at all numbers, behind closed
    gates, where the number is a flag, and at BOS. `closing`: several gates, and flags."""
    ramp = hinges.steep > 0.0
    if not off[~ramp].max(initial=0.0) < 0.45:
        return False
    bos = reads.gates.bos + reads.number.bos * (1 + reads.flags)
    held = float(np.abs(reads.inputs.at_bos).sum()) + 4.0
    if not (bos < 0.2 and MORE * U * (len(reads.inputs.dirs) + 8) * held * 4 < 0.2):
        return False
    if not any(closing) or not ramp.any():
        return True
    return _closed(neurons, hinges, off, closing, reads, steps)


def _closed(
    neurons: Neurons,
    hinges: Hinges,
    off: Each,
    closing: tuple[bool, bool],
    reads: Read,
    steps: Steps,
) -> bool:
    """As `_far`, behind gates that are closed by other one-hots, or by flags."""
    entries, count = neurons.reads, neurons.hidden
    ramp, k = hinges.steep > 0.0, reads.inputs.cells.shape[1]
    is_flag, is_number = reads.flag != 0.0, reads.read != 0.0
    of_gate = ~(is_flag | is_number)[entries.rows]
    gate = np.bincount(entries.cols, entries.values * of_gate, count)
    opened = neurons.bias + gate
    one = gate / max(k, 1)  # all gates of a hinge have the same weight
    ends = np.maximum(hinges.slope * float(steps.x.min()), hinges.slope * float(steps.x.max()))
    several, flagged = closing
    fine = bool((one >= 0.0)[ramp].all())
    if several:
        fine &= bool((opened - one + ends < -off)[ramp].all())
    if flagged:
        values = np.where(is_flag[entries.rows], entries.values, -np.inf)
        highest = np.full(count, -np.inf)
        np.maximum.at(highest, entries.cols, values)
        more = 2 * reads.flags * reads.number.flag * hinges.other  # of the flag that is on
        fine &= bool((opened + highest < -off - more)[ramp].all())
    return fine
