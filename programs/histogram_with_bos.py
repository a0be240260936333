"""How often does each token occur, if the first token is a beginning mark that does not count?

    § a b a   ->   0 2 1 2

A head that looks at all n equal tokens and at the mark gives the mark one part in n + 1 of its
attention. The mean of "is it the mark" is that share; 1 / share - 1 is n. This is how
attention can count at all, and the reason why compiled models read a beginning-of-sequence
token.

Whatever the first token is, it is taken as the mark; if it occurs again, those are counted.
Teaches: How attention counts at all: by the share of a beginning mark.
Source: selector_width with assume_bos in Weiss et al. 2021, arXiv:2106.06981.
Run:  tracr-lite run histogram_with_bos § a b a
"""

from tracr_lite.rasp import rasp

VOCAB = ("§", "a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["§", "a", "b", "a"], [0, 2, 1, 2]),
    (["§"], [0]),
]

same_token = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
mark = rasp.Select(rasp.indices, rasp.indices, lambda k, q: k == 0)
is_mark = rasp.Map(lambda i: 1 if i == 0 else 0, rasp.indices).named("is_mark")
share = rasp.Aggregate(same_token | mark, is_mark).named("share")
PROGRAM = rasp.Map(lambda x: round(1 / x) - 1, share).named("histogram_with_bos")


def reference(xs: list[str]) -> list[int]:
    return [xs[1:].count(x) for x in xs]
