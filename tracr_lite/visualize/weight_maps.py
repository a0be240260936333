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


@dataclass(frozen=True)
class Shown:
    """What is shown of a matrix: rows and columns by number; `lines` say so."""

    rows: list[int]
    columns: list[int]
    bold: frozenset[int]
    lines: list[str]


def _shown(found: Matrix, limit: int, marked: bool) -> Shown:
    """Without what is all zero; no more than `limit` rows and columns."""
    rows, columns = (np.flatnonzero(found.values.any(axis=axis)).tolist() for axis in (1, 0))
    live = found.live if marked else (frozenset[int](), frozenset[int]())
    across = _first(columns, live[1], limit)
    kept = _first(np.flatnonzero(found.values[:, across].any(axis=1)).tolist(), live[0], limit)
    peak = float(np.abs(found.values).max(initial=0.0))
    lines = [f"largest entry {number_text(peak)}; {found.axes[0]} down, {found.axes[1]} across"]
    if len(kept) < len(rows) or len(across) < len(columns):
        whole = f"{len(rows)} rows and {len(across)} of {len(columns)} columns"
        lines.append(f"{len(kept)} of {whole}")
        if marked:
            lines.append("those first that are not zero on this input")
    return Shown(kept, across, live[0], lines)


def _plan(found: Matrix, limit: int, marked: bool) -> Plan:
    part = _shown(found, limit, marked)
    peak = float(np.abs(found.values).max(initial=0.0)) or 1.0
    numbers = len(part.columns) <= 14 and len(part.rows) <= 30
    cell = (0.3 if numbers else 0.16, 0.16)
    names = [fitting(found.rows[i], LONGEST, SMALL) for i in part.rows]
    heads = [fitting(found.columns[i], LONGEST, SMALL) for i in part.columns]
    left = max(text_width(name, SMALL) for name in names) * BOLD + 0.1
    tops = 0.33 + 0.13 * (len(part.lines) - 1) + max(text_width(x, SMALL) for x in heads) + 0.1
    title = fitting(found.title, 4.0, (SMALL + 0.5) * BOLD)
    texts = [text_width(line, SMALL) for line in part.lines]
    texts.append(text_width(title, (SMALL + 0.5) * BOLD))
    values = found.values[np.ix_(part.rows, part.columns)]

    def draw(paper: Paper, x: float, y: float) -> None:
        paper.text(x, y + 0.07, title, size=SMALL + 0.5, weight="bold")
        for at, line in enumerate(part.lines):
            how: dict[str, Any] = {"size": SMALL, "color": paper.theme.soft}
            paper.text(x, y + 0.22 + 0.13 * at, line, **how)
        for at, (row, name) in enumerate(zip(part.rows, names, strict=True)):
            weight = "bold" if row in part.bold else "normal"
            place = y + tops + (at + 0.5) * cell[1]
            paper.text(x + left - 0.06, place, name, size=SMALL, ha="right", weight=weight)
        how = {"size": SMALL, "ha": "center", "va": "bottom", "rotation": 90}
        for at, name in enumerate(heads):
            paper.text(x + left + (at + 0.5) * cell[0], y + tops - 0.04, name, **how)
        Grid(values, values / peak, cell, numbers).draw(paper, x + left, y + tops)

    width = max(left + cell[0] * len(part.columns), *texts)
    return Plan(width, tops + cell[1] * len(part.rows), draw)
