"""Names of the leaves of a tree, `transformer/layer_0/attn/query/w`, and patterns for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from tracr_lite.lora.errors import LoraError

T = TypeVar("T")


def key_name(key: Any) -> str:
    """One entry of a path, without decoration."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def path_name(path: Sequence[Any]) -> str:
    """A path as JAX gives it, as one string. Keys may contain `/` themselves, as Haiku's do."""
    return "/".join(key_name(key) for key in path)


class Patterns(Generic[T]):
    """Values by regular expression; the first that is found in a path counts.

    **Arguments:** `values`: regular expression -> value, in order; searched for anywhere in the
    name of the path, so `query/w$` means what ends in it.
    **Raises:** `LoraError` for a text that is no regular expression.
    """

    def __init__(self, values: Mapping[str, T]):
        self.values: dict[re.Pattern[str], T] = {}
        for pattern, value in values.items():
            try:
                self.values[re.compile(pattern)] = value
            except re.error as error:
                raise LoraError(f"{pattern!r} is no regular expression: {error}") from error
        self.used: set[str] = set()

    def find(self, name: str, fits: Callable[[T], bool] = lambda _: True) -> T | None:
        """The value for a path; None if no pattern is found in it whose value fits."""
        for pattern, value in self.values.items():
            if pattern.search(name) and fits(value):
                self.used.add(pattern.pattern)
                return value
        return None

    def check_all_used(self, names: Sequence[str]) -> None:
        """**Raises:** `LoraError` listing the patterns that chose none of the paths."""
        unused = [p.pattern for p in self.values if p.pattern not in self.used]
        if unused:
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise LoraError(
                f"{len(unused)} pattern(s) choose no parameter: {', '.join(map(repr, unused))}"
                f"; an earlier pattern may take all that they match. Parameters: {shown}"
            )
