"""Numbers too many to be listed: only linear functions and means can read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracr_lite.compiler.graph import Pointwise
from tracr_lite.compiler.values import selection
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.compiler.values.frames import CLASS_BUDGET, Frame, Keyed
from tracr_lite.compiler.values.pointwise import Table, identity
from tracr_lite.compiler.values.state import Info, Refused, Values


def unlisted(
    at: int, rest: list[Any], span: tuple[float, float], mean: bool, least: float = 0.0
) -> tuple[Info, Keyed]:
    empty = Table(Frame((at,), (0,), np.zeros(0, np.int64)), np.zeros(0, np.int64))
    return Info(rest, empty, span, mean, least), Keyed.anywhere(max(len(rest), 1))


def infer_unlisted(values: Values, at: int, node: Pointwise) -> None:
    """A pointwise node that reads numbers too many to list: only a linear one can be kept."""
    if node.linear is None:
        reads = ", ".join(
            values.labels[i] for i in node.inputs if values.info[i].span is not None
        )
        raise Refused(
            f"it must tell apart the values of {reads}, which are too many to list",
            "use LinearSequenceMap, or average numbers with fewer distinct values",
        )
    infer_linear(values, at, node)


def infer_linear(values: Values, at: int, node: Pointwise) -> None:
    """A linear node over more value pairs than can be listed as tuples."""
    assert node.linear is not None
    infos = [values.info[i] for i in node.inputs]
    for info in infos:
        if any(not is_number(v) for v in info.values):
            raise Refused(
                "it adds numbers too many to list to values that may be None or text",
                "give the Aggregate a number as default",
            )
    if all(info.span is None for info in infos):
        found = _linear_values(values, node)
        if found is not None:
            size = len(found)
            info = Info(found.tolist(), identity(at, size))
            values.set_leaf(at, info, Keyed.anywhere(size))
            return
    spans = [info.span or (float(min(info.values)), float(max(info.values))) for info in infos]
    terms = [sorted((f * s[0], f * s[1])) for f, s in zip(node.linear, spans, strict=True)]
    span = (terms[0][0] + terms[1][0], terms[0][1] + terms[1][1])
    least = 0.0
    if span[0] >= 0 or span[1] <= 0:  # a sum is at least as far from zero as either term
        sizes = [abs(f) * i.smallest for f, i in zip(node.linear, infos, strict=True)]
        least = min((x for x in sizes if x), default=0.0)
    values.set_leaf(at, *unlisted(at, [], span, mean=False, least=least))


def _linear_values(values: Values, node: Pointwise) -> np.ndarray | None:
    """Distinct results, from the classes of the inputs that occur at the same key."""
    assert node.linear is not None
    keyed = [values.keyed(i) for i in node.inputs]
    numbers = [np.array(values.info[i].values, np.float64) for i in node.inputs]
    _, (a_class, b_class) = selection.joint(keyed, values.keys)
    pairs = {(int(a), int(b)) for a, b in zip(a_class, b_class, strict=True)}
    cells = sum(int(keyed[0].member[a].sum()) * int(keyed[1].member[b].sum()) for a, b in pairs)
    if cells > CLASS_BUDGET:
        return None
    parts = [
        np.unique(
            node.linear[0] * numbers[0][keyed[0].member[a]][:, None]
            + node.linear[1] * numbers[1][keyed[1].member[b]][None, :]
        )
        for a, b in sorted(pairs)
    ]
    return np.unique(np.concatenate(parts))
