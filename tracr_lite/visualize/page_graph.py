"""The program graph of the page, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracr_lite.visualize.layout import Placed, placed
from tracr_lite.visualize.parts import Part, step_name
from tracr_lite.visualize.program_graphs import through
from tracr_lite.visualize.words import shortened

LETTER, LINE = 0.075, 0.17  # of the text in boxes, in hundreds of pixels
DIGITS = 4


def graph_data(parts: Mapping[str, Part], shown: Sequence[str]) -> dict[str, Any]:
    """Places of the boxes shown; text in them is monospaced, so its width is known."""
    lines = {label: box_lines(parts[label]) for label in shown}

    def size(label: str) -> tuple[float, float]:
        return max(map(len, lines[label])) * LETTER + 0.2, LINE * len(lines[label]) + 0.14

    reads = {x: through(parts, x, lines) for x in shown}
    found: Placed = placed(reads, {x: parts[x].slot for x in shown}, size)
    return {
        "width": rounded(found.width),
        "height": rounded(found.height),
        "boxes": [
            {
                "label": label,
                "lines": lines[label],
                "box": [rounded(x) for x in (b.x, b.y, b.width, b.height)],
            }
            for label, b in found.boxes.items()
        ],
        "paths": [
            {"from": a, "to": b, "points": [[rounded(x), rounded(y)] for x, y in points]}
            for (a, b), points in found.paths.items()
        ],
        "bands": [[step_name(slot), rounded(a), rounded(b)] for slot, a, b in found.bands],
    }


def box_lines(part: Part) -> list[str]:
    """The name of a node, and what it computes."""
    lines = [shortened(part.label, 24)]
    return [*lines, shortened(part.text, 28)] if part.text else lines


def rounded(number: float) -> float | None:
    """Enough digits to look at; None for what is no finite number, as JSON has none."""
    if not np.isfinite(number):
        return None
    rounded = float(f"{number:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
