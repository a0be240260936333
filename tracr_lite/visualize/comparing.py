"""Each node of a program on one input: what the interpreter says, and what the model holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tracr_lite.compiler.circuits.node_values import UNKNOWN
from tracr_lite.compiler.circuits.reading import UNCLEAR
from tracr_lite.visualize.reading import Reading
from tracr_lite.visualize.words import value_text

LONGEST = 16  # characters of a value


@dataclass(frozen=True)
class Compared:
    """A node, position by position, BOS left out.

    **Arguments:** `interpreter`, `model`: values as text; the latter is None for nodes without
    columns. `same`: whether the two agree, by position.
    """

    interpreter: tuple[str, ...]
    model: tuple[str, ...] | None
    same: tuple[bool, ...]

    @property
    def agrees(self) -> bool:
        """Whether the two agree everywhere."""
        return all(self.same)


def compared(reading: Reading) -> dict[str, Compared]:
    """All S-Op nodes by label; none for a model without its program.

    **Raises:** `CircuitError` if the program raises on this input.
    """
    if reading.trace is None:
        return {}
    labels = reading.trace.layers.blocks.labels
    found: dict[str, Compared] = {}
    for node, values in reading.values.items():
        held = reading.held.get(node)
        texts = tuple(value_text(x, LONGEST) for x in values)
        if held is None:
            found[labels[node]] = Compared(texts, None, (True,) * len(values))
            continue
        same = tuple(agree(x, y) for x, y in zip(values, held, strict=True))
        model = tuple(value_text(x, LONGEST) for x in held)
        found[labels[node]] = Compared(texts, model, same)
    return found


def agree(expected: Any, found: Any) -> bool:
    """Equal, or numbers that differ by no more than float32 arithmetic does."""
    if expected is UNKNOWN:
        return True
    if found is UNCLEAR:
        return False
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=1e-5, abs_tol=1e-6)
    return expected == found


def answers_agree(reading: Reading) -> list[bool]:
    """Whether the answer of the model is that of the interpreter, by position."""
    trace = reading.trace
    if trace is None:
        return [True] * len(reading.decoded)
    expected = reading.values[trace.graph.root]
    return [agree(x, y) for x, y in zip(expected, reading.decoded, strict=True)]
