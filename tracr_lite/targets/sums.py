"""Tables of two numbers that depend on a sum only: `f(x, y) = g(a x + b y)`.

An index less a count, a comparison, a carry: as a table each would take a neuron per pair of
values. The sum is a linear function of the one-hot columns, exact as whole numbers are, so it
is decoded like any number: a few neurons per interval of equal output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracr_lite.compiler.lowering.forms import Functional, Number, View
from tracr_lite.compiler.lowering.mlp_inputs import Inputs
from tracr_lite.compiler.lowering.proved import UNKNOWN
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.compiler.values.pointwise import Table
from tracr_lite.targets.lowering import StockLowering

FACTORS = ((1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1), (1, 3), (3, 1), (1, -3), (3, -1))
WORTH = 64  # neurons of a table below which it is left as it is


@dataclass(frozen=True)
class SumOfTwo:
    """Which leaves of a table can be replaced by their sum, and with what factors."""

    leaves: tuple[int, int]
    factors: tuple[int, int]


@dataclass(frozen=True)
class Summed:
    """A table as one of a number: `inputs` has the number, `flagged` its other rows.

    `flags` are the columns of values that are no numbers.
    """

    inputs: Inputs
    flagged: Inputs | None


def find(lowering: StockLowering, table: Table, output: np.ndarray) -> SumOfTwo | None:
    """Two number leaves of which the output needs a sum only, where that saves neurons.

    **Arguments:** `output`: id of what is written, per row of the table; < 0: none.
    """
    if len(table.leaves) < 2:
        return None
    kept = output >= 0
    best: tuple[int, SumOfTwo] | None = None
    for i, first in enumerate(table.leaves):
        for second in table.leaves[i + 1 :]:
            found = _sum_of_two(lowering, table, output, (first, second), kept)
            if found is not None and (best is None or found[0] < best[0]):
                best = found
    return None if best is None else best[1]


def _sum_of_two(
    lowering: StockLowering,
    table: Table,
    output: np.ndarray,
    pair: tuple[int, int],
    kept: np.ndarray,
) -> tuple[int, SumOfTwo] | None:
    numbers = [numbers_of(lowering, leaf) for leaf in pair]
    if any(n is None for n in numbers):
        return None
    limit = 2.0 ** (lowering.traits.bits - 1)  # sums stay exact
    ids = [table.frame.column(leaf)[kept] for leaf in pair]
    x, y = (np.asarray(n)[i] for n, i in zip(numbers, ids, strict=True))
    if max(np.nanmax(np.abs(x), initial=0.0), np.nanmax(np.abs(y), initial=0.0)) >= limit:
        return None
    plain = ~(np.isnan(x) | np.isnan(y))
    if not plain.any():
        return None
    rest = np.zeros(int(kept.sum()), np.int64)
    for leaf, size in zip(table.leaves, table.frame.sizes, strict=True):
        if leaf not in pair:
            rest = rest * size + table.frame.column(leaf)[kept]
    x, y, rest, out = x[plain], y[plain], rest[plain], output[kept][plain]
    pairs = len(np.unique(np.stack([ids[0][plain], out]), axis=1).T)
    for a, b in FACTORS:
        size = _intervals(a * x + b * y, rest, out)
        if size is not None and pairs >= WORTH and 3 * size < pairs:
            return size, SumOfTwo(pair, (a, b))
    return None


def numbers_of(lowering: StockLowering, leaf: int) -> np.ndarray | None:
    """A leaf's whole numbers, NaN for what is none; None if it has others."""
    info = lowering.values.info[leaf]
    if info.span is not None or not all(
        v is None or (is_number(v) and float(v).is_integer() and abs(v) < 2**20)
        for v in info.values
    ):
        return None
    return np.array([np.nan if v is None else float(v) for v in info.values])


def _intervals(total: np.ndarray, rest: np.ndarray, out: np.ndarray) -> int | None:
    """How many intervals of the sum behave alike; None if it does not fix the output."""
    order = np.lexsort((total, rest))
    t, r, o = total[order], rest[order], out[order]
    same = (t[1:] == t[:-1]) & (r[1:] == r[:-1])
    changes = o[1:] != o[:-1]
    if (same & changes).any():
        return None
    at = np.flatnonzero(changes & (r[1:] == r[:-1]))
    return len(np.unique(t[at])) + 1


def summed(
    lowering: StockLowering, table: Table, output: np.ndarray, found: SumOfTwo
) -> Summed:
    """The inputs of a table of two leaves, through their sum."""
    kept = np.flatnonzero(output >= 0)
    views = [lowering.view(leaf) for leaf in found.leaves]
    numbers = [np.asarray(numbers_of(lowering, leaf)) for leaf in found.leaves]
    ids = [table.frame.column(leaf)[kept] for leaf in found.leaves]
    total = sum(factor * n[i] for factor, n, i in zip(found.factors, numbers, ids, strict=True))
    total = np.asarray(total)
    plain = ~np.isnan(total)
    codes, at = np.unique(total[plain], return_inverse=True)
    parts = [
        _read(view, n).scaled(f)
        for view, n, f in zip(views, numbers, found.factors, strict=True)
    ]
    slot = max(view.form.slot for view in views)
    none = [f for view, n in zip(views, numbers, strict=True) for f in _flags(view, n)]
    flags = {-1 - i: each for i, each in enumerate(none)}
    number = Number(
        -1,
        parts[0].plus(parts[1]),
        flags,
        codes,
        False,
        absolute=float(np.abs(codes).max(initial=1.0)) * sum(v.form.error for v in views),
        relative=lowering.traits.noise,
        flag_error=0.0,
        slot=slot,
    )
    x = at.ravel()
    cells = np.zeros((len(x), 0), np.int64)
    inputs = Inputs([], np.zeros(0), cells, x, output[kept][plain], number, 0.0, slot, UNKNOWN)
    return Summed(inputs, _flagged(views, ids, output[kept], plain, slot))


def _read(view: View, numbers: np.ndarray) -> Functional:
    """The number of a one-hot leaf."""
    coefs = np.zeros(len(view.form.dirs))
    coefs[view.form.group] = np.nan_to_num(numbers[view.ids])
    return Functional(view.form.dirs, coefs, view.form.at_bos)


def _flags(view: View, numbers: np.ndarray) -> list[Functional]:
    """1 where the leaf holds no number."""
    columns: list[int] = np.unique(view.form.group[np.isnan(numbers[view.ids])]).tolist()
    return [
        Functional.of_column(view.form.dirs[c], float(view.form.at_bos[c])) for c in columns
    ]


def _flagged(
    views: list[View], ids: list[np.ndarray], output: np.ndarray, plain: np.ndarray, slot: int
) -> Inputs | None:
    """The rows in which one of the leaves holds no number, as a table."""
    if plain.all():
        return None
    dirs = [d for view in views for d in view.form.dirs]
    at_bos = np.concatenate([view.form.at_bos for view in views])
    start = [0, len(views[0].form.dirs)]
    cells = np.stack(
        [s + v.form.group[i[~plain]] for s, v, i in zip(start, views, ids, strict=True)], axis=1
    )
    noise = sum(view.form.error for view in views)
    return Inputs(dirs, at_bos, cells, None, output[~plain], None, noise, slot, UNKNOWN)
