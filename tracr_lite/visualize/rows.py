"""Which residual columns a picture shows, as rows: grouped by node, the silent ones folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracr_lite.visualize.parts import EMBEDDED, has_program, owners_of, parts_of
from tracr_lite.visualize.reading import Reading
from tracr_lite.visualize.words import counted, value_text

ZERO = 1e-3  # what is smaller is rounding, or leaked through a softmax
SOURCES = ("one", "tokens", "indices")


@dataclass(frozen=True)
class Row:
    """A row of a picture.

    **Arguments:** `columns`: the residual columns that it stands for; with more than one, all
    of them are zero (`silent`), or the row says the value that they hold together.
    """

    label: str
    columns: tuple[int, ...]
    silent: bool = False


@dataclass(frozen=True)
class Group:
    """The rows of a node; `slot` is the half-layer that writes it."""

    name: str
    slot: int
    rows: tuple[Row, ...]

    @property
    def columns(self) -> list[int]:
        """All of its residual columns."""
        return [i for row in self.rows for i in row.columns]


def groups_of(reading: Reading) -> list[Group]:
    """The columns of each node, one row each, in the order of computation."""
    owners, labels = owners_of(reading), reading.model.residual_labels
    slots = _slots(reading, owners)
    names = sorted(
        set(owners), key=lambda n: (slots[n], SOURCES.index(n) if n in SOURCES else 9)
    )
    found: list[Group] = []
    for name in names:
        own = [i for i, owner in enumerate(owners) if owner == name]
        rows = [Row(_short(labels[i], name), (i,)) for i in own]
        found.append(Group(name, slots[name], tuple(rows)))
    return found


def _slots(reading: Reading, owners: Sequence[str]) -> dict[str, int]:
    """The half-layer that writes each node; where no program says it, the first that does."""
    known = {}
    if has_program(reading):
        known = {label: part.slot for label, part in parts_of(reading).items()}
    found: dict[str, int] = {}
    for at, owner in enumerate(owners):
        written = np.flatnonzero(reading.stream[:, :, at].any(axis=1))
        seen = int(written[0]) - 1 if len(written) else EMBEDDED
        found[owner] = known.get(owner, min(seen, found.get(owner, seen)))
    return found


def _short(label: str, name: str) -> str:
    """The value that a column stands for; `clean` columns are copies without rounding."""
    if label.startswith(f"{name}/"):
        return label.removeprefix(f"{name}/").replace("::", " ", 1)
    value = label.removeprefix(f"{name}:")
    return value if value != label else ("number" if label == name and name != "one" else label)


def fold(reading: Reading, groups: Sequence[Group], limit: int) -> list[Group]:
    """The same without rows that stay zero, and with at most about `limit` rows.

    Of each node one row tells how many were left out. While there are too many, the largest
    node becomes one row that says its value.
    """
    loud = np.abs(reading.stream).max(axis=(0, 1)) > ZERO
    folded_groups = [_without_silent(group, loud) for group in groups]
    while sum(len(g.rows) for g in folded_groups) > limit:
        largest = max(range(len(groups)), key=lambda i: len(folded_groups[i].rows))
        if len(folded_groups[largest].rows) <= 2:
            break
        group = groups[largest]
        row = Row(counted(len(group.rows), "column"), tuple(group.columns))
        folded_groups[largest] = Group(group.name, group.slot, (row,))
    return folded_groups


def _without_silent(group: Group, loud: np.ndarray) -> Group:
    shown = [row for row in group.rows if loud[list(row.columns)].any()]
    silent = tuple(i for row in group.rows for i in row.columns if not loud[i])
    if len(silent) == 1:
        return group
    if silent:
        more = "all" if not shown else "more"
        text = f"{more} {len(silent)}: 0" if not shown else f"{len(silent)} {more}: 0"
        shown.append(Row(text, silent, silent=True))
    return Group(group.name, group.slot, tuple(shown))


def scale_of(reading: Reading, group: Group) -> float:
    """The largest absolute value of a node's columns: colours are shares of it."""
    return float(np.abs(reading.stream[:, :, group.columns]).max(initial=0.0)) or 1.0


def said(reading: Reading, group: Group, row: Row, step: int, position: int) -> str:
    """The value that the columns of a collapsed row hold together."""
    if step - 1 < group.slot or reading.trace is None or position < reading.first:
        return ""
    labels = reading.trace.layers.blocks.labels
    values = reading.held.get(labels.index(group.name)) if group.name in labels else None
    return "" if values is None else value_text(values[position - reading.first], 10)


def changes(reading: Reading, group: Group, step: int) -> bool:
    """Whether a step writes to a node's columns."""
    after = reading.stream[step][:, group.columns]
    before = reading.stream[step - 1][:, group.columns] if step else 0.0
    return bool((np.abs(after - before) > ZERO).any())
