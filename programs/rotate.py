"""All tokens move one to the left; the first one comes round to the end.

    a b c d   ->   b c d a

Position i looks at position i + 1 modulo the length, so the length has to be known first.

Teaches: Positions modulo the length, which has to be counted first.
Run:  tracr-lite run rotate a b c d
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a"], ["a"]),
    (["a", "b", "c", "d"], ["b", "c", "d", "a"]),
]

source = ((rasp.indices + 1) % lib.length).named("source")
PROGRAM = rasp.Aggregate(
    rasp.Select(rasp.indices, source, rasp.Comparison.EQ), rasp.tokens
).named("rotate")


def reference(xs: list[str]) -> list[str]:
    return xs[1:] + xs[:1]
