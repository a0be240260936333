"""The mean of the numbers so far.

    4 0 -1   ->   4  2  1

What attention does by itself: one head with equal weights on everything up to here. The answer
is a number in the residual stream, not one of a list of values.

Teaches: A numerical output: the answer is a number, not one of a list.
Run:  tracr-lite run running_mean 4 0 -1
"""

from tracr_lite.rasp import rasp

VOCAB = (-1, 0, 1, 4)
MAX_SEQ_LEN = 10
EXAMPLES = [
    ([4, 0, -1], [4, 2, 1]),
    ([1, 0, 0], [1, 1 / 2, 1 / 3]),
]

so_far = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
numbers = rasp.numerical(rasp.tokens)
PROGRAM = rasp.numerical(rasp.Aggregate(so_far, numbers, default=0)).named("running_mean")


def reference(xs: list[int]) -> list[float]:
    return [sum(xs[: i + 1]) / (i + 1) for i in range(len(xs))]
