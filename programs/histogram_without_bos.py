"""How often does each token occur, counted with plain means and without any beginning mark?

    a b a c   ->   2 1 2 1

The first position takes the part of the mark: a head looks at the equal tokens and at position
0, whose share is 1 / (n + 1), or 1 / n if position 0 is one of the n equal tokens itself. A
second head finds out which of the two it was.

Teaches: What counting costs when there is no beginning mark.
Source: selector_width without assume_bos in Weiss et al. 2021, arXiv:2106.06981.
Run:  tracr-lite run histogram_without_bos a b a c
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "a", "c"], [2, 1, 2, 1]),
    (["b", "c", "c", "c"], [1, 3, 3, 3]),
]

same_token = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
first = rasp.Select(rasp.indices, rasp.indices, lambda k, q: k == 0)
is_first = rasp.Map(lambda i: 1 if i == 0 else 0, rasp.indices).named("is_first")
share = rasp.Aggregate(same_token | first, is_first).named("share")
first_is_equal = rasp.Aggregate(same_token & first, is_first, default=0).named("first_is_equal")
PROGRAM = rasp.SequenceMap(
    lambda x, equal: round(1 / x) - 1 + equal, share, first_is_equal
).named("histogram_without_bos")


def reference(xs: list[str]) -> list[int]:
    return [xs.count(x) for x in xs]
