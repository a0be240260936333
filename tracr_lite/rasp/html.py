"""Expressions in a notebook: what they give on a sample input, as an HTML table.

The sample is `expr.annotated(sample=[...])`, or else the first of a few inputs on which the
program does not raise. Colours are those of the notebook, light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, cast

from tracr_lite.rasp.attention import Selector
from tracr_lite.rasp.base import RASPExpr
from tracr_lite.rasp.values import SelectorValue

SAMPLES: tuple[tuple[Any, ...], ...] = (
    ("a", "b", "a", "c"),
    (1, 0, 2, 1),
    (1, 2, 3, 4),
    ("a",),
    (1,),
)
CELL = "padding:2px 8px;text-align:center;border:1px solid rgba(128,128,128,.4)"
HEAD = f"{CELL};font-weight:600"
CHOSEN = f"{CELL};background:rgba(70,140,210,.4)"
MOST = 24  # positions shown of a sample


def html_of(expr: RASPExpr) -> str:
    """The HTML of an S-Op or a selector."""
    text = f"<code>{escape(repr(expr))}</code>"
    sample, found = _evaluated(expr)
    if sample is None:
        why = escape(str(found))
        return (
            f"<div>{text}<p>It raises on each sample input (on the last: {why}). Choose one: "
            "<code>expr.annotated(sample=[...])</code></p></div>"
        )
    shown = list(sample[:MOST])
    if isinstance(expr, Selector):
        rows = cast(SelectorValue, found)
        table = _grid(shown, [row[: len(shown)] for row in rows[: len(shown)]])
    else:
        table = _rows(shown, cast("Sequence[Any]", found)[: len(shown)])
    more = "" if len(shown) == len(sample) else f"<p>The first {MOST} of {len(sample)}.</p>"
    return f"<div>{text}{table}{more}</div>"


def _evaluated(expr: RASPExpr) -> tuple[Sequence[Any] | None, Any]:
    """The sample and the value on it; None and what was raised if there is none."""
    own = dict(expr.annotations).get("sample")
    samples = SAMPLES if own is None else (tuple(own),)
    raised: Exception | None = None
    for sample in samples:
        try:
            return sample, expr(list(sample))
        except Exception as error:  # whatever the functions of the author raise
            raised = error
    return None, f"{type(raised).__name__}: {raised}"


def _cells(texts: Sequence[str], style: str, tag: str = "td") -> str:
    return "".join(f'<{tag} style="{style}">{escape(text)}</{tag}>' for text in texts)


def _rows(sample: Sequence[Any], values: Sequence[Any]) -> str:
    """Tokens above values."""
    first = _cells(["tokens"], HEAD, "th") + _cells([repr(x) for x in sample], CELL)
    second = _cells(["value"], HEAD, "th") + _cells([repr(x) for x in values], CELL)
    return f"<table><tr>{first}</tr><tr>{second}</tr></table>"


def _grid(sample: Sequence[Any], rows: SelectorValue) -> str:
    """A row for each query, a column for each key; chosen cells bear a mark."""
    names = [repr(x) for x in sample]
    lines = [_cells(["query ↓ key →", *names], HEAD, "th")]
    for name, row in zip(names, rows, strict=True):
        cells = "".join(_cells(["●" if on else ""], CHOSEN if on else CELL) for on in row)
        lines.append(_cells([name], HEAD, "th") + cells)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
