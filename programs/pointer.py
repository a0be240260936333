"""Every token is an index: fetch the token that it points to.

    2 0 1 7   ->   1 2 0 -

One head, whose keys are positions and whose queries are tokens. A pointer that leads out of
the input finds nothing: None.

Teaches: Tokens as addresses: queries from tokens, keys from positions.
Run:  tracr-lite run pointer 2 0 1
"""

from tracr_lite.rasp import rasp

VOCAB = (0, 1, 2, 3, 7)
MAX_SEQ_LEN = 6
EXAMPLES = [
    ([2, 0, 1, 7], [1, 2, 0, None]),
    ([0], [0]),
    ([3, 1], [None, 1]),
]

target = rasp.Select(rasp.indices, rasp.tokens, rasp.Comparison.EQ)
PROGRAM = rasp.Aggregate(target, rasp.tokens).named("pointer")


def reference(xs: list[int]) -> list[int | None]:
    return [xs[x] if x < len(xs) else None for x in xs]
