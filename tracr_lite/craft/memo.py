"""What was computed for one program and is kept for the next; never much."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


class Memo(Generic[Kept]):
    """Results by what they were computed from; all are dropped when they are too many.

    Keys must say all that a result depends on. Results are shared, so nobody may change them.

    **Arguments:** `limit`: most results that are kept.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._known: dict[Hashable, Kept] = {}
        self.get = self._known.get  # None if it is not known

    def keep(self, key: Hashable, result: Kept) -> Kept:
        """Notes a result, and returns it."""
        if len(self._known) >= self._limit:
            self._known.clear()
        self._known[key] = result
        return result

    def forget(self) -> None:
        """Everything, so that a program takes as long as a new one."""
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)
