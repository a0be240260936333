"""The program graph, each node in the half-layer that computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.visualize.boxes import Card, cut, graph_plan
from tracr_lite.visualize.canvas import Plan, titled, to_figure
from tracr_lite.visualize.layout import placed
from tracr_lite.visualize.parts import Part, parts_of
from tracr_lite.visualize.reading import Reading, read
from tracr_lite.visualize.theme import Theme, ThemeName
from tracr_lite.visualize.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDEST = 1.75  # inches, of a line in a box
MOST = 40  # nodes, before those without columns are left out


def program_graph(
    model: AssembledTransformerModel | Reading,
    xs: Sequence[Any] | None = None,
    *,
    theme: ThemeName | Theme = "light",
    fused: bool | None = None,
) -> Figure:
    """The traced program: what each node computes, from what, and in which half-layer.

    Boxes with a dashed outline have no columns of their own: they are computed inside of what
    reads them.

    **Arguments:** `xs`: not needed; `fused`: whether nodes without columns are shown; by
    default if there are no more than 40 nodes.
    **Raises:** `VisualizeError` for models without a program; `MissingDependency` without
    matplotlib.
    """
    return to_figure(plan(parts_of(read_any(model, xs)), fused), theme)


def read_any(model: AssembledTransformerModel | Reading, xs: Sequence[Any] | None) -> Reading:
    """A reading; without an input, one of the first token that the model has, if it has any."""
    if xs is None and not isinstance(model, Reading):
        encoder: Any = getattr(model, "input_encoder", None)
        if encoder is not None and hasattr(encoder, "basis"):
            special = (encoder.bos_token, encoder.pad_token)
            xs = [d.value for d in encoder.basis if d.value not in special][:1]
    return read(model, xs)


def plan(parts: Mapping[str, Part], fused: bool | None = None) -> Plan:
    """The picture, measured."""
    hidden = [x for x, part in parts.items() if part.fused]
    if fused is False or (fused is None and len(parts) > MOST):
        shown = {x: part for x, part in parts.items() if not part.fused}
    else:
        shown, hidden = dict(parts), []
    reads = {x: through(parts, x, shown) for x in shown}
    cards = {x: _card(part) for x, part in shown.items()}
    slots = {x: part.slot for x, part in shown.items()}
    found = placed(reads, slots, lambda name: cards[name].size)
    notes = ["Thick outline: the output."]
    if any(card.dashed for card in cards.values()):
        notes[0] += " Dashed: computed inside of what reads it, without columns of its own."
    if hidden:
        notes.append(f"{counted(len(hidden), 'node')} without columns: not shown.")
    return titled("Program", graph_plan(cards, found), notes)


def through(parts: Mapping[str, Part], label: str, shown: Mapping[str, Any]) -> list[str]:
    """What a node reads, through the nodes that are not shown."""
    found: dict[str, None] = {}
    stack, seen = list(reversed(parts[label].reads)), set[str]()
    while stack:
        below = stack.pop()
        if below in seen or below not in parts:
            continue
        seen.add(below)
        if below in shown:
            found[below] = None
        else:
            stack.extend(reversed(parts[below].reads))
    return list(found)


def _card(part: Part) -> Card:
    lines = [(cut(part.text, WIDEST), "soft")] if part.text else []
    where = _where(part)
    if where:
        lines.append((cut(where, WIDEST), "soft"))
    title = cut(part.label, WIDEST)
    return Card(title, tuple(lines), dashed=part.fused, strong=part.output)


def _where(part: Part) -> str:
    """Heads, neurons and columns, in few words."""
    place = part.place
    words = [f"head {head}" for _, head in place.heads]
    neurons = sum(len(span) for _, span in place.neurons)
    words += [counted(neurons, "neuron")] if neurons else []
    words += [counted(len(place.columns), "column")] if place.columns else []
    return ", ".join(words)
