"""Heat maps with labels: the piece that most pictures are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracr_lite.visualize.canvas import SMALL, Paper, fitting, text_width

SIZE = 6.5  # points, of numbers in cells
NARROWEST = 0.12  # inches, of cells with text
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Grid:
    """A heat map.

    **Arguments:**
    - `values`: [rows, columns]; `share`: the same, from -1 to 1, which colours show.
    - `cell`: width and height of a cell in inches.
    - `texts`: what cells say instead of their number; `numbers`: whether they say anything.
    - `dots`: where a small ring is drawn.
    """

    values: np.ndarray
    share: np.ndarray
    cell: tuple[float, float]
    numbers: bool = True
    texts: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    dots: np.ndarray | None = None

    @property
    def width(self) -> float:
        return self.values.shape[1] * self.cell[0]

    @property
    def height(self) -> float:
        return self.values.shape[0] * self.cell[1]

    def draw(self, paper: Paper, x: float, y: float) -> None:
        """Cells, lines between them, numbers and rings."""
        rows, columns = self.values.shape
        if not rows or not columns:
            return
        colors = paper.theme.colors(self.share, 1.0)
        self._draw_cells(paper, colors, x, y)
        for row, column in zip(*np.nonzero(self._spoken()), strict=True):
            self._say(paper, colors, (x, y), int(row), int(column))
        if self.dots is not None:
            ys, xs = np.nonzero(self.dots)
            style: dict[str, Any] = {"facecolors": "none", "linewidths": 1.1, "zorder": 4}
            inks = [paper.theme.ink_on(colors[at]) for at in zip(ys, xs, strict=True)]
            size = min(self.cell) * 72 * (0.72 if min(self.cell) > 0.15 else 0.3)
            places = x + (xs + 0.5) * self.cell[0], y + (ys + 0.5) * self.cell[1]
            paper.sheet.scatter(*places, s=size**2, edgecolors=inks, **style)

    def _draw_cells(self, paper: Paper, colors: Any, x: float, y: float) -> None:
        """Colours, and the lines between cells if these are not too small."""
        rows, columns = self.values.shape
        right, bottom = x + self.width, y + self.height
        how: dict[str, Any] = {"extent": (x, right, bottom, y), "aspect": "auto"}
        paper.sheet.imshow(colors, interpolation="nearest", zorder=1, **how)
        rule = {"colors": paper.theme.line, "linewidth": 0.5, "zorder": 2}
        fine = min(self.cell) > 0.06
        ys = [y + i * self.cell[1] for i in (range(rows + 1) if fine else (0, rows))]
        xs = [x + i * self.cell[0] for i in (range(columns + 1) if fine else (0, columns))]
        paper.sheet.hlines(ys, x, right, **rule)
        paper.sheet.vlines(xs, y, bottom, **rule)

    def _spoken(self) -> np.ndarray:
        """Cells that bear text: those with one, and all that are not zero, if there is room."""
        if self.cell[0] < NARROWEST:
            return np.zeros(self.values.shape, bool)
        spoken = (np.abs(self.share) > 0.004) if self.numbers else self.share < -0.004
        for at in self.texts:
            spoken[at] = True
        return spoken

    def _say(
        self, paper: Paper, colors: Any, corner: tuple[float, float], row: int, column: int
    ) -> None:
        text = self.texts.get((row, column), MINUS)
        if self.numbers and (row, column) not in self.texts:
            text = short_number(float(self.values[row, column]))
        shown = fitting(text, self.cell[0] - 0.02, SIZE)
        x = corner[0] + (column + 0.5) * self.cell[0]
        y = corner[1] + (row + 0.54) * self.cell[1]
        color = paper.theme.ink_on(colors[row, column])
        paper.text(x, y, shown, size=SIZE, color=color, ha="center")


def short_number(number: float) -> str:
    """At most four characters, where that is possible."""
    if abs(number - round(number)) < 0.005:
        return f"{round(number):d}".replace("-", MINUS)
    text = f"{number:.2f}" if abs(number) < 9.95 else f"{number:.1f}"
    if abs(number) >= 99.5:
        text = f"{number:.0f}"
    text = text.replace("0.", ".", 1) if abs(number) < 1 else text
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)


def head_height(labels: Sequence[str], cell: float) -> float:
    """The room that labels above columns need: level if they fit, else upright."""
    if all(text_width(label, SMALL) <= cell - 0.03 for label in labels):
        return 0.17
    return max(text_width(label, SMALL) for label in labels) + 0.08


def draw_heads(
    paper: Paper, labels: Sequence[str], x: float, y: float, cell: float, every: int = 1
) -> None:
    """Labels above columns; (x, y) is the top left corner of the cells."""
    level = head_height(labels, cell) == 0.17
    for at, label in enumerate(labels):
        if at % every == 0:
            how = {"ha": "center", "va": "bottom", "rotation": 0 if level else 90}
            paper.text(x + (at + 0.5) * cell, y - 0.03, label, size=SMALL, **how)
