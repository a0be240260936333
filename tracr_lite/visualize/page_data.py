"""What the page shows, as plain data that JSON can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from tracr_lite.compiler.circuits.circuit import Circuit
from tracr_lite.visualize.attention_maps import captions, rings
from tracr_lite.visualize.comparing import Compared, answers_agree, compared
from tracr_lite.visualize.formulas import Neurons, formulas, neurons_of
from tracr_lite.visualize.neuron_maps import strongest
from tracr_lite.visualize.page_graph import graph_data, rounded
from tracr_lite.visualize.parts import Part, heads_of, parts_of, step_name
from tracr_lite.visualize.program_graphs import MOST
from tracr_lite.visualize.reading import Reading
from tracr_lite.visualize.rows import ZERO, Group, changes, fold, groups_of, said, scale_of
from tracr_lite.visualize.stream_maps import steps_of
from tracr_lite.visualize.words import counted, shortened, value_text, visible

POSITIONS, ROWS, HEADS, NEURONS = 48, 90, 48, 40  # at most, each said where it cuts
Data = dict[str, Any]


def page_data(reading: Reading) -> Data:
    """All about a model on an input.

    **Raises:** `CircuitError` if the program raises on this input; `VisualizeError` for models
    without a program.
    """
    notes: list[str] = []
    size = min(len(reading.positions), POSITIONS)
    if size < len(reading.positions):
        notes.append(f"Only the first {size} of {len(reading.positions)} positions are shown.")
    parts, steps = parts_of(reading), steps_of(reading)
    skipped = 1 + 2 * reading.layers - len(steps)
    if skipped:
        notes.append(f"{counted(skipped, 'half-layer')} that write nothing: left out.")
    return _seen(
        {
            "positions": reading.positions[:size],
            "first": reading.first,
            "answers": _answers(reading, size),
            "steps": [{"slot": step - 1, "name": step_name(step - 1)} for step in steps],
            "groups": _groups(reading, steps, size, notes),
            "nodes": _nodes(reading, parts, size),
            "heads": _heads(reading, size, notes),
            "neurons": _neurons(reading, size),
            "graph": graph_data(parts, list(parts)),
            "short": graph_data(parts, [x for x, part in parts.items() if not part.fused]),
            "many": len(parts) > MOST,
            "notes": notes,
        }
    )


def _seen(data: Any) -> Any:
    """The same, all text in it visible."""
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, list):
        return [_seen(each) for each in cast("list[Any]", data)]
    if isinstance(data, dict):
        return {key: _seen(each) for key, each in cast("Data", data).items()}
    return data


def _answers(reading: Reading, size: int) -> Data:
    own = size - reading.first
    same = answers_agree(reading)
    trace = reading.trace
    said_by = None if trace is None else reading.values[trace.graph.root]
    return {
        "interpreter": None if said_by is None else [value_text(x) for x in said_by[:own]],
        "model": [value_text(x) for x in reading.decoded[:own]],
        "same": same[:own],
        "differences": sum(not each for each in same),
        "total": len(same),
    }


def _groups(reading: Reading, steps: Sequence[int], size: int, notes: list[str]) -> list[Data]:
    """The rows of the residual stream, for each step and position."""
    groups = fold(reading, groups_of(reading), ROWS)
    silent = sum(len(row.columns) for group in groups for row in group.rows if row.silent)
    if silent:
        notes.append(f"{counted(silent, 'column')} below {ZERO} throughout: one row per node.")
    return [
        {
            "name": group.name,
            "slot": group.slot,
            "scale": rounded(scale_of(reading, group)),
            "written": [changes(reading, group, step) for step in steps],
            "rows": [_row(reading, group, at, steps, size) for at in range(len(group.rows))],
        }
        for group in groups
    ]


def _row(reading: Reading, group: Group, at: int, steps: Sequence[int], size: int) -> Data:
    row = group.rows[at]
    columns = list(row.columns)
    values: list[list[float | None]] = []
    texts: list[list[str]] = []
    for step in steps:
        held = reading.stream[step][:size, columns]
        peak = held[np.arange(size), np.abs(held).argmax(axis=1)]
        values.append([rounded(x) for x in peak.tolist()])
        if len(columns) > 1 and not row.silent:
            texts.append([said(reading, group, row, step, i) for i in range(size)])
    found: Data = {"label": row.label, "silent": row.silent, "values": values}
    return found | {"texts": texts} if texts else found


def _nodes(reading: Reading, parts: dict[str, Part], size: int) -> list[Data]:
    found = compared(reading)
    inside = {} if reading.trace is None else _inside(reading.model.circuit())
    return [_node(part, found.get(label), inside, size) for label, part in parts.items()]


def _node(
    part: Part, comparison: Compared | None, inside: dict[str, list[Data]], size: int
) -> Data:
    places: list[Data] = [{"layer": a, "head": b} for a, b in part.place.heads]
    places += [{"layer": a, "neurons": [s.start, s.stop - 1]} for a, s in part.place.neurons]
    found: Data = {
        "label": part.label,
        "text": part.text,
        "kind": part.kind,
        "reads": list(part.reads),
        "slot": part.slot,
        "where": step_name(part.slot),
        "fused": part.fused,
        "added": part.added,
        "output": part.output,
        "columns": len(part.place.columns),
        "places": places or inside.get(part.label, []),
        "values": None,
    }
    if comparison is not None:
        model = comparison.model
        found["values"] = list(comparison.interpreter[:size])
        found["model"] = None if model is None else list(model[:size])
        found["same"] = list(comparison.same[:size])
        found["agrees"] = comparison.agrees
    return found


def _inside(circuit: Circuit) -> dict[str, list[Data]]:
    """Of nodes without columns, the heads and neurons that compute them on their way."""
    found: dict[str, list[Data]] = {}
    for vertex in circuit.components.vertices:
        for label in vertex.fused:
            assert vertex.part is not None, "heads and neurons have numbers"
            own = [vertex.part.start, vertex.part.stop - 1]
            where = {"head": own[0]} if vertex.kind == "head" else {"neurons": own}
            found.setdefault(label, []).append({"layer": vertex.layer} | where)
    return found


def _heads(reading: Reading, size: int, notes: list[str]) -> list[Data]:
    heads = heads_of(reading)
    if len(heads) > HEADS:
        notes.append(f"Only the first {HEADS} of {len(heads)} heads are shown.")
    found: list[Data] = []
    for layer, head in heads[:HEADS]:
        _, nodes, selector = captions(reading, layer, head)
        marks = rings(reading, layer, head)
        weights = reading.attention[layer, head][:size, :size]
        found.append(
            {
                "layer": layer,
                "head": head,
                "nodes": nodes,
                "selector": selector,
                "weights": [[rounded(x) for x in row] for row in weights.tolist()],
                "selected": None if marks is None else marks[:size, :size].tolist(),
            }
        )
    return found


def _neurons(reading: Reading, size: int) -> list[Data]:
    """A block for each node that a layer's neurons compute."""
    return [
        _group_of_neurons(reading, group, size)
        for layer in range(reading.layers)
        for group in neurons_of(reading, layer)
    ]


def _group_of_neurons(reading: Reading, group: Neurons, size: int) -> Data:
    active = reading.hidden(group.layer)[:size]
    rows: list[Data] = []
    for number in strongest(active, group.active, NEURONS):
        reads, writes = formulas(reading, group.layer, number)
        row = {
            "number": number,
            "reads": shortened(reads, 120),
            "writes": shortened(writes, 120),
        }
        rows.append(row | {"values": [rounded(x) for x in active[:, number].tolist()]})
    return {
        "layer": group.layer,
        "node": group.node,
        "rows": rows,
        "count": len(group.numbers),
        "active": len(group.active),
        "span": [group.numbers[0], group.numbers[-1]],
    }
