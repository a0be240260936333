"""`tracr-lite benchmark`: one command that measures this machine."""

from __future__ import annotations

from pathlib import Path

import click

RUNS = 7

ABOUT = """Measure how long compiling and running take on this machine.

Each figure is the median of several runs, and stands beside a reference of the same run:
compiling beside writing arrays of that size, `apply_batch` beside the jitted forward alone.

\b
Examples
  tracr-lite benchmark --quick             half a minute
  tracr-lite benchmark                     all programs, some minutes
  tracr-lite benchmark --out FOLDER        also writes benchmark.md and the plots of growth
"""


@click.command("benchmark", help=ABOUT, short_help="Measure compiling and running.")
@click.option("--quick", is_flag=True, help="A few small programs only.")
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=RUNS,
    show_default=True,
    help="Runs per figure, of which the median is shown.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write benchmark.md there, and plots of how cost grows with n, V and depth; this "
    "takes some minutes more.",
)
def app(quick: bool, runs: int, out: Path | None) -> None:
    """`tracr-lite benchmark`"""
    from tracr_lite.benchmark import report  # loads JAX: only now, when it is needed

    report.run(quick=quick, runs=runs, out=out)
