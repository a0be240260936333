"""S-Ops computed at each position on its own: inputs, constants, maps (an MLP's work).

None passes through: where an input of Map or SequenceMap is None, the function is not called
and the output is None.
Sources: Weiss et al. 2021, arXiv:2106.06981; Lindner et al. 2023, arXiv:2301.05062.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

from tracr_lite.rasp.base import RASPExpr, annotate, require, require_function
from tracr_lite.rasp.functions import BinaryOp, ConstantOp, LinearCombination, UnaryOp, compose
from tracr_lite.rasp.operators import ElementwiseOperators
from tracr_lite.rasp.values import Encoding, Value


class SOp(ElementwiseOperators["SOp"], RASPExpr):
    """A sequence operator: called with n tokens, it yields n values.

    Operators work elementwise, on values and other S-Ops at either side: `1 - sop`, `a < b`,
    `a & b`, `~a`. So `a == b` is an S-Op too; use `a is b` to compare the objects.
    """

    _default_name: ClassVar[str] = "sop"
    _default_encoding: ClassVar[Encoding | None] = Encoding.CATEGORICAL
    __hash__ = object.__hash__

    def __call__(self, xs: Sequence[Value]) -> Sequence[Value]:
        """The values on the tokens `xs`, with full (not causal) attention."""
        return cast(Sequence[Value], super().__call__(xs))

    def _unary(self, symbol: str) -> SOp:
        return Map(UnaryOp(symbol), self)

    def _binary(self, symbol: str, other: object, reflected: bool = False) -> SOp:
        if not isinstance(other, RASPExpr):
            return Map(ConstantOp(symbol, other, reflected), self)
        require("the other side", other, SOp, f"operator {symbol!r}")
        fst, snd = (other, self) if reflected else (self, other)
        return SequenceMap(BinaryOp(symbol), cast(SOp, fst), cast(SOp, snd))


SOpT = TypeVar("SOpT", bound=SOp)


class _Input(SOp):
    """An S-Op without children, labelled by its bare name unless it was annotated."""

    @property
    def children(self) -> Sequence[RASPExpr]:
        return []

    @property
    def label(self) -> str:
        return super().label if self._explicit else self._default_name


class TokensType(_Input):
    """The input sequence itself; use the instance `tokens`."""

    _default_name: ClassVar[str] = "tokens"


class IndicesType(_Input):
    """The positions 0, 1, ..., n - 1; use the instance `indices`."""

    _default_name: ClassVar[str] = "indices"


class LengthType(_Input):
    """The number of tokens n, at each position; use the instance `length`."""

    _default_name: ClassVar[str] = "length"


tokens = TokensType()
indices = IndicesType()
length = LengthType()


@dataclass(frozen=True, eq=False, repr=False)
class Full(SOp):
    """The value `fill` at each position."""

    fill: Value
    _default_name: ClassVar[str] = "full"

    @property
    def children(self) -> Sequence[RASPExpr]:
        return []


@dataclass(frozen=True, eq=False, repr=False)
class ConstantSOp(SOp):
    """A sequence written out.

    **Arguments:**
    - `value`: one value per position; kept as a tuple.
    - `check_length`: whether evaluating demands as many tokens as there are values; otherwise
      the sequence is cut to the number of tokens, which must not be larger.
    """

    value: Sequence[Value]
    check_length: bool = True
    _default_name: ClassVar[str] = "constant_sop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", tuple(self.value))

    @property
    def children(self) -> Sequence[RASPExpr]:
        return []


@dataclass(frozen=True, eq=False, repr=False)
class Map(SOp):
    """`f(x)` at each position.

    **Arguments:**
    - `f`: a function of one value; never called with None.
    - `inner`: the S-Op it is applied to.
    - `simplify`: if so and `inner` is a Map too, the two become one Map of the composed
      function: attribute `f` is then the composition, and `inner` the innermost S-Op.

    **Raises:** `TypeError` for arguments of another kind.
    """

    f: Callable[[Any], Any]
    inner: SOp
    simplify: bool = True
    _default_name: ClassVar[str] = "map"

    def __post_init__(self) -> None:
        require_function("f", self.f, "Map")
        require("inner", self.inner, SOp, "Map")
        if self.simplify and isinstance(self.inner, Map):
            object.__setattr__(self, "f", compose(self.f, self.inner.f))
            object.__setattr__(self, "inner", self.inner.inner)

    @property
    def children(self) -> Sequence[RASPExpr]:
        return [self.inner]


@dataclass(frozen=True, eq=False, repr=False)
class SequenceMap(SOp):
    """`f(x, y)` at each position.

    **Arguments:** `f`: a function of two values, never called with None; `fst`, `snd`: S-Ops.
    **Raises:** `TypeError` for arguments of another kind.
    """

    f: Callable[[Any, Any], Any]
    fst: SOp
    snd: SOp
    _default_name: ClassVar[str] = "sequence_map"

    def __post_init__(self) -> None:
        require_function("f", self.f, type(self).__name__)
        require("fst", self.fst, SOp, type(self).__name__)
        require("snd", self.snd, SOp, type(self).__name__)

    @property
    def children(self) -> Sequence[RASPExpr]:
        return [self.fst, self.snd]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class LinearSequenceMap(SequenceMap):
    """`fst_fac * x + snd_fac * y` at each position.

    **Arguments:** `fst`, `snd`: S-Ops of numbers; `fst_fac`, `snd_fac`: their factors.
    **Raises:** `TypeError` for arguments of another kind.
    """

    f: Callable[[Any, Any], Any] = field(init=False, repr=False)
    fst_fac: int | float
    snd_fac: int | float
    _default_name: ClassVar[str] = "linear_sequence_map"

    def __init__(self, fst: SOp, snd: SOp, fst_fac: int | float, snd_fac: int | float):
        object.__setattr__(self, "fst_fac", fst_fac)
        object.__setattr__(self, "snd_fac", snd_fac)
        super().__init__(LinearCombination(fst_fac, snd_fac), fst, snd)


def sop_not(sop: SOp) -> SOp:
    """The truth value of each element, negated: `not x`."""
    require("sop", sop, SOp, "sop_not")
    return ~sop


def numerical(sop: SOpT) -> SOpT:
    """A copy of `sop` that a compiled model holds as one number."""
    return annotate(sop, encoding=Encoding.NUMERICAL)


def categorical(sop: SOpT) -> SOpT:
    """A copy of `sop` that a compiled model holds as one direction per value."""
    return annotate(sop, encoding=Encoding.CATEGORICAL)


def get_encoding(sop: SOp) -> Encoding:
    """How a compiled model holds `sop`; CATEGORICAL unless set."""
    return sop.annotations["encoding"]


def is_numerical(sop: SOp) -> bool:
    """Whether a compiled model holds `sop` as one number."""
    return get_encoding(sop) is Encoding.NUMERICAL


def is_categorical(sop: SOp) -> bool:
    """Whether a compiled model holds `sop` as one direction per value."""
    return get_encoding(sop) is Encoding.CATEGORICAL
