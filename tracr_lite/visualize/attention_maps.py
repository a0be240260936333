"""Attention of every head, token by token, under the selector that the head implements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.visualize.canvas import (
    BOLD,
    SMALL,
    Paper,
    Plan,
    fitting,
    folded,
    text_width,
    titled,
    to_figure,
    wrapped,
)
from tracr_lite.visualize.grid import Grid, draw_heads, head_height
from tracr_lite.visualize.parts import heads_of, selectors_of
from tracr_lite.visualize.reading import Reading, read
from tracr_lite.visualize.theme import Theme, ThemeName
from tracr_lite.visualize.words import counted, node_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = 0.27
RINGED = 0.08  # cells smaller than this bear no ring
LARGEST = 5.0  # of a map, in inches
MOST = 24  # heads


def attention(
    model: AssembledTransformerModel | Reading,
    xs: Sequence[Any] | None = None,
    *,
    theme: ThemeName | Theme = "light",
    max_heads: int = MOST,
) -> Figure:
    """A heat map per head: how much each query (row) attends to each key (column).

    Rings show what the selector selects, as the interpreter says. Heads without weights are
    left out, and heads above `max_heads`, which the picture then says.

    **Arguments:** `xs`: the input without BOS.
    **Raises:** `InputError` as `model.apply`; `MissingDependency` without matplotlib.
    """
    return to_figure(plan(read(model, xs), max_heads), theme)


def plan(reading: Reading, max_heads: int = MOST) -> Plan:
    """The picture, measured."""
    heads = heads_of(reading)
    notes = _notes(reading, heads, max_heads)
    maps = [_map(reading, layer, head) for layer, head in heads[:max_heads]]
    if not maps:
        return titled("Attention", Plan(3.0, 0.0, lambda paper, x, y: None), ["No heads."])
    return titled("Attention", wrapped(maps, 12.5, 0.35), notes)


def _notes(reading: Reading, heads: Sequence[object], limit: int) -> list[str]:
    notes = ["Rows are queries, columns are keys. Colour: weight, from 0 to 1."]
    if reading.trace is not None:
        ringed = _cell(reading) >= RINGED
        notes[0] += " Ring: a key that the selector selects, says the interpreter." * ringed
    empty = reading.layers * reading.model.model_config.num_heads - len(heads)
    if empty:
        notes.append(f"{counted(empty, 'head')} without weights: not shown.")
    if len(heads) > limit:
        notes.append(f"Only the first {limit} of {len(heads)} heads are shown.")
    return notes


def captions(reading: Reading, layer: int, head: int) -> tuple[str, str, str]:
    """Where a head is, the nodes that it computes, and the selector that it implements."""
    where = f"layer {layer} head {head}"
    if reading.trace is None:
        saved = reading.model.description
        places = [] if saved is None else list(saved.nodes.values())
        names = [place.label for place in places if (layer, head) in place.heads]
        return where, " and ".join(names), ""
    labels, nodes = reading.trace.layers.blocks.labels, reading.trace.values.nodes
    block = reading.trace.layers.layers[layer].heads[head]
    selector = f"{labels[block.selector]}: {node_text(nodes[block.selector], labels)}"
    return where, " and ".join(labels[node] for node in block.nodes), selector


def rings(reading: Reading, layer: int, head: int) -> np.ndarray | None:
    """Where the selector of a head selects, [query, key] with BOS."""
    selector = selectors_of(reading).get((layer, head))
    found = None if selector is None else reading.selected(selector)
    if found is None:
        return None
    return np.pad(found, ((reading.first, 0), (reading.first, 0)))


def _cell(reading: Reading) -> float:
    return min(CELL, LARGEST / len(reading.positions))


def _map(reading: Reading, layer: int, head: int) -> Plan:
    """One head."""
    positions = reading.positions
    size = len(positions)
    cell = _cell(reading)
    every = max(1, round(0.13 / cell))
    left = max(text_width(text, SMALL) for text in positions) + 0.1
    width = max(left + size * cell, 2.3)
    where, nodes, selector = captions(reading, layer, head)
    lines = folded(selector, width, SMALL)[:3]
    lines = [fitting(line, width, SMALL) for line in lines]
    tops = 0.34 + 0.14 * len(lines) + head_height(positions, cell)
    weights = reading.attention[layer, head]
    grid = Grid(
        weights,
        weights,
        (cell, cell),
        cell >= 0.2,
        {},
        rings(reading, layer, head) if cell >= RINGED else None,
    )

    def draw(paper: Paper, x: float, y: float) -> None:
        title = fitting(f"{where} → {nodes}" if nodes else where, width, (SMALL + 0.5) * BOLD)
        paper.text(x, y + 0.07, title, size=SMALL + 0.5, weight="bold")
        for number, line in enumerate(lines):
            place = y + 0.23 + 0.14 * number
            paper.text(x, place, line, size=SMALL, color=paper.theme.soft)
        draw_heads(paper, positions, x + left, y + tops, cell, every)
        for at, text in enumerate(positions[::every]):
            place = y + tops + (at * every + 0.5) * cell
            paper.text(x + left - 0.06, place, text, size=SMALL, ha="right")
        grid.draw(paper, x + left, y + tops)

    return Plan(width, tops + size * cell, draw)
