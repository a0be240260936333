"""`tracr-lite llama bench`: one command that measures decoding on this machine."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

import click
from rich.table import Column, Table

from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.progress import say

if TYPE_CHECKING:
    from tracr_lite.llama.bench.run import Report

ABOUT = """Measure decoding of random models against transformers, numpy and a plain JAX loop.

\b
  tracr-lite llama bench                   both shapes, some minutes on two quiet cores
  tracr-lite llama bench --shape 15M       one of them
  tracr-lite llama bench --kind float32 --engine native      one kind, one engine
  tracr-lite llama bench --quick           few rounds, to see that it works

All is run in turn, round after round, so that a load of the machine slows all alike; a ratio is
the median over the rounds. transformers is measured where it is installed (pip install
'tracr_lite[clients]').
"""


@click.command("bench", help=ABOUT, short_help="Measure decoding on this machine.")
@click.option(
    "--shape",
    "shapes",
    type=click.Choice(("15M", "110M", "tiny")),
    multiple=True,
    help="May be given again. By default 15M and 110M.",
)
@click.option("--tokens", type=click.IntRange(1, 200), default=32, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--kind", "kinds", multiple=True, help="float32, bfloat16, int8 or 'int8, q80'.")
@click.option("--engine", "engines", type=click.Choice(("native", "jax")), multiple=True)
@click.option("--quick", is_flag=True, help="2 rounds of 8 tokens.")
def bench_command(
    shapes: tuple[str, ...],
    tokens: int,
    rounds: int,
    kinds: tuple[str, ...],
    engines: tuple[str, ...],
    quick: bool,
) -> None:
    """`tracr-lite llama bench`"""
    from tracr_lite.llama.bench.run import ENGINES, KINDS, measure
    from tracr_lite.llama.bench.shapes import SHAPES, TINY
    from tracr_lite.llama.bench.timing import load_average

    if unknown := set(kinds) - set(KINDS):
        raise click.UsageError(f"there is no kind {unknown}; there are {', '.join(KINDS)}")
    if quick:
        tokens, rounds = 8, 2
    say_what_is_missing(engines)
    click.echo(f"{_machine()}; load before: {load_average()}")
    for name in shapes or ("15M", "110M"):
        config = TINY if name == "tiny" else SHAPES[name]
        report = measure(config, tokens, rounds, kinds or tuple(KINDS), engines or ENGINES)
        _print(name, report)
    click.echo(f"load after: {load_average()}")


def say_what_is_missing(engines: tuple[str, ...]) -> None:
    """**Raises:** `LlamaError` if the native engine is asked for and cannot be had."""
    from tracr_lite.llama.engines import missing

    reason = missing() if not engines or "native" in engines else None
    if reason is not None and engines:
        raise LlamaError(f"the native engine cannot be measured: {reason}")
    if reason is not None:
        say(f"note: the native engine is left out: {reason}")


def _machine() -> str:
    import jax

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores, {platform.machine()}, jax {jax.__version__} ({jax.default_backend()})"
    )


def _print(name: str, report: Report) -> None:
    from tracr_lite.llama.show import make_console

    console = make_console()
    columns = ("tokens/s, best", "median", "CPU ms/token", "GB/s of weights")
    table = Table(
        Column(f"decoding {name}, batch 1"),
        *(Column(each, justify="right") for each in columns),
    )
    for what, timing in report.decoding.items():
        rate = timing.best * report.nbytes[what] / 1e9
        table.add_row(
            what,
            *(f"{timing.best:,.0f}", f"{timing.median:,.0f}", f"{timing.cpu_ms:.2f}"),
            f"{rate:.1f}",
        )
    for kind, found in (("prompt", report.prompts), ("batch", report.batches)):
        for what, timing in found.items():
            table.add_row(
                f"{what}, {kind}",
                *(f"{timing.best:,.0f}", f"{timing.median:,.0f}", f"{timing.cpu_ms:.2f}", ""),
            )
    console.print(table)
    ratios = Table(Column(f"ratios {name}"), Column("median", justify="right"), "of the best")
    for each in report.comparisons:
        ratios.add_row(each.what, f"{each.median:.2f}", f"{each.best:.2f}")
    for what, ratio in report.memory.items():
        ratios.add_row(f"{what}: memory of a step over weights and cache", f"{ratio:.3f}", "")
    console.print(ratios)
    console.print(f"{report.seconds:.0f} s")
