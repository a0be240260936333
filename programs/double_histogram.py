"""How many different tokens occur as often as this one?

    a a b c b   ->   2 2 2 1 2        (a and b occur twice, c once)

A head counts how often each token occurs; a second one counts the positions with the same
count, but only where a token stands for the first time, so that each token is counted once.

Teaches: Counting each kind once, at its first occurrence.
Source: double histogram in Weiss et al. 2021, arXiv:2106.06981.
Run:  tracr-lite run double_histogram a a b c b
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "a", "b", "c", "b"], [2, 2, 2, 1, 2]),
    (["a", "b", "c"], [3, 3, 3]),
]

same_token = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
earlier = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
is_first = (rasp.SelectorWidth(same_token & earlier) == 0).named("is_first")
hist = lib.make_hist()
same_count = rasp.Select(hist, hist, rasp.Comparison.EQ)
at_first = rasp.Select(is_first, is_first, lambda k, q: k)
PROGRAM = rasp.SelectorWidth(same_count & at_first).named("double_histogram")


def reference(xs: list[str]) -> list[int]:
    return [sum(xs.count(y) == xs.count(x) for y in set(xs)) for x in xs]
