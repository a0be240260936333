"""Where a function of a number changes: ramps between neighbouring values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.craft.blocks import CARE, U

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
    room = _room(gap, slope)
    for _ in range(3):  # steeper where the input needs the room
        tight = room < CARE * slack
        if not tight.any():
            break
        slope = np.where(tight, 2.0 * slope, slope)
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
