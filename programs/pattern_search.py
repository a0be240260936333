"""Where does "aba" start for the first time? None if it does not occur.

    b a b a b a   ->   1 1 1 1 1 1

Mark the places where the pattern ends (see detect_pattern). The positions with no such place up
to them are those before the first end; their number is its index, and the start is two earlier.
If all positions are of that kind, there is no end.

Teaches: The first of several places, by counting those before all of them.
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
end = rasp.Select(ends_here, ends_here, lambda k, q: bool(k))
so_far = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
none_yet = (rasp.SelectorWidth(end & so_far) == 0).named("none_yet")
PROGRAM = rasp.SequenceMap(
    lambda index, n: index - 2 if index < n else None,
    lib.make_count(none_yet, True),
    lib.length,
).named("pattern_search")


def reference(xs: list[str]) -> list[int | None]:
    start = "".join(xs).find("aba")
    return [None if start < 0 else start] * len(xs)
