"""What an MLP block reads: the columns of its leaves, and the rows of its table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.compiler.lowering.forms import Functional, Number
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.compiler.lowering.problems import Split
from tracr_lite.compiler.lowering.proved import Errors, together
from tracr_lite.compiler.values.domain import ERR
from tracr_lite.craft.arrays import distinct
from tracr_lite.craft.bases import BasisDirection


@dataclass(frozen=True)
class Inputs:
    """The columns that an MLP reads, and the rows of the table that it computes.

    **Arguments:**
    - `dirs`, `at_bos`: the columns; what they hold at BOS.
    - `cells`: column of each one-hot leaf, per row.
    - `noise`: bound on the error of a sum with a column of each leaf.
    - `x`: id of the number leaf per row (or None); `output`: id of the result.
    - `has`: errors of all one-hot leaves together.
    """

    dirs: list[BasisDirection]
    at_bos: Float[np.ndarray, " dirs"]
    cells: Int[np.ndarray, "rows leaves"]
    x: Int[np.ndarray, " rows"] | None
    output: Int[np.ndarray, " rows"]
    number: Number | None
    noise: float
    slot: int
    has: Errors


def stacked(
    functionals: list[Functional], dirs: list[BasisDirection], at_bos: np.ndarray
) -> tuple[list[BasisDirection], np.ndarray, np.ndarray]:
    """The columns `dirs` and those of the functionals; what they hold at BOS; coefficients.

    Coefficients have a row per functional.
    """
    names = list(dict.fromkeys([*dirs, *(d for f in functionals for d in f.dirs)]))
    place = {d: i for i, d in enumerate(names)}
    held = np.zeros(len(names))
    held[: len(dirs)] = at_bos
    rows = np.zeros((len(functionals), len(names)))
    for functional, row in zip(functionals, rows, strict=True):
        at = np.array([place[d] for d in functional.dirs], np.int64)
        np.add.at(row, at, functional.coefs)
        held[at] = functional.at_bos
    return names, held, rows


def inputs_of(lowering: Lowering, node: int, group: np.ndarray) -> Inputs:
    """Gathers the forms of the leaves and the distinct rows of the table over their columns."""
    table = lowering.table(node, lowering.leaves(node))
    leaves = table.leaves
    kept = (table.ids != ERR).nonzero()[0]
    dirs: list[BasisDirection] = []
    at_bos: list[np.ndarray] = []
    cells: list[np.ndarray] = []
    x: np.ndarray | None = None
    number: Number | None = None
    noise, slot = 0.0, -1
    has: list[Errors] = []
    for leaf in leaves:
        ids = table.frame.column(leaf)[kept]
        if leaf == lowering.number_leaf(leaves):
            found = lowering.raw(leaf)
            assert isinstance(found, Number)
            number, x, slot = found, ids, max(slot, found.slot)
            continue
        view = lowering.view(leaf)
        assert (view.ids[ids] == ids).all(), "a leaf is read through its own columns"
        cells.append(len(dirs) + view.form.group[ids])
        dirs.extend(view.form.dirs)
        at_bos.append(view.form.at_bos)
        noise, slot = noise + view.form.spread, max(slot, view.form.slot)
        has.append(view.form.proved)
    stacked = np.stack(cells, axis=1) if cells else np.zeros((len(kept), 0), np.int64)
    output = group[table.ids[kept]]
    stacked, x, output = _distinct(stacked, x, output, len(dirs), leaves)
    bos = np.concatenate(at_bos) if at_bos else np.zeros(0)
    return Inputs(dirs, bos, stacked, x, output, number, noise, slot, together(has))


def _distinct(
    cells: np.ndarray,
    x: np.ndarray | None,
    output: np.ndarray,
    size: int,
    leaves: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Rows without repetition; equal columns must mean equal outputs."""
    code = np.zeros(len(cells), np.int64) if x is None else x.astype(np.int64)
    for column in cells.T:
        code = code * (size + 1) + column
    found, first, which = distinct(code)
    if (output != output[first][which]).any():
        raise Split(set(leaves))
    if len(found) == len(code):
        return cells, x, output
    first = np.sort(first)
    return cells[first], None if x is None else x[first], output[first]
