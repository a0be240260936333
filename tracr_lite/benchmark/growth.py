"""How the cost of compiling grows with n, V and depth, as plots."""

# pyright: reportUnknownMemberType=false
# (matplotlib is typed in part only)

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracr_lite.benchmark import cases, measure
from tracr_lite.benchmark.cases import Case
from tracr_lite.errors import TracrLiteError

# a colour (of Okabe and Ito) and a marker each: lines can be told apart without colours
STYLES = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D")]


@dataclass(frozen=True)
class Line:
    """One program at growing sizes."""

    label: str
    sizes: tuple[int, ...]
    case: Callable[[int], Case]


@dataclass(frozen=True)
class Panel:
    """One plot; `name` is that of its file."""

    name: str
    axis: str
    lines: tuple[Line, ...]


PANELS = (
    Panel(
        "growth_n",
        "n, longest input (V = 4)",
        (
            Line("hist", (8, 16, 32, 64, 128, 256, 512), lambda n: cases.hist(n, 4)),
            Line("sort", (8, 16, 32, 64, 128, 256), lambda n: cases.sort(n, 4)),
            Line("reverse", (8, 16, 32, 64, 128, 256), lambda n: cases.reverse(n, 4)),
            Line(
                "shuffle_dyck", (8, 16, 32, 64), lambda n: cases.shuffle_dyck(n, ["()", "[]"])
            ),
        ),
    ),
    Panel(
        "growth_v",
        "V, tokens in the vocabulary (n = 20)",
        (
            Line("hist", (2, 4, 8, 16, 26), lambda v: cases.hist(20, v)),
            Line("sort", (2, 4, 8, 16, 32, 64), lambda v: cases.sort(20, v)),
            Line("reverse", (2, 4, 8, 16, 26), lambda v: cases.reverse(20, v)),
        ),
    ),
    Panel(
        "growth_depth",
        "depth, nodes on the longest path (n = 5, V = 4)",
        (
            Line("chain of Maps", (10, 25, 50, 100, 200, 400), cases.chain),
            Line("shared graph", (10, 25, 50, 100, 200, 400), cases.shared),
        ),
    ),
)

Point = tuple[int, measure.Compiled]
NO_PLOTS = "plots need matplotlib; install it with: pip install 'tracr_lite[plots]'"


def take(panel: Panel, runs: int) -> Iterator[tuple[Line, list[Point]]]:
    """Measures the points of each line, smallest first."""
    for line in panel.lines:
        yield line, [(size, measure.compiling(line.case(size), runs)) for size in line.sizes]


def draw(panel: Panel, lines: Sequence[tuple[Line, list[Point]]], folder: Path) -> Path:
    """Writes `folder/NAME.svg`: CPU time, and below it the time to write the same arrays.

    **Raises:** `TracrLiteError` if matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TracrLiteError(NO_PLOTS) from error
    # the same figures give the same file; text stays text
    with mpl.rc_context({"svg.hashsalt": panel.name, "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(7.6, 4.2), layout="constrained")
        axes = figure.subplots()
        for (line, points), (colour, marker) in zip(lines, STYLES, strict=False):
            sizes = [size for size, _ in points]
            total = [1e3 * point.total.cpu for _, point in points]
            writing = [1e3 * point.writing for _, point in points]
            axes.plot(sizes, total, color=colour, marker=marker, markersize=5, label=line.label)
            axes.plot(sizes, writing, color=colour, linestyle=":", linewidth=1.2)
        axes.plot([], [], color="0.4", linestyle=":", label="only writing the arrays")
        axes.set(xscale="log", yscale="log", xlabel=panel.axis, ylabel="CPU milliseconds")
        axes.set_title("Time to compile")
        ticks = sorted({size for line, _ in lines for size in line.sizes})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        path = folder / f"{panel.name}.svg"
        figure.savefig(path, metadata={"Date": None})
    return path
