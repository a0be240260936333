"""How a node's value stands in the residual stream, and the blocks that put it there.

A *functional* is a linear combination of residual columns. A node is readable one-hot (a
functional per value, 1 where it holds) or as a number (one functional, and one per value that
is no number). Every functional is exactly zero at the BOS position: what a head leaves there is
a constant known when compiling, and is subtracted through the BOS column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tracr_lite.compiler.lowering.proved import (
    UNKNOWN,
    UNKNOWN_NUMBER,
    Errors,
    NumberErrors,
)
from tracr_lite.craft import vectorspace_fns
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis

EMBEDDED = -1  # half-layer number of what the embeddings write


@dataclass(frozen=True)
class OneHot:
    """One functional per group of equal values.

    **Arguments:**
    - `dirs`: a residual direction per group.
    - `group`: which direction stands for each value id.
    - `at_bos`: what each direction holds at the BOS position.
    - `errors`: bound on each column's distance to 0 or 1; `spread`: on the sum of them at once.
    - `slot`: number of the half-layer that writes it.
    - `proved`: bounds that those of a certificate never exceed.
    """

    node: int
    dirs: tuple[BasisDirection, ...]
    group: Int[np.ndarray, " ids"]
    at_bos: Float[np.ndarray, " dirs"]
    errors: Float[np.ndarray, " dirs"]
    spread: float
    slot: int
    proved: Errors = UNKNOWN

    @property
    def error(self) -> float:
        """The largest of the errors."""
        return float(self.errors.max(initial=0.0))

    @cached_property
    def key(self) -> tuple[object, ...]:
        """All but the names of its directions, and where it is."""
        group = self.group.dtype.char, self.group.tobytes()
        errors = self.errors.tobytes(), self.spread, self.proved.key
        return len(self.dirs), group, self.at_bos.tobytes(), errors


@dataclass(frozen=True)
class View:
    """A node read through the one-hot columns of `form`; `ids[base id]` is the node's id."""

    form: OneHot
    ids: Int[np.ndarray, " ids"]


@dataclass(frozen=True)
class Functional:
    """`coefs @ columns`, minus what it would be at BOS."""

    dirs: tuple[BasisDirection, ...]
    coefs: Float[np.ndarray, " dirs"]
    at_bos: Float[np.ndarray, " dirs"]

    @classmethod
    def of_column(cls, column: BasisDirection | None, at_bos: float = 0.0) -> Functional:
        """Reads one column, which holds `at_bos` at BOS; None reads nothing."""
        dirs = () if column is None else (column,)
        return cls(dirs, np.ones(len(dirs)), np.full(len(dirs), at_bos))

    @property
    def bos(self) -> float:
        """The value at BOS that has to be subtracted there."""
        return float(self.coefs @ self.at_bos)

    def scaled(self, factor: float) -> Functional:
        return Functional(self.dirs, self.coefs * factor, self.at_bos)

    def plus(self, other: Functional) -> Functional:
        return Functional(
            self.dirs + other.dirs,
            np.concatenate([self.coefs, other.coefs]),
            np.concatenate([self.at_bos, other.at_bos]),
        )


@dataclass(frozen=True)
class Number:
    """A functional that reads `codes[id]`, zero where the value is no number.

    **Arguments:**
    - `flags`: for each value id that is no number, a functional that is 1 where it holds.
    - `codes`: what is read for each id (the number itself, or 1/(1+w) of a raw width).
    - `raw`: whether codes are not the values themselves.
    - `absolute`, `relative`: the error of the reading is at most absolute + relative * |code|;
      `flag_error` is that of a flag.
    - `proved`: bounds that those of a certificate never exceed.
    """

    node: int
    read: Functional
    flags: dict[int, Functional]
    codes: Float[np.ndarray, " ids"]
    raw: bool
    absolute: float
    relative: float
    flag_error: float
    slot: int
    proved: NumberErrors = UNKNOWN_NUMBER

    @property
    def dirs(self) -> tuple[BasisDirection, ...]:
        """The columns that the number and its flags are read from."""
        return (*self.read.dirs, *(f.dirs[0] for f in self.flags.values()))

    def folded(self, values: list[Any]) -> Number:
        """The same, flagged numbers read as numbers: for uses that do not tell types apart."""
        flagged = {
            i: float(values[i]) for i in self.flags if isinstance(values[i], int | float)
        }
        if not flagged:
            return self
        read, codes = self.read, self.codes.copy()
        for i, value in flagged.items():
            read, codes[i] = read.plus(self.flags[i].scaled(value)), value
        error = self.flag_error * sum(abs(v) for v in flagged.values())
        flags = {i: f for i, f in self.flags.items() if i not in flagged}
        proved = self.proved.folded(list(flagged.values()))
        absolute = self.absolute + error
        return replace(
            self, read=read, flags=flags, codes=codes, absolute=absolute, proved=proved
        )


