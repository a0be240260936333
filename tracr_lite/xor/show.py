"""What a person sees of a run: a progress bar with throughput, and the summary."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table

from tracr_lite.xor import running
from tracr_lite.xor.report import Report, Status, TensorChange

TENSOR_ROWS = 40  # shown for each checkpoint; the rest is summed up
WIDE = 200  # columns, where there is no terminal


@contextmanager
def progress_bar(quiet: bool) -> Generator[running.Progress | None]:
    """A bar on standard error for each step; nothing when quiet or not at a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as bar:

        def advance(step: str, count: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.advance(tasks[step], count)

        yield advance


def print_report(report: Report) -> None:
    """The summary table on standard output, wrong files last, where the eye is."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    for name, changes in report.changes.items():
        console.print(_changes(name, changes))
    file = Column("file", overflow="fold")  # a name is never shortened
    table = Table(file, "bytes", "result", "detail", title=f"xor {report.action}")
    for row in sorted(report.files, key=lambda row: (not row.status.right, row.name)):
        style = "red" if not row.status.right else ""
        if row.status is Status.UNCHECKED:
            style = "yellow"
        size = str(row.bytes) if row.status.right else ""
        table.add_row(safe(row.name), size, row.status.value, safe(row.detail), style=style)
    console.print(table)
    for note in report.notes:
        console.print(f"note: {safe(note)}")
    right = len(report.files) - len(report.wrong)
    console.print(f"{right} of {len(report.files)} file(s) right")
    console.file.flush()


def _changes(file: str, changes: tuple[TensorChange, ...]) -> Table:
    weights, changed = (sum(getattr(c, key) for c in changes) for key in ("count", "changed"))
    table = Table("tensor", "weights", "changed", "", title=f"changed weights of {safe(file)}")
    for each in changes[:TENSOR_ROWS]:
        share = f"{_percent(each.changed, each.count)} {each.note}".strip()
        table.add_row(safe(each.name), str(each.count), str(each.changed), share)
    if len(changes) > TENSOR_ROWS:
        table.add_row(f"... {len(changes) - TENSOR_ROWS} more", "", "", "")
    table.add_section()
    table.add_row("all", str(weights), str(changed), _percent(changed, weights))
    return table


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def safe(text: str) -> str:
    """Text from outside, without control characters, markup, or what cannot be printed here."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escape(shown.encode(encoding, "backslashreplace").decode(encoding))
