"""Any function of a number with finitely many values, chosen by one-hot gates."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from tracr_lite.craft.arrays import distinct, starts
from tracr_lite.craft.blocks import U
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.ramps import GRID, Ramps, ramps_of
from tracr_lite.craft.blocks.ramps import Steps as Steps
from tracr_lite.craft.blocks.ramps import TooClose as TooClose
from tracr_lite.craft.blocks.sizes import Sizes
from tracr_lite.craft.entries import Entries, Identity


def step_mlp(
    steps: Steps,
    code: Float[np.ndarray, "n_outputs out"] | Entries,
    number: Float[np.ndarray, " inputs"],
    gates: Float[np.ndarray, "gates inputs_and_bias"],
    valid: Float[np.ndarray, " inputs_and_bias"],
) -> Neurons:
    """Writes `code[output]` of the row whose gate is open and whose `x` is the number read.

    Between neighbours a < b of a gate with different outputs sits one ramp, from lo to hi
    around their middle, from 1/16 to 4/5 as wide as the gap, as the error of x needs; s is its
    slope.
    With G = 1 for an open gate and G <= 0 otherwise, and r a number below every x (x is 0 and
    `valid` is 0 where there is none):

        hinge(t) = relu(s ((t - r) G - (x - r valid)))
        ramp     = hinge(hi) - hinge(lo)                     1 below lo, 0 above hi, 0 if G <= 0
        out      = code[last] relu(G) + sum over ramps of (code[below] - code[above]) ramp

    or its mirror image, whichever has the smaller numbers. A hinge is exactly zero on one side,
    so rounding there cannot leak; on the other, each of its sums is off by U times its size. So
    the block is exact on its values, tolerates an input error of up to 0.46 gaps, and has no
    sharpness to choose.

    **Arguments:** `number`: how to read the number from the inputs; `gates`: how to read each G
    (bias last); `valid`: reads 1 where there is a number. **Raises:** `TooClose`.
    Source: discretising MLP of Lindner et al. 2023, arXiv:2301.05062; ramps placed anew.
    """
    ramps = ramps_of(steps)
    if not isinstance(code, Entries):
        code = Entries.of(code)
    sign, ref = _side(steps, ramps)
    base = _base_neurons(steps, code, gates, sign)
    changes = _ramp_neurons(steps, ramps, code, number, gates, valid, sign, ref)
    return _without_zeros(Neurons.concatenate([base, changes]), ramps.sure)


def _side(steps: Steps, ramps: Ramps) -> tuple[float, float]:
    """Sign and reference of the hinges that need the smaller numbers: +1 falls, -1 rises."""
    slack = float(steps.error.max(initial=0.0))
    margin = 4 * slack + float((1.0 / ramps.slope).min(initial=1.0)) / 4
    least, greatest = float(steps.x.min()) - margin, float(steps.x.max()) + margin
    if 0.0 < least + margin - 8 * slack:
        least = 0.0  # no reference needed: numbers are positive by themselves
    left = float((ramps.slope * _reach(ramps.hi, least)).max(initial=0.0))
    right = float((ramps.slope * _reach(ramps.lo, greatest)).max(initial=0.0))
    return (1.0, least) if left <= right else (-1.0, greatest)


def _reach(edge: np.ndarray, ref: float) -> np.ndarray:
    return np.maximum(np.abs(edge - ref), abs(ref))


def _base_neurons(steps: Steps, code: Entries, gates: np.ndarray, sign: float) -> Neurons:
    """The output at the end of each gate where all ramps are zero."""
    first = starts(steps.gate)
    ends = np.append(first[1:], len(steps.gate)) - 1 if sign > 0 else first
    opened = gates[steps.gate[ends]]
    sizes = Sizes.of(code)
    return Neurons(
        Entries.of(opened[:, :-1]).turned(),
        opened[:, -1],
        code.rows_at(steps.output[ends]),
        sizes.lost,
        sizes.lost_in_all,
    )


def _ramp_neurons(
    steps: Steps,
    ramps: Ramps,
    code: Entries,
    number: np.ndarray,
    gates: np.ndarray,
    valid: np.ndarray,
    sign: float,
    ref: float,
) -> Neurons:
    refs = np.floor(ref * GRID * ramps.slope) / (GRID * ramps.slope) * (ref != 0.0)
    near, far = (ramps.hi, ramps.lo) if sign > 0 else (ramps.lo, ramps.hi)
    gate = steps.gate[ramps.below]
    opened = gates[gate]
    read = np.append(number, 0.0)[None, :] - refs[:, None] * valid[None, :]

    def hinges(edge: np.ndarray) -> Float[np.ndarray, "ramps inputs_and_bias"]:
        distance = sign * (edge - refs)
        return ramps.slope[:, None] * (distance[:, None] * opened - sign * read)

    rise = _rise(steps, ramps, code, sign)
    largest = ramps.slope * (np.abs(near - refs) + np.abs(refs))
    errors, spread = _rounding(rise, gate, largest, _wiggle(largest, opened, refs))
    w_in = np.concatenate([hinges(near), hinges(far)])
    return Neurons(
        Entries.of(w_in[:, :-1]).turned(),
        w_in[:, -1],
        Entries.stacked([rise, rise.times(-1.0)]),
        errors,
        spread,
    )


def _rise(steps: Steps, ramps: Ramps, code: Entries, sign: float) -> Entries:
    """By how much each ramp lifts each output."""
    if isinstance(code, Identity):
        return _one_hot_rise(steps.output[ramps.below], steps.output[ramps.above], code, sign)
    below = code.rows_at(steps.output[ramps.below]).times(sign)
    above = code.rows_at(steps.output[ramps.above]).times(-sign)
    return Entries.summed(
        below.shape,
        np.concatenate([below.rows, above.rows]),
        np.concatenate([below.cols, above.cols]),
        np.concatenate([below.values, above.values]),
    )


def _one_hot_rise(below: np.ndarray, above: np.ndarray, code: Identity, sign: float) -> Entries:
    """As `_rise`: one output falls, another one rises."""
    count = len(below)
    falls = np.where(below < above, sign, -sign)
    return Entries(
        (count, code.shape[1]),
        np.repeat(np.arange(count), 2),
        np.stack([np.minimum(below, above), np.maximum(below, above)], axis=1).ravel(),
        np.stack([falls, -falls], axis=1).ravel(),
    )


def _wiggle(largest: np.ndarray, opened: np.ndarray, refs: np.ndarray) -> np.ndarray:
    """Rounding of a ramp's two hinges: U times their size for each addition but the first."""
    terms = (opened != 0).sum(axis=1) + 1 + (refs != 0)
    return 2 * U * np.maximum(terms - 1, 1) * np.maximum(terms - 2, 1) * largest


def _rounding(
    rise: Entries, gate: np.ndarray, largest: np.ndarray, wiggle: np.ndarray
) -> tuple[Float[np.ndarray, " out"], float]:
    """The error of each output, and of all at once: one gate is open.

    Each ramp has its wiggle; the ramps of a gate are summed in any order, and what that rounds
    is shared out to them.
    """
    ramp, width = rise.rows, rise.shape[1]
    place, _, which = distinct(gate[ramp] * width + rise.cols)
    terms = 2 * np.bincount(which, minlength=1)[which]
    size = np.abs(rise.values)
    lost = size * (wiggle[ramp] + U * terms * 2 * largest[ramp])
    errors = np.zeros(width)
    np.maximum.at(errors, place % width, np.bincount(which, lost, len(place)))
    return errors, float(np.bincount(gate[ramp], lost, 1).max())


def _without_zeros(neurons: Neurons, sure: bool) -> Neurons:
    kept = neurons.writes.filled_rows()
    if kept.all() and sure:
        return neurons
    return Neurons(
        neurons.reads.columns_at(kept),
        neurons.bias[kept],
        neurons.writes.turned().columns_at(kept).turned(),
        neurons.errors,
        neurons.spread,
        sure,
    )
