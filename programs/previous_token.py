"""The token before this one.

    a b c   ->   -  a  b

The smallest attention head that does something useful, and half of an induction head.

Teaches: Attention to a fixed distance.
Run:  tracr-lite run previous_token a b c
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
CAUSAL = True
EXAMPLES = [
    (["a"], [None]),
    (["a", "b", "c"], [None, "a", "b"]),
]

before = rasp.Select(rasp.indices, rasp.indices, lambda k, q: k == q - 1)
PROGRAM = rasp.Aggregate(before, rasp.tokens).named("previous_token")


def reference(xs: list[str]) -> list[str | None]:
    return [None, *xs[:-1]]
