"""What `tracr-lite show` is about: a program or a saved model, and an input."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tracr_lite import catalog
from tracr_lite.cli import inputs, saved, show
from tracr_lite.cli.inputs import UsageError

if TYPE_CHECKING:
    from tracr_lite.visualize.reading import Reading
    from tracr_lite.visualize.web_page import Heading


@dataclass(frozen=True)
class Subject:
    """What is shown.

    **Arguments:** `read`: runs the model on tokens; `parse`: from words to tokens.
    """

    name: str
    summary: str
    vocab: tuple[Any, ...]
    longest: int | None
    tokens: list[Any]
    read: Callable[[list[Any]], Reading]
    parse: Callable[[list[str]], list[Any]]


def of_program(
    program: str,
    words: tuple[str, ...],
    vocab: str | None,
    max_seq_len: int | None,
    causal: bool | None,
) -> Subject:
    """A program by name, with an example as input if there are no words.

    **Raises:** `ProgramError`, `CompileError`; `UsageError` for what does not fit the program.
    """
    entry = catalog.load(program)
    if not words:
        if not entry.examples:
            raise UsageError(f"the file of {entry.name} has no EXAMPLES; give tokens")
        longest = max((xs for xs, _ in entry.examples), key=len)
        words = tuple(repr(x) if isinstance(x, str) else str(x) for x in longest)
    request = inputs.make_request(entry, words, vocab, max_seq_len, causal)
    if not entry.valid(request.tokens):
        note = "this input does not meet the precondition of"
        click.echo(f"tracr-lite: note: {note} {entry.name}; see its file", err=True)
    from tracr_lite.compiler import compiling  # loads JAX: only now, when it is needed
    from tracr_lite.visualize.reading import read

    model = compiling.compile_rasp_to_model(
        entry.program, set(request.vocab), request.max_seq_len, causal=request.causal
    )
    return Subject(
        entry.name,
        entry.summary,
        request.vocab,
        request.max_seq_len,
        request.tokens,
        lambda tokens: read(model, tokens),
        lambda words: inputs.parse_tokens(words, request.vocab, hint=""),
    )


def of_folder(folder: str, words: tuple[str, ...]) -> Subject:
    """A saved model. **Raises:** `SavedModelError`; `UsageError` for unknown tokens."""
    if not words:
        raise UsageError(f"{folder} holds no examples; give tokens")
    model, vocab, longest = saved.open_model(folder)
    from tracr_lite.visualize.reading import read

    def parse(typed: list[str]) -> list[Any]:
        return inputs.parse_tokens(typed, vocab, hint="")

    return Subject(
        folder,
        "A saved model.",
        tuple(vocab),
        longest,
        parse(list(words)),
        lambda tokens: read(model, tokens),
        parse,
    )


def heading_of(subject: Subject, served: bool = False) -> Heading:
    """What the page says beside the model."""
    from tracr_lite.visualize import Heading
    from tracr_lite.visualize.words import counted

    typed = " ".join(_typed(x) for x in subject.tokens)
    some = " ".join(_typed(x) for x in subject.vocab[:40])
    more = f" … {len(subject.vocab) - 40} more" if len(subject.vocab) > 40 else ""
    limit = "" if subject.longest is None else f", up to {counted(subject.longest, 'token')}"
    return Heading(
        subject.name,
        subject.summary,
        f"tracr-lite show {shlex.quote(subject.name)} {typed} --serve",
        typed,
        f"Tokens: {some}{more}{limit}. Put blanks between them.",
        served,
    )


def _typed(token: Any) -> str:
    """How a token is typed."""
    text = show.format_value(token)
    return shlex.quote(text if isinstance(token, str) else repr(token))