@dataclass(frozen=True)
class HeadBlock:
    """One attention head; `nodes` are those it computes, `selector` is what it implements."""

    slot: int
    nodes: tuple[int, ...]
    selector: int
    w_qk: vectorspace_fns.ScalarBilinear
    w_ov: vectorspace_fns.Linear
    gap: float


@dataclass(frozen=True)
class MLPBlock:
    """One MLP over named columns; bias is read from the constant direction minus BOS."""

    slot: int
    nodes: tuple[int, ...]
    fst: vectorspace_fns.Linear
    snd: vectorspace_fns.Linear

    @property
    def hidden(self) -> int:
        """Number of neurons."""
        return self.snd.input_space.num_dims


Block = HeadBlock | MLPBlock
Form = OneHot | Number
Snaps = tuple[tuple[Any, ...], float]  # numbers that an output may snap to, and from how far


@dataclass(frozen=True)
class Blocks:
    """The lowered program.

    **Arguments:**
    - `blocks`: in the order of their creation.
    - `columns`: residual directions that hold each node; `forms`: what each of them holds.
    - `output`: space that the unembedding reads; `categorical`: by argmax, else as a number.
    - `known`, `tolerance`: a numerical output this close to one of these numbers is that
      number.
    - `clean`: attention reads no one-hots that have an error.
    - `doubtful`: bounds are so tight that a certificate has to tell whether they hold.
    - `edition`: of `Values` as they were then; `notes`: what each block was written from, kept
      if it is doubtful.
    - `fewer`: instead of `known` and `tolerance`, numbers that errors keep well apart.
    """

    blocks: tuple[Block, ...]
    columns: dict[int, tuple[BasisDirection, ...]]
    labels: tuple[str, ...]
    output: VectorSpaceWithBasis
    categorical: bool
    known: tuple[Any, ...]
    tolerance: float
    forms: tuple[Form, ...] = ()
    clean: bool = False
    doubtful: bool = False
    fewer: Snaps | None = None
    edition: int = 0
    notes: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """One line per block: half-layer, kind, nodes, what it reads and writes, and sizes.

        The constant directions are not shown where something else is read.
        """
        owner = {d: self.labels[node] for node, dirs in self.columns.items() for d in dirs}

        def names(space: VectorSpaceWithBasis) -> str:
            found = dict.fromkeys(owner[d] for d in space.basis if d in owner)
            return ", ".join(found or map(str, space.basis))

        return "\n".join(self._line(block, names) for block in self.blocks)

    def _line(self, block: Block, names: Callable[[VectorSpaceWithBasis], str]) -> str:
        nodes = " and ".join(self.labels[node] for node in block.nodes)
        if isinstance(block, MLPBlock):
            reads, writes = block.fst.input_space, block.snd.output_space
            text = f"{names(reads)} -> {names(writes)}"
            size = f"{reads.num_dims} x {block.hidden} x {writes.num_dims}"
            return f"{block.slot:3} mlp  {nodes:24} {text}  ({size})"
        qk, reads, writes = block.w_qk, block.w_ov.input_space, block.w_ov.output_space
        text = f"{self.labels[block.selector]} of queries {names(qk.left_space)}"
        text += f" and keys {names(qk.right_space)}; {names(reads)} -> {names(writes)}"
        size = f"rank {qk.factors[0].shape[1]}, {reads.num_dims} x {writes.num_dims}"
        return f"{block.slot:3} head {nodes:24} {text}  ({size})"
