"""Draws a placed graph: bands for half-layers, boxes with text, and edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracr_lite.visualize.canvas import (
    BOLD,
    MONO,
    SANS,
    SMALL,
    Paper,
    Plan,
    fitting,
    text_width,
)
from tracr_lite.visualize.layout import Box, Placed, Point
from tracr_lite.visualize.parts import step_name

LINE = 0.145  # inches, of text
PAD = 0.07
SIDE = 1.0  # left of the boxes, for the names of half-layers
BAND = 0.12  # above and below the boxes of a half-layer


@dataclass(frozen=True)
class Card:
    """What a box says.

    **Arguments:** `title`; `lines`: below it, (text, kind) where kind is `soft`, `mono` or
    `wrong`; `dashed`: the outline of what has no columns of its own; `strong`: of the output.
    """

    title: str
    lines: tuple[tuple[str, str], ...] = ()
    dashed: bool = False
    strong: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        widths = [text_width(self.title, SMALL + 0.5) * BOLD]
        widths += [_line_width(text, kind) for text, kind in self.lines]
        return max(widths) + 2 * PAD, LINE * (1 + len(self.lines)) + 2 * PAD


def _line_width(text: str, kind: str) -> float:
    family = SANS if kind == "soft" else MONO
    return text_width(text, SMALL, family)


def cut(text: str, width: float) -> str:
    """A line of a card, no wider than this."""
    return fitting(text, width, SMALL)


def graph_plan(
    cards: Mapping[str, Card],
    found: Placed,
    notes: Mapping[tuple[str, str], str] | None = None,
) -> Plan:
    """The picture of a placed graph; `notes` are short texts on edges."""
    width, height = SIDE + found.width + BAND, found.height + 2 * BAND

    def draw(paper: Paper, x: float, y: float) -> None:
        _draw_bands(paper, found, x, y + BAND, width)
        corner = (x + SIDE, y + BAND)
        _draw_edges(paper, corner, found, notes or {})
        for name, card in cards.items():
            _draw_card(paper, corner, found.boxes[name], card)

    return Plan(width, height, draw)


def _draw_bands(paper: Paper, found: Placed, x: float, y: float, width: float) -> None:
    for slot, top, bottom in found.bands:
        color = paper.theme.panel
        high = bottom - top + 2 * BAND
        paper.box(x, y + top - BAND, width, high, facecolor=color, zorder=0)
        words = step_name(slot).split(" ")
        title = [" ".join(words[:2]), " ".join(words[2:])] if len(words) > 2 else words
        middle = y + (top + bottom) / 2 - 0.065 * (len(title) - 1)
        for at, text in enumerate(title):
            how: dict[str, Any] = {"size": SMALL, "color": paper.theme.soft}
            paper.text(x + 0.1, middle + 0.13 * at, text, weight="bold", **how)


def _draw_edges(
    paper: Paper, corner: Point, found: Placed, notes: Mapping[tuple[str, str], str]
) -> None:
    from matplotlib.patches import PathPatch

    color = paper.theme.soft
    for edge, path in found.paths.items():
        points = [(corner[0] + x, corner[1] + y) for x, y in path]
        style: dict[str, Any] = {"edgecolor": color, "facecolor": "none", "linewidth": 0.9}
        paper.sheet.add_patch(PathPatch(_curve(points), zorder=1, **style))
        x, y = points[-1]
        tip = [(x, y), (x - 0.033, y - 0.07), (x + 0.033, y - 0.07)]
        paper.sheet.fill(*zip(*tip, strict=True), color=color, zorder=1)
        if edge in notes:
            how = {"size": SMALL - 1, "color": paper.theme.accent, "weight": "bold"}
            paper.text(x + 0.05, y - 0.06, notes[edge], **how)


def _curve(points: Sequence[Point]) -> Any:
    from matplotlib.path import Path

    spots: list[Point] = [points[0]]
    codes = [Path.MOVETO]
    for at in range(len(points) - 1):
        (x0, y0), (x1, y1) = points[at], points[at + 1]
        if at % 2 == 0:  # between rows
            middle = (y0 + y1) / 2
            spots += [(x0, middle), (x1, middle), (x1, y1)]
            codes += [Path.CURVE4] * 3
        else:  # along a lane
            spots.append((x1, y1))
            codes.append(Path.LINETO)
    return Path(spots, codes)


def _draw_card(paper: Paper, corner: Point, box: Box, card: Card) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y, theme = corner[0] + box.x, corner[1] + box.y, paper.theme
    style: dict[str, Any] = {
        "boxstyle": "round,pad=0,rounding_size=0.05",
        "facecolor": theme.paper,
        "edgecolor": theme.soft if card.dashed else theme.accent,
        "linewidth": 2.2 if card.strong else 1.0,
        "linestyle": (0, (3, 2)) if card.dashed else "solid",
        "zorder": 2,
    }
    paper.sheet.add_patch(FancyBboxPatch((x, y), box.width, box.height, **style))
    y += PAD + LINE / 2
    paper.text(x + PAD, y, card.title, size=SMALL + 0.5, weight="bold")
    for text, kind in card.lines:
        y += LINE
        color = {"soft": theme.soft, "wrong": theme.wrong}.get(kind, theme.ink)
        family = SANS if kind == "soft" else MONO
        paper.text(x + PAD, y, text, size=SMALL, color=color, family=family)
