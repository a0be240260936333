"""Products of two numbers, where the architecture multiplies."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.graph import Pointwise
from tracr_lite.compiler.lowering.forms import Functional, Number
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.blocks import MLPPart, Product, Unit
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.rows import reading


def product(lowering: StockLowering, node: int) -> Number | None:
    """The product of two numbers, where the architecture multiplies and the table is one."""
    kind = lowering.values.nodes[node]
    if not lowering.traits.gated or lowering.traits.mode == "bounded":
        return None  # bounded gates cannot be numbers of any size
    if not isinstance(kind, Pointwise) or not _multiplies(lowering, node, kind):
        return None
    x, y = kind.inputs
    infos = [lowering.values.info[i] for i in (x, y, node)]
    numbers = [lowering.as_number(i) for i in (x, y)]
    own = BasisDirection(lowering.values.labels[node])
    lowering.columns.setdefault(node, []).append(own)
    at = max(n.slot for n in numbers)
    slot = at + 1 if at % 2 == 0 else at + 2
    reads = [reading(n.read, lowering.bos) for n in numbers]
    units: tuple[Unit, ...] = (Product(reads[0], reads[1], {own: 1.0}),)
    lowering.parts.append(MLPPart(slot, (node,), units))
    reach = [float(np.abs(np.array(info.values, float)).max()) for info in infos[:2]]
    error = numbers[0].absolute * reach[1] + numbers[1].absolute * reach[0]
    relative = sum(n.relative for n in numbers) + 8 * lowering.traits.unit
    codes = np.array([lowering.as_float(node, v) for v in infos[2].values])
    return Number(
        node,
        Functional.of_column(own),
        {},
        codes,
        False,
        absolute=error,
        relative=relative,
        flag_error=0.0,
        slot=slot,
    )


def _multiplies(lowering: StockLowering, node: int, kind: Pointwise) -> bool:
    """Whether the node is the product of two different numbers wherever it has a value."""
    if len(set(kind.inputs)) != 2 or not all(lowering.is_numeric(i) for i in kind.inputs):
        return False
    table = lowering.values.table_on(node, tuple(sorted(kind.inputs)))
    infos = [lowering.values.info[i] for i in (*kind.inputs, node)]
    if table is None or not all(is_number(v) for info in infos for v in info.values):
        return False
    known = table.ids >= 0
    left, right, out = (np.array(info.values, float) for info in infos)
    x, y = (table.frame.column(i)[known] for i in kind.inputs)
    return np.allclose(left[x] * right[y], out[table.ids[known]], rtol=1e-12, atol=0.0)
