"""A compiled program at work on one example, as an SVG in the colours of the page.

Each row is a step that the residual stream holds: where it is computed, its name, and its value
at every position. Beside the rows of a head stands what it selects: a row per query, a column
per key.
"""

from __future__ import annotations

from html import escape
from typing import Any

from tracr_lite.catalog import Entry
from tracr_lite.rasp import causal_eval, rasp

ROW, CELL, GRID = 24, 34, 9  # height of a row, width of a value, side of a square of a grid
LABELS = 178  # width of place and name
LONGEST = 17  # characters of a name


def of(entry: Entry, model: Any) -> str:
    """The picture, as one line of HTML."""
    xs = example(entry)
    evaluate = causal_eval.evaluate if entry.causal else rasp.evaluate
    rows = [(*row, list(evaluate(row[2], xs))) for row in _steps(entry.program, model)]
    height, parts = 6, list[str]()
    for place, name, expr, values in rows:
        selector = _selector(expr)
        tall = max(ROW, len(xs) * GRID + 8) if selector is not None else ROW
        middle = height + tall / 2
        last = expr is rows[-1][2]
        parts += _row(place, name, values, middle, last)
        if selector is not None:
            parts += _grid(evaluate(selector, xs), len(xs), middle, entry.causal)
        height += tall
    width = LABELS + CELL * len(xs) + 14 + GRID * len(xs) + 6
    head = (
        f'<svg role="img" viewBox="0 0 {width} {height + 6}" '
        f'style="max-width: {1.25 * width:g}px" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(entry.name)} on {escape(' '.join(map(str, xs)))}</title>"
    )
    return f'<div class="program">{head}{"".join(parts)}</svg></div>'


def example(entry: Entry) -> list[Any]:
    """The first one with three to seven tokens, or else the first."""
    inputs = [xs for xs, _ in entry.examples]
    return next((xs for xs in inputs if 3 <= len(xs) <= 7), inputs[0])


def _steps(program: rasp.SOp, model: Any) -> list[tuple[str, str, rasp.SOp]]:
    """Place, name and expression of all S-Ops with columns of their own, in order."""
    ordered: dict[str, tuple[tuple[int, int], str, str, rasp.SOp]] = {}
    for expr in _below(program, {}):
        if isinstance(expr, rasp.SOp):
            found = model.node(expr)
            if found.columns and found.label not in ordered:
                when, place = _place(found)
                name = found.label.rpartition("_")[0] if when[0] else found.label
                ordered[found.label] = (when, place, name or found.label, expr)
    steps = sorted(ordered.values(), key=lambda step: (step[0], step[2] != "tokens"))
    return [(place, name, expr) for _, place, name, expr in steps]


def _below(expr: rasp.RASPExpr, seen: dict[int, rasp.RASPExpr]) -> list[rasp.RASPExpr]:
    """The expression and all that it reads, each after what it reads."""
    if expr.unique_id in seen:
        return []
    seen[expr.unique_id] = expr
    return [e for child in expr.children for e in _below(child, seen)] + [expr]


def _place(node: Any) -> tuple[tuple[int, int], str]:
    if node.heads:
        layer, head = node.heads[0]
        return (layer + 1, 0), f"{layer} head {head}"
    if node.neurons:
        layer = node.neurons[0][0]
        return (layer + 1, 1), f"{layer} MLP"
    return (0, 0), "input"


def _selector(expr: rasp.SOp) -> rasp.Selector | None:
    found = [child for child in expr.children if isinstance(child, rasp.Selector)]
    return found[0] if found else None


def _row(place: str, name: str, values: list[Any], middle: float, last: bool) -> list[str]:
    name = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    parts = [
        f'<text x="0" y="{middle + 4:g}" class="place">{escape(place)}</text>',
        f'<text x="{LABELS - 8}" y="{middle + 4:g}" class="name">{escape(name)}</text>',
    ]
    for i, value in enumerate(values):
        x = LABELS + i * CELL
        kind = "out" if last else "none" if value is None else "value"
        parts.append(
            f'<rect x="{x + 1}" y="{middle - 10:g}" width="{CELL - 2}" height="20" rx="3" '
            f'class="{kind}"/><text x="{x + CELL / 2:g}" y="{middle + 4:g}" '
            f'class="cell {kind}">{escape(_short(value))}</text>'
        )
    return parts


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.2g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 5 else text[:4] + "…"


def _grid(selected: Any, n: int, middle: float, causal: bool) -> list[str]:
    left, top = LABELS + CELL * n + 12, middle - GRID * n / 2
    parts: list[str] = []
    for query in range(n):
        for key in range(n):
            seen = selected[query][key] and not (causal and key > query)
            parts.append(
                f'<rect x="{left + key * GRID}" y="{top + query * GRID:g}" width="{GRID - 1}" '
                f'height="{GRID - 1}" class="{"on" if seen else "off"}"/>'
            )
    return parts
