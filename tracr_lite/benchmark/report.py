"""Takes all figures, prints them, and writes them down."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from tracr_lite.benchmark import cases, fresh, growth, machine, mass, measure, table
from tracr_lite.errors import TracrLiteError

RUN_AT_MOST = 5_000_000  # parameters of the models that are run as well as compiled
WIDTH = 220  # columns, when the output is no terminal


def run(*, quick: bool, runs: int, out: Path | None) -> None:
    """Prints the tables; with `out`, writes them there, and the plots of growth."""
    if out is not None:
        _prepare(out)  # before minutes of measuring
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    small = cases.quick() if quick else cases.library()
    large = [] if quick else cases.large()
    compiled = _each("compiling", [*small, *large], lambda case: measure.compiling(case, runs))
    grids = [table.compiling(compiled)]
    grids[0].print(console)
    light = [row.case for row in compiled if row.parameters <= RUN_AT_MOST]
    light += [] if quick else cases.shipped()
    run = _each("running", light, lambda case: measure.running(case, runs))
    grids.append(table.running(run))
    grids[1].print(console)
    first = statistics.median(fresh.compile_once() for _ in range(min(runs, 5)))
    lines = [
        f"Machine: {machine.describe()}",
        f"Median of {runs} runs each; what is remembered of programs is forgotten before each.",
        f"Median over the library programs: "
        f"{1e3 * statistics.median(c.total.cpu for c in compiled[: len(small)]):.2f} CPU ms.",
        f"First compile of a fresh process, imports not counted: {1e3 * first:.1f} CPU ms.",
        *mass.lines(200 if quick else 1000),
    ]
    for line in lines:
        console.print(line)
    if out is not None:
        _write(out, lines, grids, runs)
        console.print(f"written to {out}")


def _each(
    what: str, todo: Sequence[cases.Case], call: Callable[[cases.Case], Any]
) -> list[Any]:
    """With a progress bar on the error stream."""
    console = Console(stderr=True)
    return [call(case) for case in track(todo, what, console=console, transient=True)]


def _prepare(out: Path) -> None:
    """**Raises:** `TracrLiteError` if plots cannot be drawn, or the folder cannot be made."""
    if importlib.util.find_spec("matplotlib") is None:
        raise TracrLiteError(growth.NO_PLOTS)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TracrLiteError(f"cannot make the folder {out}: {error.strerror}") from error


def _write(out: Path, lines: Sequence[str], grids: Sequence[table.Grid], runs: int) -> None:
    console = Console(stderr=True)
    for panel in track(growth.PANELS, "growth", console=console, transient=True):
        growth.draw(panel, list(growth.take(panel, runs)), out)
    text = "\n".join([*(f"- {line}" for line in lines), "", *(g.markdown() for g in grids)])
    (out / "benchmark.md").write_text(text, encoding="utf-8")
