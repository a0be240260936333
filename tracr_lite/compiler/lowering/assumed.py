"""Forms that nothing writes, so that lowering can go on past a node that has a problem."""

from __future__ import annotations

import numpy as np

from tracr_lite.compiler.lowering.forms import EMBEDDED, Functional, Number, OneHot
from tracr_lite.compiler.lowering.state import State
from tracr_lite.compiler.values.domain import is_number
from tracr_lite.craft.bases import BasisDirection


def one_hot(state: State, node: int) -> OneHot:
    """A one-hot form that nothing writes, for a node whose problem is already noted."""
    values, group = state.groups(node)
    label = state.values.labels[node]
    dirs = tuple([BasisDirection(label, at) for at in range(len(values))])  # nobody sees them
    none = np.zeros(len(dirs))
    return OneHot(node, dirs, group, none, none, 0.0, EMBEDDED)


def number(state: State, node: int) -> Number:
    """As `one_hot`, for a number."""
    own = BasisDirection(state.values.labels[node])
    info = state.values.info[node]
    codes = np.array([float(v) if is_number(v) and abs(v) < 1e30 else 0.0 for v in info.values])
    flags = {
        i: Functional.of_column(state.direction(node, v))
        for i, v in enumerate(info.values)
        if not is_number(v)
    }
    state.columns.setdefault(node, []).append(own)
    return Number(
        node,
        Functional.of_column(own),
        flags,
        codes,
        False,
        absolute=0.0,
        relative=0.0,
        flag_error=0.0,
        slot=EMBEDDED,
    )
