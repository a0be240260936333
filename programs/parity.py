"""Is the number of ones odd?

    1 0 1 1   ->   1 1 1 1

Count the ones with a head, and keep the remainder modulo two.

Teaches: What trained transformers find hard is easy with exact counts.
Source: PARITY, the textbook example of what trained transformers find hard; Hahn 2020,
arXiv:1906.06755.
Run:  tracr-lite run parity 1 0 1 1
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = (0, 1)
MAX_SEQ_LEN = 10
EXAMPLES = [
    ([1, 0, 1, 1], [1] * 4),
    ([1, 1], [0] * 2),
    ([0], [0]),
]

PROGRAM = (lib.make_count(rasp.tokens, 1) % 2).named("parity")


def reference(xs: list[int]) -> list[int]:
    return [sum(xs) % 2] * len(xs)
