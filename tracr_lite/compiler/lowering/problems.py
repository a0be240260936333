"""Why a lowering stops: types must be told apart, or a node has no exact block."""

from __future__ import annotations


class Split(Exception):
    """Equal values of different types are told apart, so they need directions of their own."""

    def __init__(self, nodes: set[int]):
        super().__init__(nodes)
        self.nodes = nodes


class CannotLower(Exception):
    """A node has no exact block; says why and what to write instead.

    `hopeless`: cleaner inputs would not help.
    """

    def __init__(self, node: int, reason: str, suggestion: str, *, hopeless: bool = False):
        super().__init__(reason)
        self.node, self.reason, self.suggestion = node, reason, suggestion
        self.hopeless = hopeless
        self.writing = node  # the node that was being written, if another one is to blame
