"""How far is it back to the last "." (or to the start, if there was none)?

    a b . c a   ->   0 1 0 1 2

The number of separators so far names the segment; the number of earlier positions with the
same name is the distance.

Teaches: Segments by number: positions that share a count.
Run:  tracr-lite run since_separator a b . c a
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", ".")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", ".", "c", "a"], [0, 1, 0, 1, 2]),
    ([".", ".", "a"], [0, 0, 1]),
]

so_far = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
earlier = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
separator = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == ".")
segment = rasp.SelectorWidth(so_far & separator).named("segment")
same_segment = rasp.Select(segment, segment, rasp.Comparison.EQ)
PROGRAM = rasp.SelectorWidth(same_segment & earlier).named("since_separator")


def reference(xs: list[str]) -> list[int]:
    start, distances = 0, []
    for i, x in enumerate(xs):
        start = i if x == "." else start
        distances.append(i - start)
    return distances
