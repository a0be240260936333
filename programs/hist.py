"""How often does the token of this position occur in the input?

    a b a c   ->   2 1 2 1

One head selects the positions with the same token; the number of positions selected is the
answer.

Teaches: A selector width: equal tokens are selected, and counted.
Source: Weiss et al. 2021, arXiv:2106.06981; make_hist in the library of Tracr.
Run:  tracr-lite run hist a b a c
"""

from tracr_lite.compiler import lib

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "a", "c"], [2, 1, 2, 1]),
    (["b"] * 5, [5] * 5),
]

PROGRAM = lib.make_hist()


def reference(xs: list[str]) -> list[int]:
    return [xs.count(x) for x in xs]
