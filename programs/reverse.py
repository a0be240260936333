"""The tokens in opposite order.

    a b c d   ->   d c b a

Position i fetches the token at position length - 1 - i: first a head finds the length, then a
second head looks at that one position.

Teaches: Two heads in a row: the second one's query is computed from the first.
Source: Weiss et al. 2021, arXiv:2106.06981; make_reverse in the library of Tracr.
Run:  tracr-lite run reverse a b c
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a"], ["a"]),
    (["a", "b", "c"], ["c", "b", "a"]),
    (["a", "b", "c", "d"], ["d", "c", "b", "a"]),
]

PROGRAM = lib.make_reverse(rasp.tokens)


def reference(xs: list[str]) -> list[str]:
    return xs[::-1]
