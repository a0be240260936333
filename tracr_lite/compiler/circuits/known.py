"""Which of the values that the compiler inferred for a node a value is."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

from tracr_lite.compiler.circuits.node_values import UNKNOWN
from tracr_lite.compiler.values.domain import is_number, typed_key
from tracr_lite.compiler.values.state import Info

CLOSE = 1e-9  # relative; sums of floats may be listed with other last bits


class Known:
    """The values of one node, `info.values`, by value."""

    def __init__(self, info: Info):
        self.info = info
        self._typed: dict[Hashable, int] = {}
        self._equal: dict[Hashable, int] = {}
        for at, value in enumerate(info.values):
            self._typed.setdefault(typed_key(value), at)
            self._equal.setdefault(value, at)

    def id_of(self, value: Any) -> int | None:
        """The number of a value: of its type if possible, else of an equal or a close one."""
        if value is UNKNOWN:
            return None
        try:
            at = self._typed.get(typed_key(value), self._equal.get(value))
        except TypeError:  # it cannot be hashed, so it is none of them
            return None
        if at is not None or not is_number(value):
            return at
        return next((i for i, v in enumerate(self.info.values) if _close(v, value)), None)


def _close(known: Any, value: Any) -> bool:
    try:
        return is_number(known) and math.isclose(known, value, rel_tol=CLOSE)
    except OverflowError:  # an int that no float can hold
        return False
