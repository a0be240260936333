"""Figures without pyplot, measured in inches from the top left corner.

A `Plan` knows its size before anything is drawn, so plans can be put below each other.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (matplotlib is typed in part only)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tracr_lite.visualize.errors import MissingDependency
from tracr_lite.visualize.theme import Theme, ThemeName, theme_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINT = 1 / 72  # inches
MARGIN = 0.2
SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"  # they come with matplotlib
BOLD = 1.14  # how much wider bold text is
SMALL, NORMAL, LARGE = 7.0, 8.5, 11.0  # points


@dataclass(frozen=True)
class Plan:
    """A drawing and its size in inches; `draw(paper, x, y)` puts its top left corner there."""

    width: float
    height: float
    draw: Callable[[Paper, float, float], None]


@dataclass(frozen=True)
class Paper:
    """A figure and its colours; `sheet` are axes in inches that cover all of it."""

    figure: Any
    sheet: Any
    theme: Theme

    def text(self, x: float, y: float, text: str, **how: Any) -> None:
        """Text at a place; its middle line by default, and its left end."""
        style: dict[str, Any] = {
            "size": NORMAL,
            "color": self.theme.ink,
            "va": "center",
            "ha": "left",
            "family": SANS,
            "zorder": 3,
        } | how
        self.sheet.text(x, y, drawable(text), parse_math=False, **style)

    def box(self, x: float, y: float, width: float, height: float, **how: Any) -> None:
        """A rectangle."""
        from matplotlib.patches import Rectangle

        style: dict[str, Any] = {"facecolor": "none", "edgecolor": "none", "zorder": 1} | how
        self.sheet.add_patch(Rectangle((x, y), width, height, **style))


def to_figure(plan: Plan, theme: ThemeName | Theme) -> Figure:
    """The figure of a plan.

    **Raises:** `MissingDependency` without matplotlib.
    """
    colors = theme_of(theme)
    size = (plan.width + 2 * MARGIN, plan.height + 2 * MARGIN)
    figure = figure_class()(figsize=size, facecolor=colors.paper, dpi=110)
    sheet: Any = figure.add_axes((0, 0, 1, 1))
    sheet.set_axis_off()
    sheet.set_autoscale_on(False)
    sheet.set(xlim=(0, size[0]), ylim=(size[1], 0))
    plan.draw(Paper(figure, sheet, colors), MARGIN, MARGIN)
    return figure


def figure_class() -> Any:
    """`matplotlib.figure.Figure`, which needs no pyplot and no display."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependency(
            "pictures need matplotlib: pip install 'tracr_lite[plots]'"
        ) from error
    return Figure


def stacked(plans: Sequence[Plan], gap: float = 0.3) -> Plan:
    """Plans below each other."""
    height = sum(plan.height for plan in plans) + gap * max(len(plans) - 1, 0)

    def draw(paper: Paper, x: float, y: float) -> None:
        for plan in plans:
            plan.draw(paper, x, y)
            y += plan.height + gap

    return Plan(max((plan.width for plan in plans), default=0.0), height, draw)


def side_by_side(plans: Sequence[Plan], gap: float = 0.3) -> Plan:
    """Plans beside each other, tops aligned."""
    width = sum(plan.width for plan in plans) + gap * max(len(plans) - 1, 0)

    def draw(paper: Paper, x: float, y: float) -> None:
        for plan in plans:
            plan.draw(paper, x, y)
            x += plan.width + gap

    return Plan(width, max((plan.height for plan in plans), default=0.0), draw)


def wrapped(plans: Sequence[Plan], limit: float, gap: float = 0.3) -> Plan:
    """Plans beside each other, in as many rows as keep it narrower than `limit`."""
    rows: list[list[Plan]] = []
    used = 0.0
    for plan in plans:
        if not rows or used + plan.width > limit:
            rows.append([])
            used = 0.0
        rows[-1].append(plan)
        used += plan.width + gap
    return stacked([side_by_side(row, gap) for row in rows], gap)


def titled(title: str, plan: Plan, notes: Sequence[str] = ()) -> Plan:
    """A plan with a heading, and below it what has to be said about it."""
    lines = [line for note in notes for line in folded(note, max(plan.width, 4.0), SMALL)]
    head, foot = 0.32, 0.15 * len(lines) + (0.08 if lines else 0.0)
    widest = max(
        [plan.width, text_width(title, LARGE * BOLD), *(text_width(x, SMALL) for x in lines)]
    )

    def draw(paper: Paper, x: float, y: float) -> None:
        paper.text(x, y + 0.1, title, size=LARGE, weight="bold")
        plan.draw(paper, x, y + head)
        for number, line in enumerate(lines):
            at = y + head + plan.height + 0.16 + 0.15 * number
            paper.text(x, at, line, size=SMALL, color=paper.theme.soft)

    return Plan(widest, head + plan.height + foot, draw)


def folded(text: str, width: float, size: float) -> list[str]:
    """A text in lines no wider than `width`, broken between words."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def fitting(text: str, width: float, size: float, family: str = SANS) -> str:
    """The text, or as much of its start as fits with an ellipsis."""
    if text_width(text, size, family) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(f"{text[:middle]}…", size, family) <= width:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low]}…"


@lru_cache(maxsize=8192)
def text_width(text: str, size: float, family: str = SANS) -> float:
    """In inches; of DejaVu, which comes with matplotlib."""
    figure_class()
    font = _font(family)
    font.set_size(100, 72)
    font.set_text(drawable(text), 0.0)
    slack = 1.1 if "Mono" in family else 1.05  # small letters snap to pixels, so they are wider
    return font.get_width_height()[0] / 64 / 100 * size * POINT * slack


@lru_cache(maxsize=4)
def _font(family: str) -> Any:
    from matplotlib import font_manager, ft2font

    return ft2font.FT2Font(font_manager.findfont(family))


@lru_cache(maxsize=8192)
def drawable(text: str) -> str:
    r"""The text with `\u{1f600}` for each character that the font cannot draw."""
    fonts = [_font(SANS), _font(MONO)]
    return "".join(
        c
        if c.isprintable() and all(font.get_char_index(ord(c)) for font in fonts)
        else _escaped(c)
        for c in text
    )


def _escaped(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"
