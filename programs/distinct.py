"""Each token once, in the order in which they appear first.

    b a b c a   ->   b a c - -

A token stays if no equal one stands before it; the number of those that stay before it is its
new place, and a last head fetches it from there.

Teaches: A token's new place is the number of those that stay before it.
Run:  tracr-lite run distinct b a b c a
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 8
EXAMPLES = [
    (["b", "a", "b", "c", "a"], ["b", "a", "c", None, None]),
    (["c", "c"], ["c", None]),
]

same_token = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
earlier = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
stays = (rasp.SelectorWidth(same_token & earlier) == 0).named("stays")
staying = rasp.Select(stays, stays, lambda k, q: k)
stay_before = rasp.SelectorWidth(staying & earlier).named("stay_before")
place = rasp.SequenceMap(lambda n, here: n if here else -1, stay_before, stays).named("place")
PROGRAM = rasp.Aggregate(
    rasp.Select(place, rasp.indices, rasp.Comparison.EQ), rasp.tokens
).named("distinct")


def reference(xs: list[str]) -> list[str | None]:
    different: list[str | None] = [*dict.fromkeys(xs)]
    return different + [None] * (len(xs) - len(different))
