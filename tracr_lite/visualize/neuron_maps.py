"""MLP neurons: when each is active, what it computes, and where it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.visualize.canvas import (
    BOLD,
    NORMAL,
    SMALL,
    Paper,
    Plan,
    fitting,
    stacked,
    text_width,
    titled,
    to_figure,
)
from tracr_lite.visualize.errors import VisualizeError
from tracr_lite.visualize.formulas import Neurons, formulas, neurons_of
from tracr_lite.visualize.grid import Grid, draw_heads, head_height
from tracr_lite.visualize.parts import parts_of
from tracr_lite.visualize.reading import Reading, read
from tracr_lite.visualize.theme import Theme, ThemeName
from tracr_lite.visualize.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIGH = 0.16
WIDEST, TITLE = 4.2, 9.0  # inches, of a formula, and of a heading
EACH = 40  # neurons of one node
FEWEST, ALL = 6, 160  # of one node, however many nodes; of all nodes together


def neurons(
    model: AssembledTransformerModel | Reading,
    xs: Sequence[Any] | None = None,
    *,
    theme: ThemeName | Theme = "light",
    layer: int | None = None,
    max_neurons: int = EACH,
) -> Figure:
    """A heat map of neurons by position, with the formula of each neuron before and after it.

    A neuron is the positive part of the formula on its left; the formula on its right is what
    it adds to the stream for each unit. Neurons silent on this input are only counted.

    **Arguments:** `xs`: the input without BOS; `layer`: by default all; `max_neurons`: of one
    node, fewer if there are many nodes; those that are active most. The picture says how many
    more there are.
    **Raises:** `VisualizeError` for a layer that there is not; `InputError` as `model.apply`;
    `MissingDependency` without matplotlib.
    """
    return to_figure(plan(read(model, xs), layer, max_neurons), theme)


def plan(
    reading: Reading,
    layer: int | None = None,
    limit: int = EACH,
    whole: int = ALL,
    most: int | None = None,
) -> Plan:
    """The picture, measured.

    **Arguments:** `whole`: about how many neurons it shows altogether; `most`: of how many
    nodes, by default all.
    """
    layers = [layer_in(reading, layer)] if layer is not None else range(reading.layers)
    groups = [group for at in layers for group in neurons_of(reading, at)]
    limit = min(limit, max(FEWEST, whole // max(len(groups), 1)))
    blocks = [_block(reading, group, limit) for group in groups[:most]]
    note = "Left: what a neuron takes the positive part of. Right: what it adds to the stream, "
    note += "for each unit. Colour: share of the largest value in the block."
    if not blocks:
        return titled("Neurons", Plan(3.0, 0.0, lambda paper, x, y: None), ["No neurons."])
    notes = [note]
    if len(blocks) < len(groups):
        notes.append(
            f"Only the first {len(blocks)} of {len(groups)} groups of neurons are shown."
        )
    return titled("Neurons", stacked(blocks, 0.25), notes)


def layer_in(reading: Reading, layer: int) -> int:
    """**Raises:** `VisualizeError` if the model has no such layer."""
    if not 0 <= layer < reading.layers:
        raise VisualizeError(f"the model has layers 0 to {reading.layers - 1}; got {layer}")
    return layer


def heading(reading: Reading, group: Neurons) -> str:
    """The node that neurons compute, and what that is."""
    text = f" = {parts_of(reading)[group.node].text}" if reading.trace is not None else ""
    return f"layer {group.layer} → {group.node}{text}"


def strongest(active: np.ndarray, numbers: Sequence[int], limit: int) -> list[int]:
    """Of some neurons, those that are active at most positions, in order."""
    often = sorted(numbers, key=lambda i: -int((active[:, i] > 0).sum()))
    return sorted(often[:limit])


def _block(reading: Reading, group: Neurons, limit: int) -> Plan:
    """The neurons of one node."""
    active = reading.hidden(group.layer)
    kept = strongest(active, group.active, limit)
    lines = [formulas(reading, group.layer, number) for number in kept]
    values = active[:, kept].T
    wide = max(text_width(text, SMALL) for text in reading.positions) + 0.06
    cell = min(max(wide, 0.28), 0.5, 8.0 / len(reading.positions))
    left = _width([f"{n}   {reads}" for n, (reads, _) in zip(kept, lines, strict=True)])
    right = _width([writes for _, writes in lines])
    tops = 0.22 + head_height(reading.positions, cell)
    middle = cell * len(reading.positions)
    title = fitting(heading(reading, group), TITLE, NORMAL * BOLD)
    foot = _counts(len(group.numbers), len(group.active), len(kept))

    def draw(paper: Paper, x: float, y: float) -> None:
        paper.text(x, y + 0.07, title, weight="bold")
        if kept:
            every = max(1, round(0.13 / cell))
            draw_heads(paper, reading.positions, x + left, y + tops, cell, every)
            share = values / (np.abs(values).max() or 1.0)
            Grid(values, share, (cell, HIGH), cell >= 0.25).draw(paper, x + left, y + tops)
        for at, (reads, writes) in enumerate(lines):
            line = y + tops + (at + 0.5) * HIGH
            text = fitting(reads, WIDEST, SMALL)
            soft = {"size": SMALL, "color": paper.theme.soft}
            paper.text(x, line, str(kept[at]), **soft)
            paper.text(x + left - 0.08, line, text, size=SMALL, ha="right")
            text = fitting(f"→ {writes}", WIDEST, SMALL)
            paper.text(x + left + middle + 0.08, line, text, size=SMALL)
        line = y + tops + len(kept) * HIGH + 0.09
        paper.text(x, line, foot, size=SMALL, color=paper.theme.soft)

    texts = text_width(foot, SMALL), text_width(title, NORMAL * BOLD)
    width = max(left + middle + right, *texts)
    return Plan(width, tops + len(kept) * HIGH + 0.18, draw)


def _width(texts: Sequence[str]) -> float:
    widest = max((text_width(text, SMALL) for text in texts), default=0.0)
    return min(widest, WIDEST + 0.3) + 0.3


def _counts(own: int, loud: int, kept: int) -> str:
    """What is shown of how many."""
    text = f"{counted(own, 'neuron')}, {loud:,} active on this input"
    return text if kept == loud else f"{text}; the {kept} that are active most are shown"
