"""What an intervention changes: checked, and as cells of the residual stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from tracr_lite.compiler.circuits.errors import InterventionError
from tracr_lite.compiler.circuits.ideal import encode, own_columns
from tracr_lite.compiler.circuits.known import Known
from tracr_lite.compiler.circuits.overwriting import Cells
from tracr_lite.compiler.lowering.forms import EMBEDDED, Form
from tracr_lite.compiler.trace_of import CompileTrace, NodePlace
from tracr_lite.compiler.values.domain import BadValue, checked, is_number
from tracr_lite.rasp.rasp import RASPExpr, Selector

EVERYWHERE = -1  # in place of a position
Wanted = dict[int, dict[int, Any]]  # node -> position -> value


def read_changes(trace: CompileTrace, changes: Mapping[Any, Any]) -> Wanted:
    """Nodes by number, and for each a value by position.

    **Raises:** `InterventionError` for what is no node of the program, has no columns, or can
    never hold the value.
    """
    if not isinstance(changes, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InterventionError(
            f"changes are given as {{node: value}} or {{node: {{position: value}}}}; "
            f"got {changes!r}"
        )
    found: Wanted = {}
    for key, value in changes.items():
        node = _node(trace, key)
        if node in found:
            raise InterventionError(f"{_label(trace, node)} is given twice")
        forms = forms_of(trace, node)
        known = Known(trace.values.info[node])
        wanted = _by_position(value)
        for each in wanted.values():
            _check_value(_label(trace, node), forms, known, each)
        found[node] = {position: checked(each) for position, each in wanted.items()}
    return found


def _by_position(value: Any) -> dict[int, Any]:
    """**Raises:** `InterventionError` for what is no position."""
    if not isinstance(value, Mapping):
        return {EVERYWHERE: value}
    return {_position(at): each for at, each in cast("Mapping[Any, Any]", value).items()}


def _position(given: Any) -> int:
    position = given.item() if isinstance(given, np.integer) else given
    if not isinstance(position, int) or isinstance(position, bool) or position < 0:
        raise InterventionError(f"positions count the tokens after BOS from 0; got {given!r}")
    return position


def _label(trace: CompileTrace, node: int) -> str:
    return trace.layers.blocks.labels[node]


def _node(trace: CompileTrace, key: Any) -> int:
    """The number of a node given as an expression, a label, a name, or a place."""
    labels = trace.layers.blocks.labels
    if isinstance(key, Selector):
        raise InterventionError(
            "a selector has no columns; intervene on what it compares, or on what uses it"
        )
    if isinstance(key, RASPExpr):
        node = trace.graph.node_of.get(id(key))
        if node is None:
            raise InterventionError(f"{key!r} is no part of the compiled program")
        return node
    label = key.label if isinstance(key, NodePlace) else key
    if isinstance(label, str) and label in labels:
        return labels.index(label)
    named = _named(trace, label)
    if len(named) == 1:
        return named[0]
    if named:
        several = ", ".join(labels[node] for node in named[:20])
        raise InterventionError(f"several nodes are named {label!r}: {several}; give the label")
    raise InterventionError(
        f"the program has no node {label!r}; there are {', '.join(labels[:20])}"
    )


def _named(trace: CompileTrace, name: object) -> list[int]:
    """The nodes of all expressions of a name, selectors left out: they have no columns."""
    graph = trace.graph
    return sorted(
        {
            graph.node_of[id(expr)]
            for expr in graph.exprs
            if expr.name == name and not isinstance(expr, Selector)
        }
    )


def forms_of(trace: CompileTrace, node: int) -> list[Form]:
    """How the columns of a node hold it. **Raises:** `InterventionError` if it has none."""
    found = [form for form in trace.layers.blocks.forms if form.node == node]
    if not found:
        raise InterventionError(
            f"{_label(trace, node)} has no columns of its own: it is computed inside of what "
            "reads it, if anything does (see model.circuit()); intervene on one with columns"
        )
    return found


def _check_value(label: str, forms: Sequence[Form], known: Known, value: Any) -> None:
    try:
        value = checked(value)
    except BadValue as error:
        advice = error.suggestion
        if isinstance(value, list) or hasattr(value, "__array__"):
            advice = "give values by position, as {0: first, 1: second}"
        raise InterventionError(f"{label} cannot be set to {value!r}: {advice}") from error
    if not _holds(known, value) or any(encode(form, known, value) is None for form in forms):
        some = ", ".join(map(repr, known.info.values[:12]))
        more = ", ..." if len(known.info.values) > 12 else ""
        if known.info.span is not None:
            low, high = known.info.span
            some, more = f"numbers from {low:g} to {high:g}", f", {some}" if some else ""
        raise InterventionError(
            f"{label} has no columns for {value!r}; it can hold {some}{more}"
        )


def _holds(known: Known, value: Any) -> bool:
    """Whether the compiler expects the value anywhere."""
    span = known.info.span
    if known.id_of(value) is not None or span is None:
        return known.id_of(value) is not None
    return is_number(value) and span[0] <= value <= span[1]


def at_length(wanted: Wanted, length: int) -> Wanted:
    """The changes of an input of so many tokens, each with its position.

    **Raises:** `InterventionError` for a position that it does not have.
    """
    found: Wanted = {}
    for node, values in wanted.items():
        if EVERYWHERE in values:
            found[node] = dict.fromkeys(range(length), values[EVERYWHERE])
            continue
        for position in values:
            if position >= length:
                raise InterventionError(
                    f"there is no position {position} in an input of {length} tokens"
                )
        found[node] = values
    return found


def cells_of(trace: CompileTrace, changes: Wanted, length: int) -> Cells:
    """The cells that hold the changed values; BOS comes first, and is left as it is."""
    shape = (length + 1, len(trace.residual_labels))
    chosen, values = np.zeros(shape, bool), np.zeros(shape, np.float32)
    slots = np.full(shape[1], EMBEDDED)
    for node, wanted in changes.items():
        known = Known(trace.values.info[node])
        for form in forms_of(trace, node):
            columns = trace.space.indices_of(own_columns(form))
            slots[columns] = form.slot
            for position, value in wanted.items():
                held = encode(form, known, value)
                assert held is not None, "values were checked before"
                chosen[position + 1, columns] = True
                values[position + 1, columns] = held[0]
    return Cells(chosen, values, slots)
