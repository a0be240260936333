"""The weights of a layer, rows and columns by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.visualize.attention_maps import captions
from tracr_lite.visualize.canvas import (
    BOLD,
    SMALL,
    Paper,
    Plan,
    fitting,
    text_width,
    titled,
    to_figure,
    wrapped,
)
from tracr_lite.visualize.grid import Grid
from tracr_lite.visualize.neuron_maps import layer_in
from tracr_lite.visualize.parts import heads_of
from tracr_lite.visualize.program_graphs import read_any
from tracr_lite.visualize.reading import Reading, matrix
from tracr_lite.visualize.rows import ZERO
from tracr_lite.visualize.theme import Theme, ThemeName
from tracr_lite.visualize.words import number_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 60  # rows, and columns, of one matrix
LONGEST = 1.7  # inches, of a label


@dataclass(frozen=True)
class Matrix:
    """A matrix with names.

    **Arguments:** `live`: numbers of the rows, and of the columns, that are not zero on the
    input.
    """

    title: str
    values: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]
    live: tuple[frozenset[int], frozenset[int]]
    axes: tuple[str, str]


def weights(
    model: AssembledTransformerModel | Reading,
    xs: Sequence[Any] | None = None,
    *,
    theme: ThemeName | Theme = "light",
    layer: int = 0,
    max_size: int = MOST,
) -> Figure:
    """All matrices of a layer: per head what query and key make of the stream, and what value
    and output do; then into and out of the neurons.

    Rows and columns that are all zero are left out. With an input, rows that it makes use of
    are bold.

    **Arguments:** `layer`: from 0; `max_size`: rows and columns shown of a matrix, the first
    ones; the picture says how many more there are.
    **Raises:** `VisualizeError` for a layer that there is not; `MissingDependency` without
    matplotlib.
    """
    return to_figure(plan(read_any(model, xs), layer, max_size, xs is not None), theme)


def plan(reading: Reading, layer: int, limit: int = MOST, marked: bool = True) -> Plan:
    """The picture, measured."""
    found = [
        *_heads(reading, layer_in(reading, layer)),
        *_neurons(reading, layer),
    ]
    notes = ["Colour: share of the largest entry of the matrix; orange, with a sign: negative."]
    if marked:
        notes[0] += " Bold: not zero on this input."
    plans = [_plan(each, limit, marked) for each in found if each.values.any()]
    if not plans:
        empty = Plan(3.0, 0.0, lambda paper, x, y: None)
        return titled(f"Weights of layer {layer}", empty, ["All weights are zero."])
    return titled(f"Weights of layer {layer}", wrapped(plans, 13.0, 0.4), notes)


def _heads(reading: Reading, layer: int) -> Iterator[Matrix]:
    """Query with key, and value with output, of each head; biases are rows and columns."""
    config, labels = reading.model.model_config, reading.model.residual_labels
    here = f"transformer/layer_{layer}/attn"
    live = _live(reading.stream[2 * layer])
    size = config.key_size
    names = (*labels, "bias")
    for at in [head for number, head in heads_of(reading) if number == layer]:
        lanes = slice(at * size, (at + 1) * size)
        query, key, value = (
            np.vstack([w[:, lanes], b[None, lanes]])
            for w, b in (
                matrix(reading.model, f"{here}/{n}") for n in ("query", "key", "value")
            )
        )
        out, _ = matrix(reading.model, f"{here}/linear")
        where, nodes, _ = captions(reading, layer, at)
        scores = query @ key.T / math.sqrt(max(size, 1))
        pair = ("query", "key")
        yield Matrix(f"{where}, query and key", scores, names, names, (live, live), pair)
        moved = value @ out[lanes]
        title = f"{where}, value and output"
        title += f" → {nodes}" if nodes else ""
        yield Matrix(title, moved, names, labels, (live, live), ("reads", "writes"))


def _neurons(reading: Reading, layer: int) -> Iterator[Matrix]:
    labels = reading.model.residual_labels
    here = f"transformer/layer_{layer}/mlp"
    live = _live(reading.stream[2 * layer + 1])
    w_in, b_in = matrix(reading.model, f"{here}/linear_1")
    w_out, b_out = matrix(reading.model, f"{here}/linear_2")
    names = [str(i) for i in range(w_in.shape[1])]
    rows = (*labels, "bias")
    title = f"layer {layer} into neurons"
    values = np.vstack([w_in, b_in[None]])
    active = _live(reading.hidden(layer))
    yield Matrix(title, values, rows, names, (live, active), ("reads", "neuron"))
    title = f"layer {layer} out of neurons"
    rows = (*names, "bias")
    values = np.vstack([w_out, b_out[None]])
    written = _live(reading.stream[2 * layer + 2])
    yield Matrix(title, values, rows, labels, (active, written), ("neuron", "writes"))


def _live(held: np.ndarray) -> frozenset[int]:
    """The columns that are not zero somewhere."""
    return frozenset(np.flatnonzero(np.abs(held).max(axis=0) > ZERO).tolist())


def _first(numbers: Sequence[int], live: frozenset[int], limit: int) -> list[int]:
    """As many as may be shown, those that are used on the input before others; in order."""
    return sorted(sorted(numbers, key=lambda i: (i not in live, i))[:limit])


def _plan(found: Matrix, limit: int, marked: bool) -> Plan:
    rows, columns = (np.flatnonzero(found.values.any(axis=axis)).tolist() for axis in (1, 0))
    live = found.live if marked else (frozenset[int](), frozenset[int]())
    across = _first(columns, live[1], limit)
    used = np.flatnonzero(found.values[:, across].any(axis=1)).tolist()
    kept = _first(used, live[0], limit)
    values = found.values[np.ix_(kept, across)]
    peak = float(np.abs(values).max(initial=0.0)) or 1.0
    numbers = len(across) <= 14 and len(kept) <= 30
    cell = (0.3 if numbers else 0.16, 0.16)
    left = min(max(text_width(found.rows[i], SMALL) for i in kept), LONGEST) * 1.12 + 0.1
    up = min(max(text_width(found.columns[i], SMALL) for i in across), LONGEST) + 0.1
    lines = [f"largest entry {number_text(peak)}; {found.axes[0]} down, {found.axes[1]} across"]
    if len(kept) < len(rows) or len(across) < len(columns):
        lines.append(
            f"{len(kept)} of {len(rows)} rows and {len(across)} of {len(columns)} columns"
            + (", those first that are not zero on this input" if marked else "")
        )
    tops = 0.36 + 0.13 * (len(lines) - 1) + up
    width = max(
        left + cell[0] * len(across), min(text_width(found.title, SMALL * 1.25), 4.0), 2.4
    )

    def draw(paper: Paper, x: float, y: float) -> None:
        title = fitting(found.title, width, (SMALL + 0.5) * BOLD)
        paper.text(x, y + 0.07, title, size=SMALL + 0.5, weight="bold")
        for at, line in enumerate(lines):
            how: dict[str, Any] = {"size": SMALL, "color": paper.theme.soft}
            paper.text(x, y + 0.22 + 0.13 * at, fitting(line, width, SMALL), **how)
        for at, row in enumerate(kept):
            text = fitting(found.rows[row], LONGEST, SMALL)
            weight = "bold" if marked and row in live[0] else "normal"
            place = y + tops + (at + 0.5) * cell[1]
            how = {"size": SMALL, "ha": "right", "weight": weight}
            paper.text(x + left - 0.06, place, text, **how)
        for at, column in enumerate(across):
            text = fitting(found.columns[column], LONGEST, SMALL)
            how = {"size": SMALL, "ha": "center", "va": "bottom", "rotation": 90}
            paper.text(x + left + (at + 0.5) * cell[0], y + tops - 0.04, text, **how)
        Grid(values, values / peak, cell, numbers).draw(paper, x + left, y + tops)

    return Plan(width, tops + cell[1] * len(kept), draw)
