"""How many positions hold a token that occurs at most twice?

    a b a c a   ->   2 2 2 2 2

A first head finds how often each token occurs, a second one counts the positions where that is
no more than two.

Teaches: A selector on a computed value: counts of counts.
Source: make_count_less_freq in the library of Tracr, arXiv:2301.05062.
Run:  tracr-lite run count_less_freq a b a c a
"""

from tracr_lite.compiler import lib

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "a", "c", "a"], [2] * 5),
    (["a", "b", "a"], [3] * 3),
    (["b"] * 4, [0] * 4),
]

PROGRAM = lib.make_count_less_freq(2)


def reference(xs: list[str]) -> list[int]:
    return [sum(xs.count(x) <= 2 for x in xs)] * len(xs)
