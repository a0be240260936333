"""The residual stream after each half-layer, its columns grouped by the nodes that own them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.visualize.canvas import (
    SMALL,
    Paper,
    Plan,
    fitting,
    stacked,
    text_width,
    titled,
    to_figure,
)
from tracr_lite.visualize.grid import NARROWEST, Grid, draw_heads, head_height
from tracr_lite.visualize.parts import has_program, parts_of, step_name
from tracr_lite.visualize.reading import Reading, read
from tracr_lite.visualize.rows import Group, changes, fold, groups_of, said, scale_of
from tracr_lite.visualize.theme import Theme, ThemeName

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIGH = 0.16  # of a cell, in inches
WIDEST = 13.0  # of a row of panels
HIGHEST = 26.0  # of all panels below each other
MOST = 32  # panels
GROUP_GAP = 0.07


def residual_stream(
    model: AssembledTransformerModel | Reading,
    xs: Sequence[Any] | None = None,
    *,
    theme: ThemeName | Theme = "light",
    max_rows: int = 70,
) -> Figure:
    """One heat map per half-layer: residual columns by position, BOS first.

    Columns are grouped by the node that they belong to, in the order of computation. Those
    that stay zero on this input are one row per node; half-layers that write nothing are left
    out. The picture says what it does not show.

    **Arguments:** `xs`: the input without BOS; `max_rows`: above it, the nodes with most
    columns become one row each, which says their value.
    **Raises:** `InputError` as `model.apply`; `MissingDependency` without matplotlib.
    """
    return to_figure(plan(read(model, xs), max_rows), theme)


def steps_of(reading: Reading) -> list[int]:
    """The embeddings, and half-layers that write, or that should: they compute a node."""
    change = np.abs(np.diff(reading.stream, axis=0)).max(axis=(1, 2), initial=0.0)
    found = {0, *(int(i) + 1 for i in np.flatnonzero(change))}
    if has_program(reading):
        found |= {part.slot + 1 for part in parts_of(reading).values()}
    return sorted(found)


def plan(reading: Reading, max_rows: int = 70, highest: float = HIGHEST) -> Plan:
    """The picture, measured; `highest` is how high its panels may be, if that is possible."""
    whole, steps = groups_of(reading), steps_of(reading)
    shown = steps[:MOST]
    groups = fold(reading, whole, max_rows)
    lines = _lines(reading, groups, shown)
    fit = int(highest / HIGH / len(lines))
    if fit < sum(len(group.rows) for group in groups):
        groups = fold(reading, whole, max(fit, len(whole)))
        lines = _lines(reading, groups, shown)
    sizes = _cell(reading, groups), _label_width(groups)
    plans = [_line(reading, _written(groups, line), line, *sizes) for line in lines]
    notes = _notes(reading, groups, steps)
    if len(plans) > 1:
        notes.append("In each row of panels, nodes that are written later are left out.")
    return titled("Residual stream", stacked(plans, 0.3), notes)


def _lines(
    reading: Reading, groups: Sequence[Group], steps: Sequence[int]
) -> list[Sequence[int]]:
    """The steps of each row of panels."""
    panel = _cell(reading, groups) * len(reading.positions) + 0.25
    fit = max(1, int((WIDEST - _label_width(groups) + 0.25) / panel))
    return [steps[i : i + fit] for i in range(0, len(steps), fit)]


def _written(groups: Sequence[Group], steps: Sequence[int]) -> list[Group]:
    return [group for group in groups if group.slot < steps[-1]]


def _notes(reading: Reading, groups: Sequence[Group], steps: Sequence[int]) -> list[str]:
    notes = [
        "Rows are columns of the stream, by the node that they belong to. Colour: share of the "
        "largest value of the node. A bar marks the nodes that a half-layer writes."
    ]
    left_out = 1 + 2 * reading.layers - len(steps)
    if left_out:
        notes.append(
            f"{left_out} of {2 * reading.layers} half-layers write nothing: not shown."
        )
    if len(steps) > MOST:
        notes.append(f"Only the first {MOST} of {len(steps)} half-layers are shown.")
    silent = sum(len(r.columns) for g in groups for r in g.rows if r.silent)
    if silent:
        notes.append(
            f"{silent} columns stay zero (below 0.001) on this input: one row per node."
        )
    merged = [g.name for g in groups if len(g.rows) == 1 and len(g.columns) > 1]
    merged = [g for g in merged if not _group(groups, g).rows[0].silent]
    if _cell(reading, groups) < NARROWEST:
        notes.append("The cells are too narrow to bear values.")
    elif merged:
        notes.append(f"One row that says the value, for lack of room: {', '.join(merged)}.")
    return notes


def _group(groups: Sequence[Group], name: str) -> Group:
    return next(group for group in groups if group.name == name)


def _cell(reading: Reading, groups: Sequence[Group]) -> float:
    """The width of a cell: as wide as the tokens, in bounds; narrow for long inputs."""
    size = len(reading.positions)
    wanted = max(text_width(text, SMALL) for text in reading.positions) + 0.06
    merged = any(len(r.columns) > 1 and not r.silent for g in groups for r in g.rows)
    low = 0.36 if merged else 0.22
    return min(max(wanted, low), 0.5, max(11.0 / size, 0.03))


def _label_width(groups: Sequence[Group]) -> float:
    rows = max(text_width(r.label, SMALL) for g in groups for r in g.rows)
    return min(rows, 1.6) + min(max(text_width(g.name, SMALL) for g in groups), 1.9) + 0.35


def _line(
    reading: Reading,
    groups: Sequence[Group],
    steps: Sequence[int],
    cell: float,
    labels: float,
) -> Plan:
    """A row of panels, and the labels before them."""
    panel = cell * len(reading.positions)
    height = sum(len(g.rows) * HIGH + GROUP_GAP for g in groups)
    tops = 0.22 + head_height(reading.positions, cell)
    titles = _titles(steps, panel)

    def draw(paper: Paper, x: float, y: float) -> None:
        _draw_labels(paper, groups, x, y + tops, labels)
        for at, step in enumerate(steps):
            left = x + labels + at * (panel + 0.25)
            paper.text(left, y + 0.08, titles[at], size=SMALL + 0.5, weight="bold")
            every = max(1, round(0.13 / cell))
            draw_heads(paper, reading.positions, left, y + tops, cell, every)
            _draw_panel(paper, reading, groups, step, (left, y + tops), cell)

    return Plan(labels + len(steps) * (panel + 0.25) - 0.25, tops + height, draw)


def _titles(steps: Sequence[int], width: float) -> list[str]:
    """The names of half-layers, all of them short if one does not fit."""
    names = [step_name(step - 1) for step in steps]
    if all(text_width(name, SMALL + 1.5) <= width + 0.2 for name in names):
        return names
    short = [name.replace("attention", "attn").split(" ") for name in names]
    return [f"{x[2]} {x[1]}" if len(x) == 3 else x[0] for x in short]


def _draw_labels(
    paper: Paper, groups: Sequence[Group], x: float, y: float, width: float
) -> None:
    for group in groups:
        height = len(group.rows) * HIGH
        name = fitting(group.name, 1.9, SMALL)
        paper.text(x, y + height / 2, name, size=SMALL, weight="bold")
        for at, row in enumerate(group.rows):
            place = y + (at + 0.5) * HIGH
            color = paper.theme.soft if row.silent else paper.theme.ink
            text = fitting(row.label, 1.6, SMALL)
            paper.text(x + width - 0.12, place, text, size=SMALL, color=color, ha="right")
        y += height + GROUP_GAP


def _draw_panel(
    paper: Paper,
    reading: Reading,
    groups: Sequence[Group],
    step: int,
    corner: tuple[float, float],
    cell: float,
) -> None:
    x, y = corner
    for group in groups:
        held = reading.stream[step]
        values = np.stack([_strongest(held[:, list(row.columns)]) for row in group.rows])
        texts = {
            (at, position): said(reading, group, row, step, position)
            for at, row in enumerate(group.rows)
            if len(row.columns) > 1 and not row.silent
            for position in range(len(reading.positions))
        }
        share = values / scale_of(reading, group)
        Grid(values, share, (cell, HIGH), cell >= 0.19, texts).draw(paper, x, y)
        height = len(group.rows) * HIGH
        if changes(reading, group, step):
            bar = {"facecolor": paper.theme.accent}
            paper.box(x - 0.07, y, 0.04, height, **bar)
        y += height + GROUP_GAP


def _strongest(held: np.ndarray) -> np.ndarray:
    """Of some columns, the value that is furthest from zero, by position."""
    return held[np.arange(len(held)), np.abs(held).argmax(axis=1)]
