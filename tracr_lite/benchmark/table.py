"""Figures as tables: for the terminal, and as Markdown for docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tracr_lite.benchmark.measure import Compiled, Running


@dataclass(frozen=True)
class Grid:
    """A table of texts; the first column is a name, the others are numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def print(self, console: Console) -> None:
        """For the terminal."""
        table = Table(title=self.title, title_justify="left", box=None, pad_edge=False)
        for number, name in enumerate(self.head):
            table.add_column(name, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        console.print()

    def markdown(self) -> str:
        """The same for docs."""
        rule = ["---", *["---:"] * (len(self.head) - 1)]
        lines = [self.head, rule, *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{self.title}\n\n{table}\n"


def compiling(rows: Sequence[Compiled]) -> Grid:
    """Time per stage, and sizes."""
    stages = list(rows[0].stages) if rows else []
    head = ("program", "n", "V", *stages, "total", "wall", "x writing", "layers", "d_model")
    head = (*head, "parameters", "non-zero", "MB", "peak MB")
    return Grid(
        "Compiling: CPU milliseconds per stage, median; `x writing` is the total in units of "
        "the time to write arrays of that size once",
        head,
        tuple(_compiled(row) for row in rows),
    )


def _compiled(row: Compiled) -> tuple[str, ...]:
    return (
        row.case.name,
        f"{row.case.n}",
        f"{len(row.case.vocab)}",
        *(_ms(seconds) for seconds in row.stages.values()),
        _ms(row.total.cpu),
        _ms(row.total.wall),
        f"{row.total.cpu / max(row.writing, 1e-9):,.1f}",
        f"{row.layers}",
        f"{row.d_model}",
        f"{row.parameters:,}",
        f"{row.nonzero:.2%}",
        f"{row.bytes / 1e6:,.1f}",
        f"{row.peak / 1e6:,.1f}",
    )


def running(rows: Sequence[Running]) -> Grid:
    """First call, one sequence, and throughput beside the bare forward passes."""
    head = ("program", "n", "V", "first apply s", "apply ms", "short ms", "dense ms")
    head = (
        *head,
        "apply_batch",
        "apply_ids",
        "pruned forward",
        "dense forward",
        "batch/dense",
        "ids/pruned",
        "weights left",
    )
    return Grid(
        "Running: wall time, median; `apply` of n tokens, `short`: of 5, `dense`: the jitted "
        "forward with zeros on these; sequences of length n per second of `apply_batch` "
        "(values), `apply_ids` (arrays), and of the jitted forward, without and with zeros",
        head,
        tuple(
            (
                row.case.name,
                f"{row.case.n}",
                f"{len(row.case.vocab)}",
                f"{row.first:.2f}",
                _ms(row.one),
                _ms(row.short),
                _ms(row.short_dense),
                f"{row.batch:,.0f}",
                f"{row.ids:,.0f}",
                f"{row.pruned:,.0f}",
                f"{row.dense:,.0f}",
                f"{row.batch / row.dense:.2f}x",
                f"{row.ids / row.pruned:.2f}x",
                f"{row.weights:.1%}",
            )
            for row in rows
        ),
    )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:,.2f}" if seconds < 0.1 else f"{1e3 * seconds:,.0f}"
