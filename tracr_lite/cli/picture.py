"""`tracr-lite show`: what happens inside of a model on an input, half-layer by half-layer."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tracr_lite.cli import saved, show
from tracr_lite.cli.inputs import UsageError
from tracr_lite.cli.subjects import Subject, heading_of, of_folder, of_program

if TYPE_CHECKING:
    from tracr_lite.visualize.reading import Reading

AGREE, DIFFER = 0, 1
KINDS = (".html", ".png", ".svg")

ABOUT = """Show what happens inside of a transformer on TOKENS, half-layer by half-layer.

You see the answers of interpreter and transformer, where each head looks, and what each node
of the program holds. Without TOKENS, the longest example in the program's file is taken.

\b
Examples
  tracr-lite show reverse a b c
  tracr-lite show sort 3 1 2 --out sort.html        a page to click through
  tracr-lite show sort 3 1 2 --out sort.png         a picture, or sort.svg
  tracr-lite show sort 3 1 2 --serve                the page, with new inputs to try

PROGRAM is a name from `tracr-lite list`, or FILE.py:NAME, as for `tracr-lite run`, or a folder
with a saved model. Pictures need matplotlib (pip install 'tracr_lite[plots]'), --serve needs
starlette and uvicorn (pip install 'tracr_lite[serve]').

\b
Exit codes
  0  the interpreter and the transformer agree, or a saved model has answered
  1  they do not
  2  nothing was shown: the command, the program or the input is at fault
  3  nothing was shown: tracr-lite itself failed
"""


@click.command(
    "show",
    help=ABOUT,
    short_help="Show what happens inside, as text, picture or page.",
    context_settings={"ignore_unknown_options": True},  # so that -1 can be typed as a token
)
@click.argument("program")
@click.argument("tokens", nargs=-1)
@click.option(
    "--vocab",
    metavar="A,B,...",
    help="All tokens the transformer shall know. By default those of the program; if its file "
    "names none, the tokens given.",
)
@click.option(
    "--max-seq-len",
    type=click.IntRange(min=1),
    metavar="N",
    help="The longest input the transformer shall take. By default that of the program, or the "
    "number of tokens given if that is more.",
)
@click.option(
    "--causal/--no-causal",
    default=None,
    help="Whether a position sees only itself and what stands before it. By default what the "
    "program says.",
)
@click.option("--out", metavar="FILE", help="Write a page (.html) or a picture (.png, .svg).")
@click.option(
    "--theme",
    type=click.Choice(["light", "dark"]),
    default="light",
    show_default=True,
    help="Colours of a picture. The page has both.",
)
@click.option("--serve", is_flag=True, help="Serve the page on this machine, until Ctrl-C.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Of --serve; by default any that is free.",
)
def app(
    program: str,
    tokens: tuple[str, ...],
    vocab: str | None,
    max_seq_len: int | None,
    causal: bool | None,
    out: str | None,
    theme: str,
    serve: bool,
    port: int,
) -> None:
    """`tracr-lite show`"""
    file = None if out is None else _checked(out)
    if port and not serve:
        raise UsageError("--port is about --serve, which is not given")
    if serve and file is not None:
        raise UsageError("--serve shows the page itself; leave out --out, or --serve")
    if saved.is_saved(program):
        if (vocab, max_seq_len, causal) != (None, None, None):
            raise UsageError("a saved model takes no options: they are part of it")
        subject = of_folder(program, tokens)
    else:
        subject = of_program(program, tokens, vocab, max_seq_len, causal)
    reading = subject.read(subject.tokens)
    if file is not None:
        _write(file, subject, reading, theme)
        click.echo(f"wrote {file}")
    elif serve:
        _serve(subject, reading, port)
    else:
        from tracr_lite.cli.trace_text import print_trace

        print_trace(show.make_console(), reading)
    sys.exit(AGREE if _agrees(reading) else DIFFER)


def _checked(out: str) -> Path:
    """**Raises:** `UsageError` for a kind of file that cannot be made, before all the work."""
    file = Path(out)
    if file.suffix.lower() not in KINDS:
        raise UsageError(f"--out takes a name that ends in {', '.join(KINDS)}; got {out!r}")
    return file


def _agrees(reading: Reading) -> bool:
    from tracr_lite.visualize.comparing import answers_agree

    return all(answers_agree(reading))


def _write(file: Path, subject: Subject, reading: Reading, theme: Any) -> None:
    """**Raises:** `UsageError` if the file cannot be written."""
    from tracr_lite.visualize import overview, page

    try:
        if file.suffix.lower() == ".html":
            file.write_text(page(reading, heading=heading_of(subject)), encoding="utf-8")
        else:
            figure: Any = overview(reading, title=subject.name, theme=theme)
            figure.savefig(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error


def _serve(subject: Subject, reading: Reading, port: int) -> None:
    from tracr_lite.visualize import page
    from tracr_lite.visualize.page_data import page_data
    from tracr_lite.visualize.serving import serve

    def run(typed: str) -> dict[str, Any]:
        try:
            words = shlex.split(typed)
        except ValueError as error:
            raise UsageError(f"the quotes do not match: {error}") from error
        if not words:
            raise UsageError("type at least one token")
        return page_data(subject.read(subject.parse(words)))

    def ready(address: str) -> None:
        click.echo(f"{address}   (Ctrl-C ends it)")

    html = page(reading, heading=heading_of(subject, served=True))
    serve(html, run, port=port, ready=ready)
