"""What has been written so far, and how columns are named and shared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from tracr_lite.compiler.graph import Node
from tracr_lite.compiler.lowering.forms import EMBEDDED, Block, Form, Number, OneHot
from tracr_lite.compiler.lowering.naming import clusters, direction_of
from tracr_lite.compiler.lowering.plan import Plan
from tracr_lite.compiler.lowering.problems import CannotLower
from tracr_lite.compiler.lowering.proved import EXACT
from tracr_lite.compiler.values.domain import NUMBERS, is_number, typed_key
from tracr_lite.compiler.values.infer import add_node
from tracr_lite.compiler.values.pointwise import Table
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import ONE

LARGEST, SMALLEST = 3e38, 1e-37  # magnitudes that float32 holds with full precision

Written = TypeVar("Written", bound=Form)


@dataclass
class State(Plan):
    """Forms written so far, and the blocks that write them.

    **Arguments:**
    - `split`: nodes whose values get a direction per type.
    - `clean`: attention never reads one-hots with an error, they are cleaned by an MLP first
      (deeper, but more exact).
    - `loose`: the output node, where numbers that differ by rounding only share a direction.
    - `doubtful`: whether it is not proved that a certificate holds.
    - `cleanable`: whether `clean` would have made a difference so far.
    - `assumed`: nodes known to have no block, taken as written so that further problems are
      found.
    - `begun`: nodes that were added for nodes that are not written yet; `waiting`: those to
      take instead of adding them again. `missed`: nodes of which it mattered that they were not
      one-hot yet; `replaced`: whether a number took the place of another. See `resuming`.
    """

    bos: BasisDirection
    split: set[int]
    clean: bool
    loose: int = -1
    assumed: frozenset[int] = frozenset()
    doubtful: bool = False
    cleanable: bool = False
    one: BasisDirection = field(default_factory=lambda: BasisDirection(ONE))
    blocks: list[Block] = field(default_factory=list[Block])
    one_hot: dict[int, OneHot] = field(default_factory=dict[int, OneHot])
    number: dict[int, Number] = field(default_factory=dict[int, Number])
    columns: dict[int, list[BasisDirection]] = field(
        default_factory=dict[int, list[BasisDirection]]
    )
    value_of: dict[BasisDirection, Any] = field(default_factory=dict[BasisDirection, Any])
    noted: bool = False
    notes: list[Any] = field(default_factory=list[Any])  # what each block was written from
    cleaned: dict[int, OneHot] = field(default_factory=dict[int, OneHot])
    coded: dict[tuple[int, frozenset[type]], tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict[tuple[int, frozenset[type]], tuple[np.ndarray, np.ndarray]]
    )
    written: list[Form] = field(default_factory=list[Form])
    begun: list[int] = field(default_factory=list[int])
    waiting: list[int] = field(default_factory=list[int])
    missed: set[int] = field(default_factory=set[int])
    replaced: bool = False

    def wrote(self, form: Written) -> Written:
        """Records a form that has columns of its own."""
        if isinstance(form, OneHot):
            self.doubtful |= not form.proved.bearable
        else:
            fine = form.proved.known and form.proved.most < 1e29 and form.proved.flag < 0.49
            self.doubtful |= not fine
        self.written.append(form)
        return form

    def add(self, node: Node, label: str) -> int:
        """A node that the program does not have, with its values."""
        if self.waiting:
            return self.waiting.pop(0)
        at = add_node(self.values, node, label)
        self.begun.append(at)
        return at

    def table(self, node: int, leaves: tuple[int, ...]) -> Table:
        """The node on the value tuples of `leaves`. **Raises:** `CannotLower`."""
        listed = all(self.values.info[leaf].span is None for leaf in leaves)
        table = self.values.table_on(node, leaves) if listed else None
        if table is None:
            raise CannotLower(
                node,
                "it depends on more value combinations than can be listed",
                "split it into functions of fewer values",
            )
        return table

    def constant(self, node: int) -> OneHot:
        """A node that depends on nothing, read from the constant direction."""
        none, own = np.zeros(1), np.zeros(1, np.int64)
        return OneHot(node, (self.one,), own, np.ones(1), none, 0.0, EMBEDDED, EXACT)

    def embedding(self, node: int, name: str) -> OneHot:
        """The tokens or the indices, as the embeddings write them."""
        values = self.values.info[node].values
        dirs = tuple(BasisDirection(name, v) for v in values)
        self.columns[node] = list(dirs)
        none = np.zeros(len(dirs))
        form = OneHot(node, dirs, np.arange(len(dirs)), none, none, 0.0, EMBEDDED, EXACT)
        return self.wrote(form)

    def direction(self, node: int, value: Any) -> BasisDirection:
        """The residual direction of one value of a node, recorded as such."""
        return self.directions(node, [value])[0]

    def directions(self, node: int, values: list[Any]) -> tuple[BasisDirection, ...]:
        """As `direction`, of several values."""
        label, known, dirs = self.values.labels[node], self.value_of, list[BasisDirection]()
        for value in values:
            found = direction_of(label, value)
            if found in known:  # an equal value of another type
                found = direction_of(f"{label}<{type(value).__name__}>", value)
            known[found] = value
            dirs.append(found)
        self.columns.setdefault(node, []).extend(dirs)
        return tuple(dirs)

    def groups(self, node: int) -> tuple[list[Any], np.ndarray]:
        """Values that get a direction each, and which of them is whose.

        Types are told apart if the node is split.
        """
        values = self.values.info[node].values
        if node in self.split:
            return list(values), np.arange(len(values))
        if node == self.loose and (instead := clusters(values)):
            values = [instead.get(typed_key(v), v) for v in values]
        first: dict[Any, int] = {}
        group = [first.setdefault(v, len(first)) for v in values]
        return list(first), np.array(group, np.int64)

    def counts(self, node: int, value: Any) -> bool:
        """Whether a value stands as a number; where types are told apart, only floats do."""
        return is_number(value) and (node not in self.split or isinstance(value, float))

    def reach(self, node: int) -> float:
        """Largest magnitude of the node's numbers."""
        codes, _ = self.codes(node)
        span = self.values.info[node].span or ()
        return max([float(np.abs(codes).max(initial=0.0)), *(abs(x) for x in span)])

    def codes(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """The node's numbers in float32, 0 for other values; and which are numbers."""
        return self._codes(node, NUMBERS)

    def counted(self, node: int) -> tuple[np.ndarray, np.ndarray]:
        """As `codes`, of the values that stand as numbers; see `counts`."""
        return self._codes(node, frozenset({float}) if node in self.split else NUMBERS)

    def _codes(self, node: int, kinds: frozenset[type]) -> tuple[np.ndarray, np.ndarray]:
        """The values of some types as numbers, 0 for others; and which these are."""
        if (node, kinds) not in self.coded:
            self.coded[node, kinds] = self._coded(node, kinds)
        return self.coded[node, kinds]

    def _coded(self, node: int, kinds: frozenset[type]) -> tuple[np.ndarray, np.ndarray]:
        values = self.values.info[node].values
        numbers = [type(v) in kinds for v in values]
        found = values
        if not all(numbers):
            found = [v if number else 0.0 for v, number in zip(values, numbers, strict=True)]
        try:
            codes = np.array(found, float)
            size = np.abs(codes)
            fits = not ((size > LARGEST) | ((size < SMALLEST) & (size != 0.0))).any()
        except OverflowError:
            fits, codes = False, np.zeros(0)
        if not fits:
            codes = np.array([self.as_float(node, v) for v in found])  # names the number
        return codes, np.array(numbers, bool)

    def as_float(self, node: int, value: Any) -> float:
        """A number as float32 can hold it."""
        try:
            found = float(value)
        except OverflowError:
            found = float("inf")
        if abs(found) > LARGEST or (found != 0.0 and abs(found) < SMALLEST):
            raise CannotLower(
                node,
                f"the number {value!r} is outside the range of float32",
                "scale it, or keep it categorical",
            )
        return found
