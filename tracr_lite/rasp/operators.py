"""Python's operators, elementwise: each yields an S-Op, with a value or an S-Op at either side.

`&` and `|` are the `and` and `or` of Python, elementwise: `3 | sop` has the values `3 or x`.
"""

from __future__ import annotations

import abc
from typing import Generic, TypeVar

ResultT = TypeVar("ResultT")


class ElementwiseOperators(abc.ABC, Generic[ResultT]):
    """Maps every operator to one of two methods; the symbols are those of `functions.py`."""

    @abc.abstractmethod
    def _unary(self, symbol: str) -> ResultT:
        """The S-Op of `symbol x`."""

    @abc.abstractmethod
    def _binary(self, symbol: str, other: object, reflected: bool = False) -> ResultT:
        """The S-Op of `x symbol other`, or of `other symbol x` when `reflected`."""

    def __invert__(self) -> ResultT:
        return self._unary("not ")

    def __neg__(self) -> ResultT:
        return self._unary("-")

    def __pos__(self) -> ResultT:
        return self._unary("+")

    def __abs__(self) -> ResultT:
        return self._unary("abs")

    def __add__(self, other: object) -> ResultT:
        return self._binary("+", other)

    def __radd__(self, other: object) -> ResultT:
        return self._binary("+", other, reflected=True)

    def __sub__(self, other: object) -> ResultT:
        return self._binary("-", other)

    def __rsub__(self, other: object) -> ResultT:
        return self._binary("-", other, reflected=True)

    def __mul__(self, other: object) -> ResultT:
        return self._binary("*", other)

    def __rmul__(self, other: object) -> ResultT:
        return self._binary("*", other, reflected=True)

    def __truediv__(self, other: object) -> ResultT:
        return self._binary("/", other)

    def __rtruediv__(self, other: object) -> ResultT:
        return self._binary("/", other, reflected=True)

    def __floordiv__(self, other: object) -> ResultT:
        return self._binary("//", other)

    def __rfloordiv__(self, other: object) -> ResultT:
        return self._binary("//", other, reflected=True)

    def __mod__(self, other: object) -> ResultT:
        return self._binary("%", other)

    def __rmod__(self, other: object) -> ResultT:
        return self._binary("%", other, reflected=True)

    def __pow__(self, other: object) -> ResultT:
        return self._binary("**", other)

    def __rpow__(self, other: object) -> ResultT:
        return self._binary("**", other, reflected=True)

    def __and__(self, other: object) -> ResultT:
        return self._binary("and", other)

    def __rand__(self, other: object) -> ResultT:
        return self._binary("and", other, reflected=True)

    def __or__(self, other: object) -> ResultT:
        return self._binary("or", other)

    def __ror__(self, other: object) -> ResultT:
        return self._binary("or", other, reflected=True)

    def __eq__(self, other: object) -> ResultT:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._binary("==", other)

    def __ne__(self, other: object) -> ResultT:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._binary("!=", other)

    def __lt__(self, other: object) -> ResultT:
        return self._binary("<", other)

    def __le__(self, other: object) -> ResultT:
        return self._binary("<=", other)

    def __gt__(self, other: object) -> ResultT:
        return self._binary(">", other)

    def __ge__(self, other: object) -> ResultT:
        return self._binary(">=", other)

    __hash__ = object.__hash__  # `==` builds an S-Op, so identity is what a dict compares
