"""Any function of a number with finitely many values, chosen by one-hot gates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.craft.blocks import U
from tracr_lite.craft.blocks.neurons import Neurons


class TooClose(ValueError):
    """Two inputs with different outputs are closer than the error of the input allows."""

    def __init__(self, low: float, high: float, error: float):
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


def step_mlp(
    steps: Steps,
    code: Float[np.ndarray, "n_outputs out"],
    number: Float[np.ndarray, " inputs"],
    gates: Float[np.ndarray, "gates inputs_and_bias"],
    valid: Float[np.ndarray, " inputs_and_bias"],
) -> Neurons:
    """Writes `code[output]` of the row whose gate is open and whose `x` is the number read.

    Between neighbours a < b of a gate with different outputs sits one ramp, from lo = a + (b-a)/4
    to hi = b - (b-a)/4 with slope s = 2/(b-a). With G = 1 for an open gate and G <= 0 otherwise,
    and r a number below every x (x is 0 and `valid` is 0 where there is no number):

        hinge(t) = relu(s ((t - r) G - (x - r valid)))
        ramp     = hinge(hi) - hinge(lo)                     1 below lo, 0 above hi, 0 if G <= 0
        out      = code[last] relu(G) + sum over ramps of (code[below] - code[above]) ramp

    or its mirror image, whichever has the smaller numbers. A hinge is exactly zero on one side, so
    rounding there cannot leak; on the other, s |t - r| U bounds it. So the block is exact on its
    values, tolerates an input error of (b-a)/4, and has no sharpness to choose.

    **Arguments:** `number`: how to read the number from the inputs; `gates`: how to read each G
    (bias last); `valid`: reads 1 where there is a number. **Raises:** `TooClose`.
    Source: discretising MLP of Lindner et al. 2023, arXiv:2301.05062; ramps placed anew.
    """
    change = np.flatnonzero(
        (steps.gate[1:] == steps.gate[:-1]) & (steps.output[1:] != steps.output[:-1])
    )
    below, above = change, change + 1
    gap = steps.x[above] - steps.x[below]
    slack = np.maximum(steps.error[below], steps.error[above])
    slack = slack + 8 * U * np.maximum(np.abs(steps.x[below]), np.abs(steps.x[above]))
    if (gap <= 4 * slack).any():
        worst = int(np.argmax(slack / np.where(gap > 0, gap, 1e-300)))
        low, high = float(steps.x[below[worst]]), float(steps.x[above[worst]])
        raise TooClose(low, high, float(slack[worst]))
    margin = max(float(gap.min(initial=1.0)) / 4, 4 * float(steps.error.max(initial=0.0)))
    edges = (steps.x[below] + gap / 4, steps.x[above] - gap / 4)
    least, greatest = float(steps.x.min()) - margin, float(steps.x.max()) + margin
    slope = 2.0 / gap
    left = float((slope * _reach(edges[1], least)).max(initial=0.0))
    right = float((slope * _reach(edges[0], greatest)).max(initial=0.0))
    sign, ref = (1.0, least) if left <= right else (-1.0, greatest)
    last = np.flatnonzero(np.diff(steps.gate, append=-1) != 0)
    first = np.flatnonzero(np.diff(steps.gate, prepend=-1) != 0)
    base_rows = last if sign > 0 else first
    base = Neurons(
        gates[steps.gate[base_rows], :-1].T.copy(),
        gates[steps.gate[base_rows], -1],
        code[steps.output[base_rows]],
        float(np.abs(code).max(initial=0.0)) * 4 * U,
    )
    near, far = (edges[1], edges[0]) if sign > 0 else (edges[0], edges[1])
    open_ = gates[steps.gate[change]]
    read = np.append(number, 0.0) - ref * valid
    outer = _hinges(open_, read, slope, sign * (near - ref), sign)
    inner = _hinges(open_, read, slope, sign * (far - ref), sign)
    rise = code[steps.output[below]] - code[steps.output[above]]
    rise = rise if sign > 0 else -rise
    wiggle = 8 * U * slope * np.maximum(np.abs(near - ref), np.abs(ref)) + 4 * U
    error = float((np.abs(rise) * wiggle[:, None]).sum(axis=0).max(initial=0.0))
    w_in = np.concatenate([outer, inner])
    ramps = Neurons(w_in[:, :-1].T, w_in[:, -1], np.concatenate([rise, -rise]), error)
    return _without_zeros(Neurons.concatenate([base, ramps]))


def _reach(edge: np.ndarray, ref: float) -> np.ndarray:
    return np.maximum(np.abs(edge - ref), abs(ref))


def _hinges(
    open_: np.ndarray, read: np.ndarray, slope: np.ndarray, distance: np.ndarray, sign: float
) -> Float[np.ndarray, "ramps inputs_and_bias"]:
    return slope[:, None] * (distance[:, None] * open_ - sign * read[None, :])


def _without_zeros(neurons: Neurons) -> Neurons:
    kept = (neurons.w_out != 0).any(axis=1)
    return Neurons(
        neurons.w_in[:, kept], neurons.bias[kept], neurons.w_out[kept], neurons.error
    )
