"""How many tokens are "a"? Every position gets the answer.

    a b a c   ->   2 2 2 2

One head that selects the positions with an "a", whoever asks.

Teaches: Counting with a head: who is selected, whoever asks.
Source: make_count in the library of Tracr, arXiv:2301.05062.
Run:  tracr-lite run count a b a c
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "a", "c"], [2] * 4),
    (["b", "c"], [0] * 2),
]

PROGRAM = lib.make_count(rasp.tokens, "a")


def reference(xs: list[str]) -> list[int]:
    return [xs.count("a")] * len(xs)
