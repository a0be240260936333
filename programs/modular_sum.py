"""The sum of all numbers modulo 3.

    2 1 2   ->   2 2 2

Two heads count the ones and the twos; an MLP knows what to make of the two counts.

Teaches: Two counts side by side in one layer, joined by an MLP.
Run:  tracr-lite run modular_sum 2 1 2
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = (0, 1, 2)
MAX_SEQ_LEN = 10
EXAMPLES = [
    ([2, 1, 2], [2] * 3),
    ([0, 0], [0] * 2),
    ([1, 2], [0] * 2),
]

ones = lib.make_count(rasp.tokens, 1)
twos = lib.make_count(rasp.tokens, 2)
PROGRAM = ((ones + 2 * twos) % 3).named("modular_sum")


def reference(xs: list[int]) -> list[int]:
    return [sum(xs) % 3] * len(xs)
