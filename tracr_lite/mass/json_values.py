"""RASP values in JSON, which has no tuples: `(0, "a")` is `{"tuple": [0, "a"]}`."""

from __future__ import annotations

from typing import Any, cast


def to_json(value: Any) -> Any:
    """A RASP value as JSON has it."""
    if isinstance(value, tuple):
        return {"tuple": [to_json(item) for item in cast("tuple[Any, ...]", value)]}
    return value


def from_json(value: Any) -> Any:
    """What `to_json` was given."""
    if isinstance(value, dict):
        items: list[Any] = cast("dict[str, Any]", value)["tuple"]
        return tuple(from_json(item) for item in items)
    return value
