"""What a head is claimed to compute, from inference: selector, values and default."""

from __future__ import annotations

import numpy as np

from tracr_lite.certifying.claims import Head, Literal, Value
from tracr_lite.certifying.extract_nodes import Nodes, Uncovered
from tracr_lite.compiler.graph import Aggregate
from tracr_lite.compiler.lowering.forms import Functional, HeadBlock, Number, OneHot, View
from tracr_lite.compiler.lowering.match import columns_table
from tracr_lite.compiler.lowering.written import WrittenHead
from tracr_lite.compiler.values.domain import ERR, checked, typed_key
from tracr_lite.craft.bases import BasisDirection


def head_of(note: WrittenHead, block: HeadBlock, number: int, nodes: Nodes) -> Head:
    """The claim about one head. **Raises:** `Uncovered`."""
    values = nodes.trace.values
    widths = values.selected[block.selector].widths
    low, high = int(widths.low.min()), int(widths.high.max())
    writes, node = nodes.name_of(note.dirs[0]), block.nodes[0]
    literals = tuple(
        Literal(
            nodes.name_of(match.keys.form.dirs[0]),
            nodes.name_of(match.queries.form.dirs[0]),
            columns_table(match),
        )
        for match in note.matches
    )
    kind = values.nodes[node]
    default = -1
    if low == 0 and isinstance(kind, Aggregate):
        default = _default(nodes, node, writes, kind)
    if note.value is None:
        found: tuple[Value, ...] = ()
    else:
        assert isinstance(kind, Aggregate), "only aggregates read values"
        if isinstance(note.value, View):
            found = (_copied(nodes, node, writes, kind, note.value),)
        else:
            found = _averaged(nodes, node, writes, kind, note.value)
    copies = isinstance(note.value, View)
    return Head(writes, number, literals, note.counts_bos, low, high, found, copies, default)


def _default(nodes: Nodes, node: int, writes: str, kind: Aggregate) -> int:
    """The state that stands for the default."""
    form, info = nodes.forms[writes], nodes.trace.values.info[node]
    value = checked(kind.default)
    ids = {typed_key(v): i for i, v in enumerate(info.values)}
    at = ids.get(typed_key(value))
    if isinstance(form, OneHot):
        return -1 if at is None else int(form.group[at])
    held = nodes.held[nodes.place[_first(form)][0]]
    row = np.zeros(len(held.columns))
    if at is not None and at in form.flags:
        row[nodes.place[form.flags[at].dirs[0]][1]] = 1.0
    elif isinstance(value, int | float):
        row[0] = float(value)
    else:
        return -1
    match = np.flatnonzero((held.states == row).all(axis=1))
    return int(match[0]) if len(match) else -1


def _first(form: Number) -> BasisDirection:
    """A direction that the number is written to."""
    return form.read.dirs[0] if form.read.dirs else next(iter(form.flags.values())).dirs[0]


def _copied(nodes: Nodes, node: int, writes: str, kind: Aggregate, view: View) -> Value:
    """For each column of the source the value that it stands for, as a column of the node."""
    form, values = nodes.forms[writes], nodes.trace.values
    assert isinstance(form, OneHot), "values are copied one-hot"
    ids = {typed_key(v): i for i, v in enumerate(values.info[node].values)}
    inner = values.info[kind.value].values
    rows = np.zeros((len(view.form.dirs), len(form.dirs)))
    for base, at in enumerate(view.ids.tolist()):
        value = None if at == ERR else inner[at]
        plain = float(value) if isinstance(value, int | float) else value
        found = ids.get(typed_key(plain))
        if at != ERR and found is not None:
            row = rows[int(view.form.group[base])]
            if row.any() and row[form.group[found]] == 0.0:
                raise Uncovered("values that share a column are told apart")
            row[form.group[found]] = 1.0
    return Value(nodes.name_of(view.form.dirs[0]), rows)


def _averaged(
    nodes: Nodes, node: int, writes: str, kind: Aggregate, number: Number
) -> tuple[Value, ...]:
    """What each source contributes to the number and to the flags."""
    form, values = nodes.forms[writes], nodes.trace.values
    assert isinstance(form, Number), "means are numbers"
    held = nodes.held[nodes.place[_first(form)][0]]
    columns: list[tuple[int, Functional]] = []
    if form.read.dirs:
        columns.append((0, number.read))
    by_value = {
        typed_key(values.info[node].values[i]): f.dirs[0] for i, f in form.flags.items()
    }
    for i, functional in number.flags.items():
        target = by_value.get(typed_key(values.info[kind.value].values[i]))
        if target is not None:
            columns.append((nodes.place[target][1], functional))
    rows: dict[str, np.ndarray] = {}
    for column, functional in columns:
        for d, coef in zip(functional.dirs, functional.coefs.tolist(), strict=True):
            source, at = nodes.held[nodes.place[d][0]], nodes.place[d][1]
            zero = np.zeros((len(source.states), len(held.columns)))
            rows.setdefault(source.name, zero)[:, column] += coef * source.states[:, at]
    return tuple(Value(name, found) for name, found in rows.items())
