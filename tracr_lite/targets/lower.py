"""The whole program, from its output back to the embeddings, as parts of a stock target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tracr_lite.compiler.graph import Source, Width
from tracr_lite.compiler.lowering.forms import Number, OneHot, View
from tracr_lite.compiler.lowering.lower import Writers
from tracr_lite.compiler.lowering.problems import CannotLower, Split
from tracr_lite.compiler.lowering.program import LISTED_OUTPUTS
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.compiler.values.state import Values
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.errors import InvalidValueSetError, Problem
from tracr_lite.targets.blocks import Part
from tracr_lite.targets.lowering import StockLowering
from tracr_lite.targets.telling_apart import snapping
from tracr_lite.targets.traits import Traits


@dataclass(frozen=True)
class Output:
    """How the output is read.

    **Arguments:**
    - `form`, `columns`: for categories: one-hot columns, and each value with its own of them.
    - `number`: the number and its flags otherwise; `known`, `tolerance`: numbers to snap to.
    """

    root: int
    form: OneHot | None
    columns: tuple[tuple[Any, list[int]], ...]
    number: Number | None
    known: tuple[Any, ...] = ()
    tolerance: float = 0.0


@dataclass(frozen=True)
class Lowered:
    """A program as parts.

    **Arguments:** `lowering`: has the forms, labels and columns of every node.
    """

    parts: tuple[Part, ...]
    output: Output
    lowering: StockLowering


def lower(values: Values, bos: BasisDirection, traits: Traits, writers: Writers) -> Lowered:
    """Every part that the program needs.

    **Raises:** `CompileError` naming the node that has no exact block, and what to write
    instead.
    """
    split: set[int] = set()
    while True:
        values.forget(len(values.graph.nodes))
        lowering = StockLowering(
            values, bos, split, False, values.graph.root, writers=writers, traits=traits
        )
        try:
            output = _output(lowering)
        except Split as error:
            if error.nodes <= split:
                raise _refusal(lowering, _types(error)) from error
            split |= error.nodes
        except CannotLower as error:
            raise _refusal(lowering, error) from error
        else:
            return Lowered(tuple(lowering.parts), output, lowering)


def _types(error: Split) -> CannotLower:
    return CannotLower(
        min(error.nodes),
        "it holds values that are equal but of different type (1, 1.0, True), and a later step "
        "tells them apart",
        "convert them to one type first",
    )


def _refusal(lowering: StockLowering, error: CannotLower) -> InvalidValueSetError:
    label = lowering.values.labels[error.node]
    return InvalidValueSetError("lower", [Problem(label, error.reason, error.suggestion)])


def _output(lowering: StockLowering) -> Output:
    """Decides whether the output is categories or a number, and has it written."""
    values = lowering.values
    root = values.graph.root
    info = values.info[root]
    plain = all(v is None or is_number(v) for v in info.values)
    counted = isinstance(values.nodes[root], Width | Source)
    mean = lowering.is_numeric(root) and not counted
    many = len(info.values) > LISTED_OUTPUTS
    wants_number = values.graph.root_numerical or (plain and (mean or many))
    if not plain and (info.span is not None or wants_number):
        raise CannotLower(
            root,
            "it can hold numbers too many to list as well as other values",
            "use a number as default, or average numbers with fewer distinct values",
        )
    if wants_number:
        number = lowering.as_number(root)
        return Output(root, None, (), number, *snapping(lowering, root, number))
    view = lowering.view(root)
    return Output(root, view.form, tuple(_by_column(lowering, root, view)), None)


def _by_column(lowering: StockLowering, node: int, view: View) -> list[tuple[Any, list[int]]]:
    """(value, columns of the view's form that stand for it), for each distinct value."""
    values = lowering.values.info[node].values
    found: dict[Any, list[int]] = {}
    owner: dict[int, Any] = {}
    for base, at in enumerate(view.ids.tolist()):
        if at < 0:
            continue
        column = int(view.form.group[base])
        if column in owner and owner[column] != values[at]:
            raise Split({view.form.node})
        if column not in owner:
            owner[column] = values[at]
            found.setdefault(values[at], []).append(column)
    return list(found.items())
