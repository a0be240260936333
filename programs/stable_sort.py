"""The tokens in ascending order, repetitions included, whatever the tokens are.

    c a b a   ->   a a b c

A token has to go behind all smaller ones, and behind the equal ones that come earlier.
Counting those takes one head with a composed selector, with no arithmetic on the tokens.

Teaches: A selector composed of comparisons, with no arithmetic on tokens.
Source: sort in Weiss et al. 2021, arXiv:2106.06981.
Run:  tracr-lite run stable_sort c a b a
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d")
MAX_SEQ_LEN = 8
EXAMPLES = [
    (["c", "a", "b", "a"], ["a", "a", "b", "c"]),
    (["d", "d", "d"], ["d", "d", "d"]),
]

smaller = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.LT)
equal = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
earlier = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
place = rasp.SelectorWidth(smaller | (equal & earlier)).named("place")
PROGRAM = rasp.Aggregate(
    rasp.Select(place, rasp.indices, rasp.Comparison.EQ), rasp.tokens
).named("stable_sort")


def reference(xs: list[str]) -> list[str]:
    return sorted(xs)
