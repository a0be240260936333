"""SwiGLU neurons, `out * silu(gate) * up`, that compute units exactly.

silu(z) is z for z >= 17 and 0 for z <= -104 in float32, so a gate of 64 multiplies by 64, and
a gate of 0 or far below 0 by nothing: an exact AND, an exact linear map, an exact threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.blocks import Above, Both, Copy, Nothing, Product, Step, Unit
from tracr_lite.targets.rows import Row, always, constant, scaled, total

OPEN = 64.0  # a gate that lets through
CLOSED = 256.0  # how far below zero a gate is closed
LOWEST = 88.0  # how far below zero a bounded gate may be


@dataclass(frozen=True)
class Neuron:
    """Rows that the gate and the up matrix read, and the column of the down matrix."""

    gate: Row
    up: Row
    down: Row


def neurons(unit: Unit, bos: BasisDirection, *, bounded: bool = False) -> list[Neuron]:
    """The neurons of one unit; with `bounded`, no gate is below -88."""
    one, nb = always(), constant(bos)
    match unit:
        case Both(xs=(x,)):
            return [Neuron(scaled(x, OPEN), unit.ys, scaled(unit.out, 1 / OPEN))]
        case Both() if bounded:
            return [_bounded_and(unit, nb)]
        case Both():
            # One of them missing leaves -0.5: closed, whatever their rounding.
            gate = total([*unit.xs, scaled(nb, 0.5 - len(unit.xs))])
            return [Neuron(scaled(gate, CLOSED), unit.ys, scaled(unit.out, 2 / CLOSED))]
        case Above():
            k = power(CLOSED / unit.margin)
            return [Neuron(scaled(unit.read, k), one, scaled(unit.out, 1 / k))]
        case Nothing():
            r = power(CLOSED / unit.margin)
            gate = total([scaled(nb, OPEN), scaled(unit.stuff, -r)])
            return [Neuron(gate, unit.gate, scaled(unit.out, 1 / OPEN))]
        case Copy():
            return [Neuron(always(OPEN), unit.read, scaled(unit.out, 1 / OPEN))]
        case Step():  # silu(u + c) - silu(u - c) goes from 0 to 2 c
            shift = scaled(nb, unit.half)
            ends = (total([unit.read, shift]), total([unit.read, scaled(shift, -1.0)]))
            part = scaled(unit.out, 0.5 / unit.half)
            return [
                Neuron(ends[0], unit.gate, part),
                Neuron(ends[1], unit.gate, scaled(part, -1.0)),
            ]
        case Product():  # silu(x) - silu(-x) = x
            other, less = scaled(unit.x, -1.0), scaled(unit.out, -1.0)
            return [Neuron(unit.x, unit.y, unit.out), Neuron(other, unit.y, less)]


def _bounded_and(unit: Both, nb: Row) -> Neuron:
    count = len(unit.xs)
    if count == 2:  # one of them missing leaves -28, which is 1e-11 of the gate
        gate, steep, opened = total([*unit.xs, scaled(nb, 0.5 - count)]), 56.0, 28.0
    else:  # one of them missing leaves 0
        steep = opened = 2.0 ** ((int(LOWEST) // (count - 1)).bit_length() - 1)
        gate = total([*unit.xs, scaled(nb, 1.0 - count)])
    return Neuron(scaled(gate, steep), unit.ys, scaled(unit.out, 1 / opened))


def power(least: float) -> float:
    """The least power of two that is at least this."""
    found = 1.0
    while found < least:
        found *= 2.0
    return found
