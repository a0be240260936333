"""Units for a table over one-hot columns: few of them, by grouping what behaves alike."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tracr_lite.targets.blocks import Both, Unit
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import Row, constant, scaled, total

Cell = tuple[int, ...]


class Writes(Protocol):
    """What a table writes for each output; `number`: whether its first column is one."""

    @property
    def number(self) -> bool: ...
    @property
    def code(self) -> np.ndarray: ...
    def row(self, output: int) -> Row: ...


def and_units(
    lowering: StockLowering,
    columns: list[Row],
    cells: np.ndarray,
    output: np.ndarray,
    target: Writes,
) -> list[Unit]:
    """Writes `target.row(output)` in each row of the table, where all its cells are hot."""
    nb = constant(lowering.bos)
    leaves = cells.shape[1]
    if leaves == 0:
        return [Both((nb,), nb, target.row(int(o))) for o in output[:1]]
    if leaves == 1:
        by_output: dict[int, list[int]] = {}
        for cell, out in zip(cells[:, 0].tolist(), output.tolist(), strict=True):
            by_output.setdefault(out, []).append(cell)
        sums = {o: total(columns[c] for c in chosen) for o, chosen in by_output.items()}
        return [Both((row,), nb, target.row(o)) for o, row in sums.items() if target.row(o)]
    found: list[Unit] | None = None
    for free in range(leaves):
        units = _units(lowering, columns, _grouped(cells, output, free), target)
        found = units if found is None or len(units) < len(found) else found
    return found or []


def _grouped(
    cells: np.ndarray, output: np.ndarray, free: int
) -> list[tuple[list[Cell], dict[int, int]]]:
    """(cells of the other leaves that behave alike, what the free leaf's cells give)."""
    tables: dict[Cell, dict[int, int]] = {}
    for row, out in zip(cells.tolist(), output.tolist(), strict=True):
        rest = tuple(c for i, c in enumerate(row) if i != free)
        tables.setdefault(rest, {})[row[free]] = out
    if cells.shape[1] > 2:  # sums of several leaves' cells do not merge
        return [([rest], table) for rest, table in tables.items()]
    alike: dict[tuple[tuple[int, int], ...], list[Cell]] = {}
    for rest, table in tables.items():
        alike.setdefault(tuple(sorted(table.items())), []).append(rest)
    return [(rests, dict(table)) for table, rests in alike.items()]


def _units(
    lowering: StockLowering,
    columns: list[Row],
    groups: list[tuple[list[Cell], dict[int, int]]],
    target: Writes,
) -> list[Unit]:
    units: list[Unit] = []
    for rests, table in groups:
        if len(rests) > 1:
            xs = (total(columns[rest[0]] for rest in rests),)
        else:
            xs = tuple(columns[c] for c in rests[0])
        left = table
        if target.number and lowering.traits.gated:
            left = _number_unit(columns, xs, table, target, units)
        by_output: dict[int, list[int]] = {}
        for cell, out in left.items():
            by_output.setdefault(out, []).append(cell)
        for out, chosen in by_output.items():
            row = target.row(out)
            if row:
                units.append(Both(xs, total(columns[c] for c in chosen), row))
    return units


def _number_unit(
    columns: list[Row],
    xs: tuple[Row, ...],
    table: dict[int, int],
    target: Writes,
    units: list[Unit],
) -> dict[int, int]:
    """One unit for all the numbers under a gate; what it leaves to the others."""
    numbers = {c: float(target.code[o, 0]) for c, o in table.items() if target.code[o, 0]}
    if len(set(numbers.values())) < 2:
        return table
    read = total(scaled(columns[c], value) for c, value in numbers.items())
    own = next(iter(target.row(next(table[c] for c in numbers))))
    units.append(Both(xs, read, {own: 1.0}, number=True))
    return {c: o for c, o in table.items() if c not in numbers}
