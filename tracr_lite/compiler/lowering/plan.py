"""Which nodes are numbers, and through which nodes an MLP reads a pointwise node."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracr_lite.compiler.graph import Aggregate, Pointwise, Source, Width
from tracr_lite.compiler.values.domain import NUMBERS, PLAIN, kinds_of
from tracr_lite.compiler.values.state import Values

TUPLE_LIMIT = 20_000  # value tuples of one MLP before its inputs are written separately
ONE_HOT_LIMIT = 1024  # numbers that are copied one-hot; more are copied as a number


@dataclass
class Plan:
    """Decisions that depend on the inferred values only."""

    values: Values
    _leaves: dict[int, tuple[int, ...]] = field(
        init=False, default_factory=dict[int, tuple[int, ...]]
    )

    def is_numeric(self, node: int) -> bool:
        """Whether the raw result of a node is a number rather than one-hot columns."""
        values, kind = self.values, self.values.nodes[node]
        match kind:
            case Width():
                return True
            case Source(kind=name):
                return name == "length"
            case Aggregate():
                return self._numeric_aggregate(node, kind)
            case Pointwise():
                return values.info[node].table.leaves == (node,) or self.is_linear(node)
            case _:
                return False

    def _numeric_aggregate(self, node: int, kind: Aggregate) -> bool:
        info = self.values.info[node]
        if info.mean or info.span is not None:
            return True
        plain = kinds_of(info.values) <= PLAIN
        if self.values.numerical(node) and plain:
            return True
        if len(info.values) > ONE_HOT_LIMIT and plain:
            return True
        leaves = self.leaves(kind.value)
        return plain and leaves == (kind.value,) and self.is_numeric(kind.value)

    def is_linear(self, node: int) -> bool:
        """A LinearSequenceMap of what is in the stream as numbers: it is read, not computed."""
        kind = self.values.nodes[node]
        if not isinstance(kind, Pointwise) or kind.linear is None:
            return False
        infos = [self.values.info[i] for i in kind.inputs]
        if any(kinds_of(info.values) - NUMBERS for info in infos):
            return False
        if self.values.info[node].table.leaves == (node,):
            return True
        return any(
            self.is_numeric(i) and not isinstance(self.values.nodes[i], Width | Source)
            for i in kind.inputs
        ) and all(self._reads_as_number(i) for i in kind.inputs)

    def _reads_as_number(self, node: int) -> bool:
        kind = self.values.nodes[node]
        if isinstance(kind, Width) or (isinstance(kind, Source) and kind.kind == "length"):
            return False
        if self.is_numeric(node):
            return True
        leaves = self.leaves(node)
        return len(leaves) <= 1 and not any(self.is_numeric(x) for x in leaves)

    def leaves(self, node: int) -> tuple[int, ...]:
        """The nodes through which an MLP reads `node`: at most one of them is numeric."""
        if node not in self._leaves:
            self._leaves[node] = self._leaves_of(node)
        return self._leaves[node]

    def forget(self, size: int) -> None:
        """What is known of nodes from number `size` on, which are there no more."""
        self._leaves = {k: v for k, v in self._leaves.items() if k < size}

    def _leaves_of(self, node: int) -> tuple[int, ...]:
        kind = self.values.nodes[node]
        own = self.values.info[node].table.leaves
        if not isinstance(kind, Pointwise) or own == (node,) or self.is_linear(node):
            return (node,)
        if self._fits(own) and not any(self._is_computed(x) for x in own):
            return own
        joined = tuple(sorted({x for i in kind.inputs for x in self.leaves(i)}))
        if self._fits(joined) and self.values.table_on(node, joined) is not None:
            return joined
        return self._cut(kind)

    def _cut(self, kind: Pointwise) -> tuple[int, ...]:
        """Leaves that are written first: the largest parts that read at most one number."""
        deep: set[int] = set()
        flat: set[int] = set()
        for i in kind.inputs:
            below = self.leaves(i)
            one_hot = self.number_leaf(below) is None
            flat.update(below if one_hot and len(below) <= 1 else (i,))
            deep.update(below if one_hot else (i,))
        for leaves in (deep, flat):
            ordered = tuple(sorted(leaves))
            frame = self.values.frame(ordered)
            if frame is not None and len(frame.codes) <= TUPLE_LIMIT:
                return ordered
        return tuple(sorted(flat))

    def _is_computed(self, node: int) -> bool:
        """Whether an MLP has to write the node before another can read it."""
        kind = self.values.nodes[node]
        own = self.values.info[node].table.leaves
        return isinstance(kind, Pointwise) and own != (node,) and not self.is_linear(node)

    def number_leaf(self, leaves: tuple[int, ...]) -> int | None:
        """The leaf that an MLP reads as a number; several numbers are all read one-hot."""
        numeric = [x for x in leaves if self.is_numeric(x)]
        return numeric[0] if len(numeric) == 1 else None

    def _fits(self, leaves: tuple[int, ...]) -> bool:
        if sum(self.is_numeric(x) for x in leaves) > 1:
            return False
        frame = self.values.frame(leaves)
        return frame is not None and len(frame.codes) <= TUPLE_LIMIT
