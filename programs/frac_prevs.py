"""At every position, which fraction of the tokens so far is "x"?

    x y y x   ->   1  1/2  1/3  1/2

One attention head: the mean of an indicator over the positions up to here.

Teaches: One head with equal weights takes a mean.
Source: Weiss et al. 2021, arXiv:2106.06981; make_frac_prevs in the library of Tracr.
Run:  tracr-lite run frac_prevs x y y x
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("x", "y")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["x"], [1]),
    (["x", "y", "y", "x"], [1, 1 / 2, 1 / 3, 1 / 2]),
]

PROGRAM = lib.make_frac_prevs(rasp.tokens == "x")


def reference(xs: list[str]) -> list[float]:
    return [xs[: i + 1].count("x") / (i + 1) for i in range(len(xs))]
