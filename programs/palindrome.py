"""Does the input read the same from both ends?

    a b b a   ->   True  True  True  True

Reverse the input, compare it with itself place by place, and count the differences.

Teaches: Comparing the input with a moved copy of itself.
Run:  tracr-lite run palindrome a b b a
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "b", "a"], [True] * 4),
    (["a", "b", "c"], [False] * 3),
    (["c"], [True]),
]

mirrored = lib.make_reverse(rasp.tokens)
differs = (rasp.tokens != mirrored).named("differs")
PROGRAM = (lib.make_count(differs, True) == 0).named("palindrome")


def reference(xs: list[str]) -> list[bool]:
    return [xs == xs[::-1]] * len(xs)
