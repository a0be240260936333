"""The index at which "a" occurs last, everywhere; None without any "a".

    a b a c   ->   2 2 2 2

The last one is the "a" that has no other "a" behind it. A head counts those behind, and a
second head finds the "a" for which there are none.

Run:  tracr-lite run last_occurrence a b a c
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "a", "c"], [2] * 4),
    (["b", "c"], [None] * 2),
]

is_a = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "a")
later = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.GT)
behind = rasp.SelectorWidth(is_a & later).named("behind")
none_behind = rasp.Select(behind, behind, lambda k, q: k == 0)
PROGRAM = rasp.Aggregate(is_a & none_behind, rasp.indices).named("last_occurrence")


def reference(xs: list[str]) -> list[int | None]:
    where = [i for i, x in enumerate(xs) if x == "a"]
    return [where[-1] if where else None] * len(xs)
