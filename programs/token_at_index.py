"""The token at index 2, everywhere.

    a b c d   ->   c c c c

All positions look at the same place. If the input is too short there is nothing to see: None.

Teaches: A query that is the same everywhere.
Run:  tracr-lite run token_at_index a b c d
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "c", "d"], ["c"] * 4),
    (["a", "b"], [None] * 2),
]
INDEX = 2

there = rasp.Select(rasp.indices, rasp.indices, lambda k, q: k == INDEX)
PROGRAM = rasp.Aggregate(there, rasp.tokens).named("token_at_index")


def reference(xs: list[str]) -> list[str | None]:
    return [xs[INDEX] if len(xs) > INDEX else None] * len(xs)
