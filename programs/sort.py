"""Numbers in ascending order, repetitions included.

    3 1 2 1   ->   1 1 2 3

As sort_unique; equal numbers are first told apart by a little of their position: the key of
the token x at position i is x + i / 8, and i / 8 stays below the smallest gap between two
tokens.

Teaches: Breaking ties with a little of the position.
Source: Weiss et al. 2021, arXiv:2106.06981; make_sort in the library of Tracr.
Run:  tracr-lite run sort 3 1 2 1
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = (1, 2, 3, 4)
MAX_SEQ_LEN = 8
FIXED_SIZE = True
EXAMPLES = [
    ([3, 1, 2, 1], [1, 1, 2, 3]),
    ([4, 4, 1], [1, 4, 4]),
]

PROGRAM = lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=MAX_SEQ_LEN, min_key=1)


def reference(xs: list[int]) -> list[int]:
    return sorted(xs)
