"""A binary number plus one.

    1 0 1 1   ->   1 1 0 0            1 1   ->   0 0  (there is no room for the carry)

A bit changes if all bits to its right are ones: one head counts the zeros to the right.

Teaches: A selector made of two, with "later" and "is a zero" at once.
Run:  tracr-lite run binary_increment 1 0 1 1
"""

from tracr_lite.rasp import rasp

VOCAB = (0, 1)
MAX_SEQ_LEN = 10
EXAMPLES = [
    ([1, 0, 1, 1], [1, 1, 0, 0]),
    ([1, 1], [0, 0]),
    ([0], [1]),
]

later = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.GT)
zero = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == 0)
zeros_behind = rasp.SelectorWidth(zero & later).named("zeros_behind")
PROGRAM = rasp.SequenceMap(
    lambda bit, zeros: bit if zeros else 1 - bit, rasp.tokens, zeros_behind
).named("binary_increment")


def reference(xs: list[int]) -> list[int]:
    number = int("".join(map(str, xs)), 2) + 1
    return [number >> i & 1 for i in reversed(range(len(xs)))]
