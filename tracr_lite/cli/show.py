"""Tables for the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracr_lite.cli.compare import Outcome, Size
from tracr_lite.cli.inputs import Request, parse_value
from tracr_lite.rasp.rasp import Value

FILE_WIDTH = 160  # columns, when the output is no terminal and nothing has to be wrapped


def make_console() -> Console:
    """Writes to the standard output, wide enough for a line each if it is a file or a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH)


def print_catalog(console: Console, summaries: Mapping[str, str]) -> None:
    """A line for each program: its name, and what it computes."""
    table = Table(box=None, pad_edge=False)
    table.add_column("program", no_wrap=True, style="bold")
    table.add_column("what it computes")
    for name, summary in summaries.items():
        table.add_row(Text(name), Text(summary))
    console.print(table)
    console.print("\nTry one:  tracr-lite run reverse a b c")


def print_outcome(console: Console, request: Request, outcome: Outcome) -> None:
    """Both answers below the input, the size of the model, and whether they agree."""
    rows = {
        "input": outcome.tokens,
        "interpreter": outcome.interpreted,
        "transformer": outcome.compiled,
    }
    print_rows(console, rows)
    print_model(console, request, outcome.size)
    if outcome.differences:
        where = ", ".join(map(str, outcome.differences))
        console.print(Text(f"They DIFFER at position {where}.", style="bold red"))
    else:
        console.print(Text("They agree.", style="green"))


def print_rows(console: Console, rows: Mapping[str, Sequence[Value]]) -> None:
    """Sequences of one length, one below the other, each with its name."""
    texts = [[format_value(x) for x in row] for row in rows.values()]
    for columns in _fitting(list(zip(*texts, strict=True)), console.width - 13):
        table = Table(box=None, show_header=False, pad_edge=False)
        for label, column_texts in zip(rows, zip(*columns, strict=True), strict=True):
            table.add_row(Text(label, style="bold"), *map(Text, column_texts))
        console.print(table)
        console.print()


def format_value(value: Value) -> str:
    """Short and unambiguous: strings bare unless they look like something else."""
    if isinstance(value, str):
        plain = value.isprintable() and not any(c.isspace() for c in value)
        return value if value and plain and parse_value(value) is value else repr(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return repr(value)


def print_model(console: Console, request: Request, size: Size) -> None:
    """How large the transformer is, and what it was compiled for."""
    print_size(console, size)
    print_limits(console, request.vocab, request.max_seq_len, request.causal)


def print_size(console: Console, size: Size) -> None:
    """The numbers of layers, columns, and so on."""
    table = Table(box=None, pad_edge=False)
    for field in fields(Size):
        table.add_column(
            field.name.replace("_", " ").replace("d model", "d_model"), justify="right"
        )
    table.add_row(*(f"{getattr(size, field.name):,}" for field in fields(Size)))
    console.print(table)


def print_limits(
    console: Console, vocab: Sequence[Value], longest: int | None, causal: bool
) -> None:
    """What a model takes."""
    words = " ".join(map(format_value, vocab))
    known = f"for the vocabulary {words}" if words else "for token ids"
    limit = "" if longest is None else f", up to {longest} tokens"
    console.print(Text(f"{known}{limit}, {'causal' if causal else 'not causal'}\n"))


def _fitting(columns: Sequence[tuple[str, ...]], width: int) -> Iterator[list[tuple[str, ...]]]:
    """Cuts the columns into blocks, each narrow enough to be printed in `width`."""
    block: list[tuple[str, ...]] = []
    used = 0
    for column in columns:
        needed = max(map(len, column)) + 2
        if block and used + needed > width:
            yield block
            block, used = [], 0
        block.append(column)
        used += needed
    yield block
