"""`tracr-lite export`: a program as a checkpoint that ordinary runtimes load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from tracr_lite import catalog
from tracr_lite.cli import inputs, show
from tracr_lite.cli.inputs import Request, UsageError

if TYPE_CHECKING:
    from tracr_lite.targets.stock_model import StockModel

FORMATS = {"llama": "hf", "gpt2": "hf", "llama2c": "llama2c", "gguf": "gguf"}

ABOUT = """Write a program as a Llama or GPT-2 that ordinary runtimes load.

The architecture is unmodified: transformers, run.c and llama.cpp run the program, token by
token. The folder has a page, README.md, that says how, what is exact, and which heads, neurons
and columns of the residual stream compute which part of the program.

\b
  --to llama     a Hugging Face folder with a Llama
  --to gpt2      a Hugging Face folder with a GPT-2
  --to llama2c   model.bin and tokenizer.bin for run.c of llama2.c
  --to gguf      model.gguf for llama.cpp (needs pip install 'tracr_lite[targets]')

\b
Examples
  tracr-lite export generate_sum --to llama --out sum
  tracr-lite export hist --causal --to gpt2 --out hist --max-seq-len 64
  tracr-lite export reverse --after-separator --to llama2c --out reverse
  tracr-lite export my.py:program --vocab a,b --max-seq-len 10 --to gguf --out mine

PROGRAM is a name from `tracr-lite list`, or FILE.py:NAME, as for `tracr-lite run`. Such a model
sees only what stands before a position. A program that reads ahead is refused, unless you
choose --causal, where its selectors see only so far, or --after-separator, where it answers
behind the prompt: a b c | c b a.
"""


@click.command("export", help=ABOUT, short_help="Write a program as a Llama or GPT-2.")
@click.argument("program")
@click.option("--to", type=click.Choice(list(FORMATS)), required=True, help="See above.")
@click.option("--out", metavar="FOLDER", required=True, help="The folder to write.")
@click.option("--force", is_flag=True, help="Replace an export that is there.")
@click.option(
    "--vocab", metavar="A,B,...", help="All tokens; by default those that its file names."
)
@click.option(
    "--max-seq-len",
    type=click.IntRange(min=1),
    metavar="N",
    help="The longest input, or prompt; by default what its file says.",
)
@click.option(
    "--causal/--no-causal",
    default=None,
    help="Whether selectors see only a position and what stands before it. By default what "
    "the program says.",
)
@click.option("--after-separator", is_flag=True, help="Answer behind the prompt and a |.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    help="Of the weights, and of the runtime for which all is exact. By default float32.",
)
@click.option(
    "--mode",
    type=click.Choice(["wide", "bounded"]),
    help="bounded: also right where exponentials overflow, as in run.c built with -Ofast; "
    "larger. By default wide.",
)
@click.option(
    "--indices",
    type=click.Choice(["counts", "rope"]),
    help="How a position is known: by counting, or by rotary angles, which is right for "
    "longer inputs in bfloat16.",
)
def app(
    program: str,
    to: str,
    out: str,
    force: bool,
    vocab: str | None,
    max_seq_len: int | None,
    causal: bool | None,
    after_separator: bool,
    **given: str | None,
) -> None:
    """`tracr-lite export`"""
    from tracr_lite.targets.export import export
    from tracr_lite.targets.export.folder import check_place

    check_place(out, overwrite=force)  # before all the work
    request = inputs.make_compile_request(catalog.load(program), vocab, max_seq_len, causal)
    options = {name: value for name, value in given.items() if value is not None}
    if after_separator and causal is not None:
        raise UsageError("--after-separator is causal; leave --causal or --no-causal out")
    model = _compiled(request, to, after_separator, options)
    path = export(model, out, FORMATS[to], overwrite=force)
    _print(model)
    show.make_console().print(Text(f"written to {path}; its README.md says how to run it"))


def _compiled(
    request: Request, to: str, after_separator: bool, options: dict[str, Any]
) -> StockModel:
    from tracr_lite.targets import after_separator as separated
    from tracr_lite.targets import compile_rasp_to_llama

    entry = request.entry
    asked: dict[str, Any] = {"causal": request.causal, **options}
    if entry.end is not None:
        asked["end"] = entry.end
    sop, vocab, longest = entry.program, request.vocab, request.max_seq_len
    if after_separator:
        form = separated(sop, vocab, longest)
        sop, vocab, longest = form.program, form.vocab, form.max_seq_len
        asked |= {"causal": True, "end": form.end}
    if to == "gpt2":
        if "indices" in asked:
            raise UsageError("--indices is about Llama; a GPT-2 has its positions in a table")
        from tracr_lite.targets import compile_rasp_to_gpt2

        return compile_rasp_to_gpt2(sop, vocab, longest, **asked)
    return compile_rasp_to_llama(sop, vocab, longest, **asked)


def _print(model: StockModel) -> None:
    from tracr_lite.targets.export.card import sizes_of

    console, table = show.make_console(), Table(box=None, pad_edge=False)
    sizes = sizes_of(model)
    for name in sizes:
        table.add_column(name, justify="right")
    table.add_row(*sizes.values())
    console.print(table)
    console.print(Text(f"\n{model.statement.strip()}\n"))
