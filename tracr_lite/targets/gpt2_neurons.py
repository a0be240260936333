"""GELU neurons, `out * gelu(read)`, that compute units.

gelu(z), in its tanh form, is z for z >= 6 and 0 for z <= -6 in float32, and gelu(z) - gelu(-z)
is z everywhere. An AND is a threshold: 8 where all are hot, -8 or less where one is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.blocks import Above, Both, Copy, Nothing, Product, Step, Unit
from tracr_lite.targets.llama_neurons import power
from tracr_lite.targets.rows import Row, always, scaled, total

OPEN = 8.0  # what a neuron reads where it writes


@dataclass(frozen=True)
class Neuron:
    """What a neuron reads, and what it writes times its GELU."""

    read: Row
    down: Row


def neurons(unit: Unit, bos: BasisDirection) -> list[Neuron]:
    """The neurons of one unit."""
    del bos  # all thresholds are above 0, so that BOS, where all is about 0, is below them
    match unit:
        case Both(number=False):
            rows = [*unit.xs, unit.ys]
            read = total([*rows, always(0.5 - len(rows))])
            return [Neuron(scaled(read, 2 * OPEN), scaled(unit.out, 1 / OPEN))]
        case Above():
            k = power(2 * OPEN / unit.margin)
            return [Neuron(scaled(unit.read, k), scaled(unit.out, 1 / k))]
        case Nothing():
            r = power(4 * OPEN / unit.margin)
            gate = total([scaled(unit.gate, 2 * OPEN), always(-OPEN)])
            read = total([gate, scaled(unit.stuff, -r)])
            return [Neuron(read, scaled(unit.out, 1 / OPEN))]
        case Copy():
            back = Neuron(scaled(unit.read, -1.0), scaled(unit.out, -1.0))
            return [Neuron(unit.read, unit.out), back]
        case Product() | Step() | Both():
            raise AssertionError("GPT-2 has none of these: lowering asks its traits first")
