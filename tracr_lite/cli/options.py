"""Options that several commands share: what is compiled, and for which inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tracr_lite.cli.inputs import Request

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.argument("program"),
    click.option(
        "--vocab", metavar="A,B,...", help="All tokens; by default those that its file names."
    ),
    click.option(
        "--max-seq-len",
        type=click.IntRange(min=1),
        metavar="N",
        help="The longest input; by default what its file says.",
    ),
    click.option(
        "--causal/--no-causal",
        default=None,
        help="Whether a position sees only itself and what stands before it. By default what "
        "the program says.",
    ),
)


def of_compiling(command: F) -> F:
    """PROGRAM, --vocab, --max-seq-len and --causal."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def compiled(request: Request) -> AssembledTransformerModel:
    """What was asked for, compiled."""
    from tracr_lite.compiler import compiling  # loads JAX: only now, when it is needed

    return compiling.compile_rasp_to_model(
        request.entry.program, set(request.vocab), request.max_seq_len, causal=request.causal
    )
