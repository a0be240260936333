"""What was computed from the same numbers before, in this program or in another one.

Small tables and scores come again and again in a stream of programs. What is kept here is the
result of a function of numbers alone, under a key that holds all of them: equal keys are equal
arguments, bit by bit, so a result that is found is the one that would be computed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Memory(Generic[Result]):
    """The latest results; at most `most` of them.

    There are two generations. Once the young one is half of that, it becomes the old one, and
    what was in the old one and not asked for since is forgotten. Threads that meet here compute
    something twice at worst.
    """

    def __init__(self, most: int):
        self._half = most // 2
        self._young: dict[Hashable, Result] = {}
        self._old: dict[Hashable, Result] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def forget(self) -> None:
        """Everything; for tests that change how things are computed."""
        self._young, self._old = {}, {}

    def of(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """What is kept under the key, or else what `compute` returns; errors are not kept."""
        found = self._young.get(key)
        if found is not None:
            return found
        found = self._old.get(key)
        if found is None:
            found = compute()
        if len(self._young) >= self._half:
            self._young, self._old = {}, self._young
        self._young[key] = found
        return found
