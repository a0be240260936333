"""The progress bar: how many are done, how many of them failed, and how fast it goes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Advance = Callable[[int, int], None]  # more are done, more have failed


class _Rate(ProgressColumn):
    """Programs per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f}/s", style="progress.data.speed")


@contextmanager
def progress_bar(
    what: str,
    total: int | None,
    *,
    shown: bool | None,
    start: int = 0,
    failures: str = "failed",
) -> Generator[Advance]:
    """A bar on standard error.

    **Arguments:**
    - `what`: before the bar. `total`: None if it is not known. `start`: done already.
    - `failures`: the word for what did not succeed.
    - `shown`: None shows it at a terminal only.
    """
    console = Console(stderr=True)
    if shown is False or (shown is None and not console.is_terminal):
        yield lambda done, more_failed: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failures]}"),
        _Rate(),
        TimeRemainingColumn(),
    )
    failed = 0
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=total, completed=start, failures="")

        def advance(done: int, more_failed: int) -> None:
            nonlocal failed
            failed += more_failed
            text = f"{failed} {failures}" if failed else ""
            bar.update(task, advance=done, failures=text)

        yield advance
