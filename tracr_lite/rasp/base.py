"""What all expressions share: identity, annotations, copies, order, and a bounded repr.

Expressions are immutable and compare by identity. Every object, a copy too, has its own
`unique_id`, hence its own label, so no two different expressions are ever mistaken for one.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from tracr_lite.rasp.functions import function_name
from tracr_lite.rasp.values import Encoding, SelectorValue, Value

_IDS = itertools.count(1)
_MAX_DEPTH = 4  # of a repr
_MAX_NODES = 12
_MAX_CHARS = 60  # of one constant or function

RASPExprT = TypeVar("RASPExprT", bound="RASPExpr")


class Annotations(Mapping[str, Any]):
    """What is known about an expression: what was set, else what the default annotators say.

    Iterating yields only what was set. Looking up an unknown key raises `KeyError`.
    """

    def __init__(self, expr: RASPExpr, explicit: Mapping[str, Any]):
        self._expr = expr
        self._explicit = dict(explicit)

    def __getitem__(self, key: str) -> Any:
        if key in self._explicit:
            return self._explicit[key]
        if key in DEFAULT_ANNOTATORS:
            return DEFAULT_ANNOTATORS[key](self._expr)
        known = sorted({*self._explicit, *DEFAULT_ANNOTATORS})
        raise KeyError(f"no annotation {key!r} on {self._expr!r}; there are {known}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._explicit)

    def __len__(self) -> int:
        return len(self._explicit)

    def __repr__(self) -> str:
        return f"Annotations({self._explicit!r})"


class RASPExpr:
    """A RASP expression: an S-Op (a sequence) or a selector (a matrix of bools).

    Call it with a sequence to evaluate it: `program("abc")`.
    Source: Weiss et al. 2021, arXiv:2106.06981.
    """

    _default_name: ClassVar[str] = "expr"
    _default_encoding: ClassVar[Encoding | None] = None
    _unique_id: int
    _explicit: Mapping[str, Any]

    def __new__(cls: type[RASPExprT], *args: Any, **kwargs: Any) -> RASPExprT:
        expr = object.__new__(cls)
        object.__setattr__(expr, "_unique_id", next(_IDS))
        object.__setattr__(expr, "_explicit", {})
        return expr

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles carry: all but the id, of which each object has its own."""
        return {key: value for key, value in vars(self).items() if key != "_unique_id"}

    def __call__(self, xs: Sequence[Value]) -> Sequence[Value] | SelectorValue:
        """Evaluates this expression on the tokens `xs`, with full (not causal) attention."""
        from tracr_lite.rasp.evaluate import evaluate  # evaluate knows all node classes

        return evaluate(self, xs)

    @property
    def children(self) -> Sequence[RASPExpr]:
        """The expressions which this one reads directly."""
        raise NotImplementedError(f"{type(self).__name__} does not define its children")

    @property
    def annotations(self) -> Annotations:
        """Mapping of annotations, among them "name" and "encoding"; read only."""
        return Annotations(self, self._explicit)

    @property
    def name(self) -> str:
        """What `named` set, else a default such as "map"; need not be unique."""
        return self.annotations["name"]

    @property
    def unique_id(self) -> int:
        """A number that no other expression of this process has."""
        return self._unique_id

    @property
    def label(self) -> str:
        """The name and the id, such as "map_3"; unique in this process."""
        return f"{self.name}_{self.unique_id}"

    def copy(self: RASPExprT) -> RASPExprT:
        """The same expression as a new object with an id of its own; children are shared."""
        return copy.copy(self)

    def named(self: RASPExprT, name: str) -> RASPExprT:
        """A copy with this name."""
        return annotate(self, name=name)

    def annotated(self: RASPExprT, **annotations: Any) -> RASPExprT:
        """A copy with these annotations; those given earlier are kept unless given again."""
        return annotate(self, **annotations)

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} is a RASP expression and has no truth value of its own; "
            "use & | ~ instead of and, or, not, and `is` to compare objects"
        )

    def _repr_html_(self) -> str:
        """For notebooks: its value on a sample input, see `tracr_lite.rasp.html`."""
        from tracr_lite.rasp.html import html_of  # html knows all node classes

        return html_of(self)

    def __repr__(self) -> str:
        name = self._explicit.get("name")
        return _describe(self, _MAX_DEPTH, [_MAX_NODES], "" if name is None else f"{name} = ")


