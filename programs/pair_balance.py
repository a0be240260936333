"""At every position: opening minus closing brackets so far, as a fraction of the tokens so far.

    ( ( x )   ->   1  1  2/3  1/4

Two heads take means over the positions up to here, one of "is it open", one of "is it
closing"; the difference is linear, so no decoding is needed.

Teaches: Numbers in the residual stream add up without any MLP.
Source: make_pair_balance in the library of Tracr, arXiv:2301.05062.
Run:  tracr-lite run pair_balance "(" "(" x ")"
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("(", ")", "x")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["(", "(", "x", ")"], [1, 1, 2 / 3, 1 / 4]),
    ([")", "x", "("], [-1, -1 / 2, 0]),
]

PROGRAM = lib.make_pair_balance(rasp.tokens, "(", ")")


def reference(xs: list[str]) -> list[float]:
    seen = [xs[: i + 1] for i in range(len(xs))]
    return [(s.count("(") - s.count(")")) / len(s) for s in seen]
