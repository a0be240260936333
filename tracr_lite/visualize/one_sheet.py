"""All pictures of a model on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.visualize import (
    attention_maps,
    circuit_graph,
    neuron_maps,
    program_graphs,
    stream_maps,
)
from tracr_lite.visualize.canvas import LARGE, MONO, NORMAL, Paper, Plan, fitting, to_figure
from tracr_lite.visualize.canvas import stacked as below
from tracr_lite.visualize.comparing import answers_agree
from tracr_lite.visualize.parts import parts_of
from tracr_lite.visualize.reading import Reading, read
from tracr_lite.visualize.theme import Theme, ThemeName
from tracr_lite.visualize.words import value_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 9.0  # inches, of the lines at the top


def overview(
    model: AssembledTransformerModel | Reading,
    xs: Sequence[Any] | None = None,
    *,
    title: str = "",
    theme: ThemeName | Theme = "light",
) -> Figure:
    """Input and answer, then the circuit, the residual stream, attention and neurons.

    **Arguments:** `xs`: the input without BOS.
    **Raises:** as `circuit`; models without a program have no circuit in the picture.
    """
    reading = read(model, xs)
    plans = [_answer(reading, title)]
    if reading.trace is not None:
        plans.append(circuit_graph.plan(reading))
    elif reading.model.description is not None:
        plans.append(program_graphs.plan(parts_of(reading)))
    plans.append(stream_maps.plan(reading, 40, 12.0))
    plans.append(attention_maps.plan(reading))
    plans.append(neuron_maps.plan(reading, None, 12, 60, most=5))
    return to_figure(below(plans, 0.4), theme)


def _answer(reading: Reading, title: str) -> Plan:
    """Input, interpreter and model, a line each."""
    rows = {"input": [value_text(x) for x in reading.xs]}
    if reading.trace is not None:
        values = reading.values[reading.trace.graph.root]
        rows["interpreter"] = [value_text(x) for x in values]
    rows["transformer"] = [value_text(x) for x in reading.decoded]
    wrong = [str(i) for i, same in enumerate(answers_agree(reading)) if not same]
    widths = [max(map(len, column)) for column in zip(*rows.values(), strict=True)]
    head = 0.35 if title else 0.0

    def draw(paper: Paper, x: float, y: float) -> None:
        if title:
            paper.text(
                x, y + 0.1, fitting(title, WIDE, LARGE + 3), size=LARGE + 3, weight="bold"
            )
        for at, (name, texts) in enumerate(rows.items()):
            line = "  ".join(t.ljust(w) for t, w in zip(texts, widths, strict=True))
            place = y + head + 0.1 + 0.2 * at
            paper.text(x, place, name, color=paper.theme.soft)
            text = fitting(line, WIDE - 1, NORMAL, MONO)
            paper.text(x + 1, place, text, family=MONO, weight="bold")
        if reading.trace is not None:
            verdict = (
                "They agree." if not wrong else f"They differ at position {', '.join(wrong)}."
            )
            color = paper.theme.wrong if wrong else paper.theme.ink
            paper.text(x, y + head + 0.15 + 0.2 * len(rows), verdict, color=color)

    return Plan(WIDE, head + 0.2 * (len(rows) + 1), draw)
