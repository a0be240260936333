"""`tracr-lite compile`: what a program becomes, and where the time went."""

from __future__ import annotations

import time
from importlib import import_module

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracr_lite import catalog
from tracr_lite.cli import inputs, options, saved, show
from tracr_lite.cli.compare import Size
from tracr_lite.errors import TracrLiteError

ABOUT = """Compile a program, and show the transformer that it becomes.

You see its size and, layer by layer, which part of the program each head and each group of
neurons computes.

\b
Examples
  tracr-lite compile reverse
  tracr-lite compile sort --vocab 1,2,3,4 --max-seq-len 40 --timings
  tracr-lite compile my.py:program --vocab a,b --max-seq-len 10
  tracr-lite compile reverse --out my_model     keep the model in the folder my_model

PROGRAM is a name from `tracr-lite list`, or FILE.py:NAME, as for `tracr-lite run`.
"""


@click.command("compile", help=ABOUT, short_help="Compile a program, and show what it becomes.")
@options.of_compiling
@click.option("--timings", is_flag=True, help="Also show seconds and sizes of every stage.")
@click.option(
    "--out", metavar="FOLDER", help="Save the model there; see `tracr-lite info --help`."
)
@click.option("--force", is_flag=True, help="Let --out replace a model that is saved there.")
def app(
    program: str,
    vocab: str | None,
    max_seq_len: int | None,
    causal: bool | None,
    timings: bool,
    out: str | None,
    force: bool,
) -> None:
    """`tracr-lite compile`"""
    if out is not None:
        saved.check_place(out, overwrite=force)  # before all the work
    elif force:
        raise inputs.UsageError("--force is about --out, which is not given")
    request = inputs.make_compile_request(catalog.load(program), vocab, max_seq_len, causal)
    started = time.perf_counter(), time.process_time()
    import_module("tracr_lite.compiler.compiling")  # loads JAX, which takes its own time

    loading = time.perf_counter() - started[0], time.process_time() - started[1]
    model = options.compiled(request)
    console = show.make_console()
    if model.trace is None:
        raise TracrLiteError("the compiler left no trace of its stages")
    show.print_model(console, request, Size.of(model))
    console.print(Text(f"{model.trace.layers}\n"))
    if timings:
        rows = [("import jax, haiku", *loading, "")]
        for stage in model.trace.stages:
            sizes = ", ".join(f"{count:,} {name}" for name, count in stage.sizes)
            rows.append((stage.name, stage.seconds, stage.cpu_seconds, sizes))
        _print_timings(console, rows)
    if out is not None:
        model.save(out, overwrite=force)
        console.print(Text(f"saved in {out}"))


def _print_timings(console: Console, rows: list[tuple[str, float, float, str]]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    table.add_column("ms", justify="right")
    table.add_column("CPU ms", justify="right")
    table.add_column("what it made")
    total = ("all stages", sum(r[1] for r in rows[1:]), sum(r[2] for r in rows[1:]), "")
    for name, seconds, cpu, sizes in [*rows, total]:
        table.add_row(name, f"{1e3 * seconds:,.2f}", f"{1e3 * cpu:,.2f}", sizes)
    console.print(table)
