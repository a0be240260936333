"""How many positions hold a token that occurs as often as the one here?

    a a b c b   ->   4 4 4 1 4        (a and b occur twice each: four positions)

The histogram of the tokens, and then the histogram of those numbers.

Teaches: Layers: attention over what attention found.
Run:  tracr-lite run histogram_of_histograms a a b c b
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "a", "b", "c", "b"], [4, 4, 4, 1, 4]),
    (["a", "a", "a", "b"], [3, 3, 3, 1]),
]

hist = lib.make_hist()
same_count = rasp.Select(hist, hist, rasp.Comparison.EQ)
PROGRAM = rasp.SelectorWidth(same_count).named("histogram_of_histograms")


def reference(xs: list[str]) -> list[int]:
    counts = [xs.count(x) for x in xs]
    return [counts.count(c) for c in counts]
