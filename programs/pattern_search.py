"""Where does "aba" start for the first time? None if it does not occur.

    b a b a b a   ->   1 1 1 1 1 1

Mark the places where the pattern ends (see detect_pattern). The first of them is the one with
none before it; it ends two positions after it starts.

Run:  tracr-lite run pattern_search b a b a b a
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["b", "a", "b", "a", "b", "a"], [1] * 6),
    (["a", "b", "c"], [None] * 3),
]

ends_here = lib.detect_pattern(rasp.tokens, "aba")  # None where it is too early to tell
found = rasp.Select(ends_here, ends_here, lambda k, q: bool(k))
earlier = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
found_before = rasp.SelectorWidth(found & earlier).named("found_before")
none_before = rasp.Select(found_before, found_before, lambda k, q: k == 0)
end = rasp.Aggregate(found & none_before, rasp.indices).named("end")
PROGRAM = (end - 2).named("pattern_search")


def reference(xs: list[str]) -> list[int | None]:
    start = "".join(xs).find("aba")
    return [None if start < 0 else start] * len(xs)
