"""Names that every craft model shares, stated once."""

from __future__ import annotations

from typing import Final

ONE: Final = "one"  # the direction that is 1 at every position; carries all biases
TOKENS: Final = "tokens"  # one direction per vocabulary entry
INDICES: Final = "indices"  # one direction per position
NONE_SUFFIX: Final = ":None"  # a node's `None` has its own direction, named after it
