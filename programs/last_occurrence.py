"""The index at which "a" occurs last, everywhere; None without any "a".

    a b a c   ->   2 2 2 2

Mark the positions with an "a" in them or behind them: those are the ones up to the last "a", so
their number, less one, is its index. One head marks, a second one counts.

Teaches: A position found by counting those up to it.
Run:  tracr-lite run last_occurrence a b a c
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "a", "c"], [2] * 4),
    (["b", "c"], [None] * 2),
]

is_a = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "a")
from_here_on = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.GEQ)
not_past = (rasp.SelectorWidth(is_a & from_here_on) > 0).named("not_past")
PROGRAM = rasp.Map(lambda n: n - 1 if n else None, lib.make_count(not_past, True)).named(
    "last_occurrence"
)


def reference(xs: list[str]) -> list[int | None]:
    where = [i for i, x in enumerate(xs) if x == "a"]
    return [where[-1] if where else None] * len(xs)
