"""What a person sees of a checkpoint, and of a conversion."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from tracr_lite.llama.info import CheckpointInfo
from tracr_lite.llama.saving import Written

WIDE = 160  # columns, where there is no terminal
KINDS = {
    "v0": "llama2.c v0 (legacy), float32",
    "v1": "llama2.c v1, float32",
    "v2": "llama2.c v2, Q8_0",
    "v1-q80": "llama2.c historical v1, Q8_0",
    "hf": "Hugging Face folder",
}


def make_console() -> Console:
    """Standard output; wide enough for every row where nobody looks at it directly."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


def safe(text: object) -> str:
    """Text from outside, without control characters, half characters or markup."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return escape("".join(shown))


def print_info(info: CheckpointInfo) -> None:
    """All about a checkpoint, as tables."""
    console = make_console()
    groups = f", groups of {info.group_size}" if info.group_size else ""
    console.print(f"{'format':<18}{KINDS[info.format]}{groups}")
    config = asdict(info.config) | {"head_size": info.config.head_size}
    for name, value in config.items():
        console.print(f"{name:<18}{value}")
    console.print(f"{'parameters':<18}{info.parameters:,}")
    console.print(_tensor_table(info))
    files = Table(Column("file", overflow="fold"), Column("bytes", justify="right"), "sha256")
    for each in info.files:
        files.add_row(safe(each.path.name), f"{each.nbytes:,}", each.sha256)
    console.print(files)
    console.print(f"sha256 of the numbers, the same in every format: {info.sha256}")
    for note in info.notes:
        console.print(f"note: {safe(note)}")
    if info.not_finite:
        console.print(f"[red]{info.not_finite:,} numbers are not finite: damaged[/red]")


def _tensor_table(info: CheckpointInfo) -> Table:
    table = Table(
        *("tensor", "shape", "dtype"),
        *(Column(each, justify="right") for each in ("smallest", "largest", "not finite")),
    )
    for each in info.tensors:
        table.add_row(
            *(each.name, " x ".join(map(str, each.shape)), each.dtype),
            *(f"{each.smallest:.4g}", f"{each.largest:.4g}", f"{each.not_finite:,}"),
        )
    return table


def print_json(info: CheckpointInfo) -> None:
    """The same as JSON; a number that is not finite is null."""
    found = asdict(info)
    for each in found["files"]:
        each["path"] = str(each["path"])
    for each in found["tensors"]:
        for key in ("smallest", "largest"):
            each[key] = each[key] if each[key] == each[key] else None
    print(json.dumps(found, indent=2, allow_nan=False))


def print_written(written: Written) -> None:
    """What a conversion wrote, and what it lost."""
    console = make_console()
    for note in written.notes:
        console.print(f"note: {safe(note)}")
    if written.errors:
        table = Table("tensor", Column("largest error", justify="right"))
        for name, error in written.errors.items():
            table.add_row(name, f"{error:.4g}")
        console.print(table)
    groups = f", groups of {written.group_size}" if written.group_size else ""
    for path in written.paths:
        console.print(f"wrote {safe(path)}", soft_wrap=True)
    console.print(f"{KINDS[written.format]}{groups}; {written.nbytes:,} bytes")
    if not written.errors:
        console.print("every number was kept")
