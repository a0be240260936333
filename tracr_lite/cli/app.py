"""The commands: what can be typed, and what the exit codes mean."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module, metadata
from typing import Any

import click

from tracr_lite import catalog
from tracr_lite.cli import compare, inputs, interrupts, outputs, saved, show
from tracr_lite.errors import TracrLiteError

AGREE, DIFFER, ERROR, CRASH, INTERRUPTED = 0, 1, 2, 3, 130
UNREAD = 141  # what shells say of a program that a closed pipe has ended

ABOUT = """Turn small sequence programs (written in RASP) into transformers, and run them.

\b
Start with
  tracr-lite list                  the programs that come along
  tracr-lite run reverse a b c     run one of them
  tracr-lite run --help            all about running, also a program of your own
"""

ABOUT_RUN = """Run a program on TOKENS, twice: with the RASP interpreter, and as a transformer.

The program is compiled, without any training, into the weights of a transformer. You see what
the interpreter says, what the transformer says, how large the transformer is, and whether the
two agree.

\b
Examples
  tracr-lite run reverse a b c
  tracr-lite run reverse abc              the same, as each token is one character
  tracr-lite run parity 1 0 1 1
  tracr-lite run dyck1_ptf "(" "(" ")"    quotes, as your shell would read a ( itself
  tracr-lite run count --vocab a,z a z a  with another vocabulary
  tracr-lite run my.py:program a b c      `program` in the file my.py
  tracr-lite run ./my_model a b c         what `compile --out` saved in that folder

PROGRAM is a name from `tracr-lite list`, or FILE.py:NAME, where NAME is an S-Op in that file
or a function without arguments that returns one (FILE.py alone means FILE.py:PROGRAM). The file
may also define VOCAB, MAX_SEQ_LEN and CAUSAL. A folder with a saved model has no program to
interpret: you see what the transformer says.

Each token has to be in the vocabulary. Write numbers and True as in Python, and put quotes
inside quotes for a string that looks like a number: "'1'".

\b
Exit codes
  0  the interpreter and the transformer agree, or a saved model has answered
  1  they do not
  2  nothing was compared: the command, the program or the input is at fault
  3  nothing was compared: tracr-lite itself failed
"""


def _version() -> str:
    try:
        return metadata.version("tracr_lite")
    except metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"


# command -> the module whose `app` it is, imported only when it is asked for
LATER = {
    "benchmark": "tracr_lite.benchmark.cli",
    "certify": "tracr_lite.cli.certify",
    "compile": "tracr_lite.cli.compile",
    "dataset": "tracr_lite.mass.cli",
    "export": "tracr_lite.cli.export",
    "info": "tracr_lite.cli.saved",
    "llama": "tracr_lite.llama.cli",
    "show": "tracr_lite.cli.picture",
    "verify": "tracr_lite.cli.verify",
    "xor": "tracr_lite.xor.cli",
}


class _Later(click.Group):
    """Imports a tool only when it is asked for: the other commands stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, those of `LATER` among them."""
        return sorted([*super().list_commands(ctx), *LATER])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by name."""
        if cmd_name in LATER:
            return import_module(LATER[cmd_name]).app
        return super().get_command(ctx, cmd_name)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """As in click, which prints help here."""
        with outputs.checked():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """As in click, which would end with 1 when nobody reads on."""
        with outputs.checked():
            return super().invoke(ctx)


@click.group(cls=_Later, help=ABOUT)
@click.version_option(_version(), message="tracr-lite %(version)s", help="Print the version.")
def app() -> None:
    """`tracr-lite`"""


@app.command("list", help="Print the names of all programs, and what each one computes.")
def list_programs() -> None:
    """`tracr-lite list`"""
    show.print_catalog(show.make_console(), catalog.summaries())


@app.command(
    "run",
    help=ABOUT_RUN,
    short_help="Run a program, interpreted and as a transformer.",
    context_settings={"ignore_unknown_options": True},  # so that -1 can be typed as a token
)
@click.argument("program")
@click.argument("tokens", nargs=-1, required=True)
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
def run_program(
    program: str,
    tokens: tuple[str, ...],
    vocab: str | None,
    max_seq_len: int | None,
    causal: bool | None,
) -> None:
    """`tracr-lite run`"""
    if saved.is_saved(program):
        if (vocab, max_seq_len, causal) != (None, None, None):
            raise inputs.UsageError("a saved model takes no options: they are part of it")
        saved.run(program, tokens)
        return
    entry = catalog.load(program)
    request = inputs.make_request(entry, tokens, vocab, max_seq_len, causal)
    if not entry.valid(request.tokens):
        _say(f"note: this input does not meet the precondition of {entry.name}; see its file")
    outcome = compare.run(request)
    show.print_outcome(show.make_console(), request, outcome)
    sys.exit(DIFFER if outcome.differences else AGREE)


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command in `words` (by default, what was typed), and exits."""
    try:
        with interrupts.kept():
            sys.exit(app.main(words, "tracr-lite", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:  # Ctrl-C is no verdict: click itself would exit with 1
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except outputs.Unread:  # no verdict either, and nothing to say
        sys.exit(UNREAD)
    except TracrLiteError as error:
        _say(str(error))
        sys.exit(ERROR)
    except Exception:
        traceback.print_exc()
        _say("this should not happen; please report it with the lines above")
        sys.exit(CRASH)


def _say(text: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError):  # the exit code says enough
            click.echo(f"tracr-lite: {text}", err=True)


if __name__ == "__main__":
    main()
