"""`tracr-lite verify`: whether a program and the transformer that it becomes agree."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracr_lite import catalog
from tracr_lite.cli import inputs, options, show
from tracr_lite.cli.inputs import UsageError
from tracr_lite.errors import CompileError, TracrLiteError
from tracr_lite.verifying.errors import VerifyError

if TYPE_CHECKING:
    from tracr_lite.verifying.report import Report  # it stands beside what needs JAX

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel

AGREE, DIFFER = 0, 1

ABOUT = """Compile a program, and compare the transformer with the interpreter, input by input.

All inputs are tried if they are few enough, else a sample of every length and kind. You see
how many were tried and compared, how clear the answers of the transformer are, and, if there is
one, the smallest input on which the two differ, and which head or neuron is at fault.

\b
Examples
  tracr-lite verify reverse
  tracr-lite verify sort --vocab 1,2,3,4 --max-seq-len 40
  tracr-lite verify my.py:program --vocab a,b --max-seq-len 10 --budget 2000
  tracr-lite verify reverse --model my_model       a saved model, edited perhaps

PROGRAM is a name from `tracr-lite list`, or FILE.py:NAME, as for `tracr-lite run`.

\b
Exit codes
  0  the interpreter and the transformer agree
  1  they do not
  2  nothing was compared: the command or the program is at fault
  3  nothing was compared: tracr-lite itself failed
  130  interrupted
"""


@click.command("verify", help=ABOUT, short_help="Compare a program with what it becomes.")
@options.of_compiling
@click.option(
    "--model",
    "folder",
    metavar="FOLDER",
    help="A saved model, which is compared instead of what the program becomes.",
)
@click.option(
    "--budget",
    type=click.IntRange(min=0),
    default=200_000,
    show_default=True,
    metavar="N",
    help="Up to this many inputs, all are tried.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many inputs to try if there are more. By default 20000, fewer if they are long.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the inputs drawn.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Processes that run the interpreter, beside this one.",
)
def app(
    program: str,
    vocab: str | None,
    max_seq_len: int | None,
    causal: bool | None,
    folder: str | None,
    budget: int,
    samples: int | None,
    seed: int,
    workers: int,
) -> None:
    """`tracr-lite verify`"""
    entry = catalog.load(program)
    if folder is None:
        model = options.compiled(inputs.make_compile_request(entry, vocab, max_seq_len, causal))
    else:
        model = _loaded(folder, (vocab, max_seq_len, causal))
    from tracr_lite.verifying import blame, verify  # load JAX: only now, when it is needed

    compiled = entry.program if model.trace is None else None
    report = verify(model, compiled, budget=budget, samples=samples, seed=seed, workers=workers)
    console = show.make_console()
    print_report(console, report)
    if not report.compared:
        raise TracrLiteError(f"{entry.name} raises on every input that was tried")
    if report.smallest is not None:
        try:
            found = str(blame(model, compiled, xs=report.smallest.tokens))
        except (VerifyError, CompileError) as error:  # it is no model of this program at all
            found = f"No part of the model can be blamed: {error}"
        console.print(Text(found))
    sys.exit(AGREE if report.agrees else DIFFER)


def _loaded(folder: str, others: tuple[object, ...]) -> AssembledTransformerModel:
    """**Raises:** `UsageError` if more is said about the model, which is as it is."""
    if any(each is not None for each in others):
        raise UsageError(
            f"--vocab, --max-seq-len and --causal are those of the model in {folder}; leave "
            "them out"
        )
    from tracr_lite.compiler.saving.load import load

    return load(folder)


def print_report(console: Console, report: Report) -> None:
    """What was tried and what came out, and the verdict below."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")  # in a narrow terminal, nothing is left out
    for name, text in report.rows():
        table.add_row(Text(name), Text(text))
    console.print(table)
    console.print(Text(report.verdict(), style="green" if report.agrees else "bold red"))