@runtime_checkable
class Annotator(Protocol):
    """Computes the default of one annotation."""

    def __call__(self, expr: RASPExpr) -> Any: ...


def default_name(expr: RASPExpr) -> str:
    """The name of an expression without one, by its class: "map", "select", ..."""
    return expr._default_name  # pyright: ignore[reportPrivateUsage]


def default_encoding(expr: RASPExpr) -> Encoding | None:
    """CATEGORICAL for S-Ops, None for selectors."""
    return expr._default_encoding  # pyright: ignore[reportPrivateUsage]


DEFAULT_ANNOTATORS: dict[str, Annotator] = {
    "name": default_name,
    "encoding": default_encoding,
}


def annotate(expr: RASPExprT, **annotations: Any) -> RASPExprT:
    """A copy of `expr` with `annotations` added to its own; the copy has a new id and label."""
    require("expr", expr, RASPExpr, "annotate")
    if not isinstance(annotations.get("name", ""), str):
        raise TypeError(f"a name must be a string; got {annotations['name']!r}")
    new = expr.copy()
    object.__setattr__(new, "_explicit", {**expr.annotations, **annotations})
    return new


def require(what: str, value: object, kind: type, where: str) -> None:
    """Raises `TypeError` unless `value` is a `kind`; `what` is the argument's name."""
    if not isinstance(value, kind):
        raise TypeError(
            f"{where}: {what} must be of type {kind.__name__}; "
            f"got {type(value).__name__} {_short(repr(value))}"
        )


def require_function(what: str, value: object, where: str) -> None:
    """Raises `TypeError` unless `value` is a function (expressions are not)."""
    if not callable(value) or isinstance(value, RASPExpr):
        raise TypeError(f"{where}: {what} must be a function; got {_short(repr(value))}")


def topological(expr: RASPExpr, done: Container[int] = ()) -> list[RASPExpr]:
    """All expressions below `expr`, inputs first, `expr` last; each once, without recursion.

    **Arguments:** `done`: ids of expressions to leave out, with what only they need.
    """
    order: list[RASPExpr] = []
    seen: set[int] = {expr.unique_id}
    stack = [(expr, iter(expr.children))]
    while stack:
        _, children = stack[-1]
        child = next(children, None)
        if child is None:
            order.append(stack.pop()[0])
        elif child.unique_id not in seen and child.unique_id not in done:
            seen.add(child.unique_id)
            stack.append((child, iter(child.children)))
    return order


def _describe(expr: RASPExpr, depth: int, budget: list[int], head: str = "") -> str:
    """Text of `expr` as its constructor call; `budget[0]` counts down the nodes shown."""
    budget[0] -= 1
    arguments = ", ".join(_arguments(expr, depth, budget))
    shown = dataclasses.is_dataclass(expr)  # tokens and its like have no arguments
    text = f"{type(expr).__name__}({arguments})" if shown else default_name(expr)
    if expr.annotations["encoding"] is Encoding.NUMERICAL:
        text = f"numerical({text})"
    return head + text


def _arguments(expr: RASPExpr, depth: int, budget: list[int]) -> Iterator[str]:
    if not dataclasses.is_dataclass(expr):
        return
    for field in (field for field in dataclasses.fields(expr) if field.repr):
        value = getattr(expr, field.name)
        if isinstance(value, RASPExpr):
            yield _nested(value, depth - 1, budget)
        elif callable(value):
            yield _short(function_name(value))
        elif field.default is dataclasses.MISSING:
            yield _short(repr(value))
        elif value != field.default:
            yield f"{field.name}={_short(repr(value))}"


def _nested(expr: RASPExpr, depth: int, budget: list[int]) -> str:
    if "name" in set(expr.annotations):
        return expr.name
    return "..." if depth <= 0 or budget[0] <= 0 else _describe(expr, depth, budget)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 3]}..."
