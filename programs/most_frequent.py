"""Each different token once, the most frequent one first.

    b a c a c c   ->   c a b - - -

Every token is represented by its first occurrence. A representative goes behind the others
that occur more often, or as often but earlier; a last head fetches them to their places.

Teaches: Sorting by a computed rank, repetitions left out.
Source: most-freq in Weiss et al. 2021, arXiv:2106.06981.
Run:  tracr-lite run most_frequent b a c a c c
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 8
EXAMPLES = [
    (["b", "a", "c", "a", "c", "c"], ["c", "a", "b", None, None, None]),
    (["b", "a"], ["b", "a"]),
    (["b", "b"], ["b", None]),
]

same_token = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
earlier = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
is_first = (rasp.SelectorWidth(same_token & earlier) == 0).named("is_first")
count = rasp.SequenceMap(lambda n, first: n if first else 0, lib.make_hist(), is_first).named(
    "count"
)
more = rasp.Select(count, count, rasp.Comparison.GT)
as_many = rasp.Select(count, count, rasp.Comparison.EQ)
rank = rasp.SelectorWidth(more | (as_many & earlier)).named("rank")
place = rasp.SequenceMap(lambda r, first: r if first else -1, rank, is_first).named("place")
PROGRAM = rasp.Aggregate(
    rasp.Select(place, rasp.indices, rasp.Comparison.EQ), rasp.tokens
).named("most_frequent")


def reference(xs: list[str]) -> list[str | None]:
    different = list(dict.fromkeys(xs))
    ranked: list[str | None] = [*sorted(different, key=lambda x: -xs.count(x))]
    return ranked + [None] * (len(xs) - len(ranked))
