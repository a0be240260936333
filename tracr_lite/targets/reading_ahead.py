"""What a program can answer, and whether it reads ahead: inference, for one expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracr_lite.compiler.compiling import COMPILER_BOS, COMPILER_PAD, lengths_of
from tracr_lite.compiler.inputs import check_request
from tracr_lite.compiler.tracing import trace
from tracr_lite.compiler.values.infer import infer
from tracr_lite.compiler.values.state import Values
from tracr_lite.errors import CompileError
from tracr_lite.rasp import rasp
from tracr_lite.targets.causality import check_causal


def answers_of(
    program: rasp.SOp, vocab: Sequence[Any], max_seq_len: int
) -> tuple[Any, ...] | None:
    """The values that a program can have, whole numbers as ints; None if they are too many.

    **Raises:** `CompileError` for programs that the compiler refuses.
    """
    values = _inferred(program, vocab, max_seq_len)
    info = values.info[values.graph.root]
    if info.span is not None:
        return None
    found = (int(x) if isinstance(x, float) and x.is_integer() else x for x in info.values)
    return tuple(dict.fromkeys(found))


def reads_ahead(sop: rasp.SOp, vocab: Sequence[Any], max_seq_len: int) -> str:
    """Why the value at a position may depend on later ones; empty if it does not."""
    try:
        check_causal(_inferred(sop, vocab, max_seq_len))
    except CompileError as error:
        if error.stage != "causality":
            raise
        return error.problems[0].reason
    return ""


def _inferred(sop: rasp.SOp, vocab: Sequence[Any], max_seq_len: int) -> Values:
    tokens, size = check_request(vocab, max_seq_len, COMPILER_BOS, COMPILER_PAD)
    graph = trace(sop)
    return infer(graph, tokens, lengths_of(graph, size), causal=False)
