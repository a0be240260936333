"""Any function of a number with finitely many values, chosen by one-hot gates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.craft.arrays import distinct, starts
from tracr_lite.craft.blocks import CARE, U
from tracr_lite.craft.blocks.neurons import Neurons
from tracr_lite.craft.blocks.sizes import Sizes
from tracr_lite.craft.entries import Entries

GRID = 64.0  # steps of 1 / slope on which ramps are placed


class TooClose(ValueError):
    """Two inputs with different outputs are closer than the error of the input allows."""

    def __init__(self, low: float, high: float, error: float):
        self.hopeless = high - low < 4 * U * max(abs(low), abs(high))  # for any error
        super().__init__(
            f"{low!r} and {high!r} are {high - low:.3g} apart, "
            f"which an input error of {error:.2g} does not allow to be told apart in float32"
        )


@dataclass(frozen=True)
class Steps:
    """What a gated step function does, sorted by gate, then by input.

    **Arguments:**
    - `gate`: number of the gate under which the row holds.
    - `x`: value of the number in that row; ascending within a gate.
    - `output`: row of the code to write.
    - `error`: bound on the error of the number when it should be `x`.
    """

    gate: Int[np.ndarray, " rows"]
    x: Float[np.ndarray, " rows"]
    output: Int[np.ndarray, " rows"]
    error: Float[np.ndarray, " rows"]


@dataclass(frozen=True)
class Ramps:
    """Where a step function changes: between rows `below` and `above`, from lo to hi.

    The slope is a power of two of at least 1.25 / gap and lo and hi are 1 / slope apart, on a
    grid of 1 / (64 slope). So the product of slope and input is exact, and so are all
    constants. `sure`: whether the input might be off `CARE` times as far as it is said to be.
    """

    below: Int[np.ndarray, " ramps"]
    above: Int[np.ndarray, " ramps"]
    slope: Float[np.ndarray, " ramps"]
    lo: Float[np.ndarray, " ramps"]
    hi: Float[np.ndarray, " ramps"]
    sure: bool


def ramps_of(steps: Steps) -> Ramps:
    """One ramp for each change of output. **Raises:** `TooClose`."""
    same_gate = steps.gate[1:] == steps.gate[:-1]
    below = (same_gate & (steps.output[1:] != steps.output[:-1])).nonzero()[0]
    above = below + 1
    gap = steps.x[above] - steps.x[below]
    slack = np.maximum(steps.error[below], steps.error[above])
    slack = slack + 4 * U * np.maximum(np.abs(steps.x[below]), np.abs(steps.x[above]))
    slope = np.exp2(np.ceil(np.log2(1.25 / gap)))
    for _ in range(3):  # steeper where the input needs the room
        slope = np.where(_room(gap, slope) < CARE * slack, 2.0 * slope, slope)
    room = _room(gap, slope)
    sure = not (room < CARE * slack).any()
    if not sure and (room < slack).any():
        worst = int(np.argmax(slack / np.where(gap > 0, gap, 1e-300)))
        low, high = float(steps.x[below[worst]]), float(steps.x[above[worst]])
        raise TooClose(low, high, float(slack[worst]))
    grid = GRID * slope
    lo = np.round(((steps.x[below] + steps.x[above]) / 2 - 0.5 / slope) * grid) / grid
    return Ramps(below, above, slope, lo, lo + 1.0 / slope, sure)


def _room(gap: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Distance from either value to the ramp between them, after rounding to the grid."""
    return (gap - 1.0 / slope) / 2 - 1.0 / (GRID * slope)


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
    below = code.rows_at(steps.output[ramps.below]).times(sign)
    above = code.rows_at(steps.output[ramps.above]).times(-sign)
    return Entries.summed(
        below.shape,
        np.concatenate([below.rows, above.rows]),
        np.concatenate([below.cols, above.cols]),
        np.concatenate([below.values, above.values]),
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
