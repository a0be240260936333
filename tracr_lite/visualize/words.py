"""Values and nodes of a program in few words."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from tracr_lite.compiler.circuits.node_values import UNKNOWN
from tracr_lite.compiler.circuits.reading import UNCLEAR
from tracr_lite.compiler.graph import Aggregate, Combine, Node, Pointwise, Select, Source, Width
from tracr_lite.compiler.saving.fields import printable
from tracr_lite.compiler.tracing import ConstantAt, ConstantPair, Fill
from tracr_lite.rasp.functions import BinaryOp, ConstantOp, LinearCombination, UnaryOp
from tracr_lite.rasp.listing import text_of_function
from tracr_lite.rasp.rasp import Comparison

BOS = "BOS"  # short for `compiler_bos`


def value_text(value: Any, longest: int = 24) -> str:
    """Short and unambiguous: strings bare unless they look like something else."""
    if value is UNKNOWN or value is UNCLEAR:
        return "?" if value is UNKNOWN else "unclear"
    if isinstance(value, str):
        text = value if _is_plain(value) else repr(value)
    elif isinstance(value, float):
        text = f"{value:.6g}"
    else:
        text = repr(value)
    return shortened(text, longest)


def shortened(text: str, longest: int) -> str:
    """At most so many characters, and in one line; `…` stands for the rest."""
    text = visible(" ".join(text.split()) if any(c in text for c in "\n\r\t") else text)
    return text if len(text) <= longest else f"{text[: max(longest - 1, 1)]}…"


def visible(text: str) -> str:
    """The text with an escape for each character that cannot be seen, or turns others round."""
    return printable(text).replace("\n", "\\n")


def _is_plain(text: str) -> bool:
    """Whether nobody takes it for a number, None, or nothing."""
    if not text or not text.isprintable() or any(c.isspace() for c in text):
        return False
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return True
    return False


def number_text(number: float) -> str:
    """Two digits after the point, fewer if they are zero."""
    if number and abs(number) < 0.005:
        return f"{number:.0e}".replace("e-0", "e-")
    text = f"{number:.2f}" if abs(number) < 1000 else f"{number:.3g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def counted(number: int, what: str) -> str:
    """`1 column`, `2 columns`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def node_text(node: Node, labels: Sequence[str], added: bool = False) -> str:
    """What a node of the traced program computes, from what."""
    match node:
        case Source():
            return {"length": "number of tokens"}.get(node.kind, f"the {node.kind}")
        case Pointwise():
            return _pointwise(node, labels, added)
        case Select():
            return _select(node, labels)
        case Combine(op="not"):
            return f"not {labels[node.inputs[0]]}"
        case Combine():
            return f" {node.op} ".join(labels[i] for i in node.inputs)
        case Aggregate():
            default = (
                "" if node.default is None else f", else {shortened(repr(node.default), 24)}"
            )
            return f"{labels[node.value]} where {labels[node.selector]}{default}"
        case Width():
            return f"how many {labels[node.selector]}"


def _pointwise(node: Pointwise, labels: Sequence[str], added: bool) -> str:
    names = [labels[i] for i in node.inputs]
    if added:
        return f"made by the compiler from {', '.join(names)}"
    if isinstance(node.fn, Fill):
        return f"always {shortened(repr(node.fn.value), 24)}"
    if isinstance(node.fn, ConstantAt):
        return f"constant {shortened(' '.join(map(value_text, node.fn.values)), 40)}"
    return _operation(node.fn, names) or f"{text_of_function(node.fn)} of {', '.join(names)}"


def _operation(fn: object, names: Sequence[str]) -> str:
    """An operator with names on its sides; nothing for other functions."""
    match fn:
        case UnaryOp(symbol="abs"):
            return f"abs({names[0]})"
        case UnaryOp(symbol=symbol):
            return f"{symbol}{names[0]}"
        case BinaryOp(symbol=symbol):
            return f"{names[0]} {symbol} {names[1]}"
        case ConstantOp(symbol=symbol, constant=constant, reflected=reflected):
            sides = [names[0], shortened(repr(constant), 24)]
            return f" {symbol} ".join(reversed(sides) if reflected else sides)
        case LinearCombination(fst_fac=a, snd_fac=b):
            terms = [
                f"{'' if abs(f) == 1 else f'{abs(f)} '}{n}"
                for f, n in zip((a, b), names, strict=True)
            ]
            return f"{'-' if a < 0 else ''}{terms[0]} {'-' if b < 0 else '+'} {terms[1]}"
        case _:
            return ""


def _select(node: Select, labels: Sequence[str]) -> str:
    keys, queries = labels[node.keys], labels[node.queries]
    if isinstance(node.predicate, ConstantPair):
        return "a constant matrix"
    if isinstance(node.predicate, Comparison):
        if node.predicate in (Comparison.TRUE, Comparison.FALSE):
            return "every key" if node.predicate is Comparison.TRUE else "no key"
        return f"key {keys} {node.predicate.value} query {queries}"
    return f"{text_of_function(node.predicate)} of key {keys}, query {queries}"
