"""The functions in programs that answer behind a separator.

They are frozen dataclasses: equal ones compare equal, so that the compiler merges their nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tracr_lite.rasp.rasp import Value


@dataclass(frozen=True)
class Is:
    """Selects the keys that are a token, whatever the query is."""

    token: Value

    def __call__(self, key: Any, query: Any) -> bool:
        return key == self.token


@dataclass(frozen=True)
class KeyIsTrue:
    """Selects the keys that are true."""

    def __call__(self, key: Any, query: Any) -> bool:
        return bool(key)


@dataclass(frozen=True)
class KeyIsAtMost:
    """Selects the keys up to a number."""

    most: int

    def __call__(self, key: Any, query: Any) -> bool:
        return key <= self.most


@dataclass(frozen=True)
class Within:
    """A number, moved into the bounds."""

    least: int
    greatest: int

    def __call__(self, x: int) -> int:
        return min(max(x, self.least), self.greatest)


@dataclass(frozen=True)
class Known:
    """A token of the prompt as it is, any other as the first of those."""

    vocab: tuple[Value, ...]

    def __call__(self, token: Value) -> Value:
        return token if token in self.vocab else self.vocab[0]


@dataclass(frozen=True)
class Again:
    """The token that a value equals: a head gives the mean of one 1 as 1.0."""

    vocab: tuple[Value, ...]

    def __call__(self, x: Value) -> Value:
        return next(token for token in self.vocab if token == x)


@dataclass(frozen=True)
class ZeroIf:
    """A number, or 0 if the second value is true."""

    def __call__(self, x: int, zero: bool) -> int:
        return 0 if zero else x


@dataclass(frozen=True)
class EndIf:
    """A value, or `end` if the second value is true."""

    end: Value

    def __call__(self, x: Value, ends: bool) -> Value:
        return self.end if ends else x


@dataclass(frozen=True)
class KeyIsSomething:
    """Selects the keys that are not None."""

    def __call__(self, key: Any, query: Any) -> bool:
        return key is not None
