"""What had been written when lowering first came to a read that `clean` changes.

Up to there, lowering clean is the same: if it fails otherwise, it goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tracr_lite.compiler.lowering.forms import Number, OneHot
from tracr_lite.compiler.lowering.state import State
from tracr_lite.craft.bases import BasisDirection


@dataclass(frozen=True)
class Mark:
    """A state of lowering.

    **Arguments:** `nodes`: how many there were; `begun`: those that were added for nodes that
    are not written yet, and will be asked for again; `written`: how many forms and blocks.
    """

    nodes: int
    begun: tuple[int, ...]
    one_hot: dict[int, OneHot]
    number: dict[int, Number]
    columns: dict[int, list[BasisDirection]]
    value_of: dict[BasisDirection, Any]
    written: tuple[int, int]
    doubtful: bool


def marked(state: State) -> Mark | None:
    """The state as it is; None if what follows would not come to it again.

    Nodes that are being written will be asked for again, and decide the same only if they find
    the same: no one-hot that was missing when they looked, no number in place of another.
    """
    if state.replaced or not state.missed.isdisjoint(state.one_hot):
        return None
    return Mark(
        len(state.values.nodes),
        tuple(state.begun),
        dict(state.one_hot),
        dict(state.number),
        {node: list(dirs) for node, dirs in state.columns.items()},
        dict(state.value_of),
        (len(state.written), len(state.blocks)),
        state.doubtful,
    )


def resume(state: State, mark: Mark) -> None:
    """Back to the mark, to lower the rest clean."""
    size, (written, blocks) = mark.nodes, mark.written
    state.values.forget(size)
    del state.written[written:], state.blocks[blocks:], state.notes[blocks:]
    state.one_hot, state.number = mark.one_hot, mark.number
    state.columns, state.value_of = mark.columns, mark.value_of
    state.doubtful, state.cleanable, state.clean = mark.doubtful, False, True
    state.waiting, state.begun = list(mark.begun), []
    state.forget(size)
    state.coded = {k: v for k, v in state.coded.items() if k[0] < size}
