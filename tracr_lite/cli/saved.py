"""`tracr-lite info`, and saved models in the place of programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracr_lite import catalog
from tracr_lite.cli import show
from tracr_lite.cli.compare import Size
from tracr_lite.cli.inputs import UsageError, parse_tokens
from tracr_lite.compiler.saving.fields import in_words, printable
from tracr_lite.compiler.saving.names import NAMES, RECORD
from tracr_lite.errors import SavedModelError
from tracr_lite.rasp.json_values import from_json
from tracr_lite.rasp.rasp import Value

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel

ABOUT = """Show what a saved model is: size, program, and where each part of it is.

All of the folder is read and checked: weights, digests and labels.

\b
Example
  tracr-lite compile reverse --out my_model
  tracr-lite info my_model

\b
Exit codes
  0  the model is whole
  2  it is damaged, or the folder is something else
"""


@click.command("info", help=ABOUT, short_help="Check a saved model, and show what it is.")
@click.argument("folder")
def app(folder: str) -> None:
    """`tracr-lite info`"""
    model = _load(folder)
    console = show.make_console()
    _print_size(console, model)
    description = model.description
    if description is None:
        console.print("It was packed by hand: it has no program.\n")
    else:
        _print_places(console, model)
        console.print(Text(f"{printable(description.text)}\n"))
    _print_origin(console, Path(folder))


def is_saved(name: str) -> bool:
    """Whether what was typed for a program is a folder, so maybe a saved model."""
    return Path(name).is_dir() and name not in catalog.names()


def run(folder: str, words: Sequence[str]) -> None:
    """Runs a saved model on the tokens in `words`, and prints its answer.

    **Raises:** `SavedModelError`, `UsageError` for tokens that it does not have.
    """
    model, vocab, _ = open_model(folder)
    first, *_ = _inputs(model)
    tokens = parse_tokens(words, vocab, hint="")
    answer = model.apply([*first, *tokens]).decoded[len(first) :]
    console = show.make_console()
    show.print_rows(console, {"input": tokens, "transformer": answer})
    _print_size(console, model)
    console.print("A saved model has no functions: there is nothing to compare it with.")


def open_model(
    folder: str,
) -> tuple[AssembledTransformerModel, list[Value], int | None]:
    """A saved model, its tokens, and how many of them it takes.

    **Raises:** `SavedModelError`; `UsageError` if it has no vocabulary.
    """
    model = _load(folder)
    _, vocab, longest = _inputs(model)
    if not vocab:
        raise UsageError(f"{folder} has no vocabulary, so it reads ids only; load it in Python")
    return model, vocab, longest


def _load(folder: str) -> AssembledTransformerModel:
    from tracr_lite.compiler.saving.load import load  # loads JAX: only now, when it is needed

    return load(folder)


def _inputs(model: AssembledTransformerModel) -> tuple[list[Any], list[Value], int | None]:
    """BOS, if there is one, the tokens after it, and how many of these there may be."""
    encoder: Any = model.input_encoder
    if encoder is None or not hasattr(encoder, "basis"):
        return [], [], None
    special = (encoder.bos_token, encoder.pad_token)
    first = [] if encoder.bos_token is None else [encoder.bos_token]
    return (
        first,
        [d.value for d in encoder.basis if d.value not in special],
        encoder.max_seq_len,
    )


def _print_size(console: Console, model: AssembledTransformerModel) -> None:
    _, vocab, longest = _inputs(model)
    show.print_size(console, Size.of(model))
    show.print_limits(console, vocab, longest, model.model_config.causal)


def _print_places(console: Console, model: AssembledTransformerModel) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("node", "columns", "heads", "neurons"):
        table.add_column(name)
    for label, place in model.nodes.items():
        heads = ", ".join(f"layer {layer} head {head}" for layer, head in place.heads)
        neurons = ", ".join(
            f"layer {layer} neurons {span.start}-{span.stop - 1}"
            for layer, span in place.neurons
        )
        table.add_row(Text(printable(label)), _ranges(place.columns), heads, neurons)
    console.print(table)
    console.print()


def _ranges(numbers: Sequence[int]) -> str:
    """`0, 3-7`: neighbours together, in order."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def _print_origin(console: Console, folder: Path) -> None:
    record = json.loads((folder / RECORD).read_bytes())
    made_by = printable(from_json(record["made_by"]))
    size = sum((folder / name).stat().st_size for name in NAMES if (folder / name).is_file())
    console.print(Text(f"made by {made_by}, {size:,} bytes"))
    console.print(Text(f"sha256 {record['sha256']}"))


def check_place(folder: str, *, overwrite: bool) -> None:
    """**Raises:** `SavedModelError` if a model cannot be saved there."""
    from tracr_lite.compiler.saving.aside import check_place as check

    try:
        check(Path(folder), overwrite=overwrite)
    except (SavedModelError, OSError) as error:
        raise SavedModelError(f"cannot save to {folder!r}: {in_words(error)}") from error
