"""Is no token smaller than the one before it?

    a b b d   ->   True  True  True  True

Each position compares itself with the one before; then the steps downwards are counted.

Teaches: Comparing neighbours, then asking whether any comparison failed.
Run:  tracr-lite run is_sorted a b b d
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "b", "d"], [True] * 4),
    (["b", "a"], [False] * 2),
    (["c"], [True]),
]

before = lib.shift_by(1, rasp.tokens)  # None at the first position, and so is its comparison
goes_down = (before > rasp.tokens).named("goes_down")
PROGRAM = (lib.make_count(goes_down, True) == 0).named("is_sorted")


def reference(xs: list[str]) -> list[bool]:
    return [xs == sorted(xs)] * len(xs)
