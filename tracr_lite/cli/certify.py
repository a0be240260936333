"""`tracr-lite certify`: proves that a transformer equals its program, for all inputs."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracr_lite import catalog
from tracr_lite.certifying.certificate import Certificate
from tracr_lite.cli import inputs, options, show

CERTIFIED, NOT_CERTIFIED = 0, 1

ABOUT = """Compile a program, and prove that the transformer equals it for all inputs.

No input is tried: leakage of softmax, rounding of scores, sums and steps are bounded block by
block. For each node you see how far off it may be, how far it is allowed to be, and what is
left
between the two. The proof holds if something is left everywhere.

\b
Examples
  tracr-lite certify reverse
  tracr-lite certify sort --vocab 1,2,3,4 --max-seq-len 40 --out sort.json
  tracr-lite certify hist --dtype bfloat16

PROGRAM is a name from `tracr-lite list`, or FILE.py:NAME, as for `tracr-lite run`.

\b
Exit codes
  0  certified; or, with --dtype, right on every input, all of which were run
  1  neither; the reasons are below the table
  2  nothing was examined: the command or the program is at fault
  3  nothing was examined: tracr-lite itself failed
"""


@click.command("certify", help=ABOUT, short_help="Prove that a transformer equals its program.")
@options.of_compiling
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="In which weights and the stream are stored. If a narrow one is not certified, the "
    "model is run in it: on all inputs, or on a sample.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the certificate there, as JSON.",
)
def app(
    program: str,
    vocab: str | None,
    max_seq_len: int | None,
    causal: bool | None,
    dtype: str,
    out: Path | None,
) -> None:
    """`tracr-lite certify`"""
    request = inputs.make_compile_request(catalog.load(program), vocab, max_seq_len, causal)
    from tracr_lite.certifying.certify import certify
    from tracr_lite.certifying.surviving import survives

    model, survival = options.compiled(request), None
    if dtype == "float32":
        certificate = certify(model, dtype)
    else:
        survival = survives(model, dtype)
        certificate = survival.certificate
    if out is not None:
        try:
            out.write_text(certificate.to_json(), encoding="utf-8")
        except OSError as error:
            raise inputs.UsageError(
                f"{out} cannot be written: {error.strerror or error}"
            ) from error
    console = show.make_console()
    print_certificate(console, certificate)
    for line in [] if survival is None else survival.lines():
        console.print(Text(line), soft_wrap=True)
    right = certificate.holds or (survival is not None and survival.survives)
    sys.exit(CERTIFIED if right else NOT_CERTIFIED)


def print_certificate(console: Console, certificate: Certificate) -> None:
    """A row for each node, and the verdict."""
    table = Table(box=None, pad_edge=False)
    for name in ("node", "error", "tolerance", "margin"):
        table.add_column(name, justify="left" if name == "node" else "right", no_wrap=True)
    for node in certificate.nodes:
        numbers = (node.error, node.tolerance, node.margin)
        table.add_row(Text(node.name), *(f"{x:.3g}" for x in numbers))
    if certificate.nodes:
        console.print(table)
    for line in certificate.why_not():
        console.print(Text(line), soft_wrap=True)
    n = certificate.claims.max_seq_len
    what = f"{certificate.dtype}, all inputs of 1 to {n} tokens"
    if certificate.holds:
        console.print(Text(f"certified: {what}", style="green"))
    else:
        console.print(Text(f"not certified: {what}", style="bold red"))
