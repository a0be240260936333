"""The largest number so far.

    1 3 2 4 0   ->   1 3 3 4 4

A record is a token larger than all before it: one head finds them. The records only go up, so
the largest so far is the latest record: number them, and fetch the one with the number reached
here.

Run:  tracr-lite run running_maximum 1 3 2 4 0
"""

from tracr_lite.rasp import rasp

VOCAB = (0, 1, 2, 3, 4)
MAX_SEQ_LEN = 8
CAUSAL = True
EXAMPLES = [
    ([1, 3, 2, 4, 0], [1, 3, 3, 4, 4]),
    ([2, 2, 0], [2, 2, 2]),
]

as_large = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.GEQ)
is_record = (rasp.SelectorWidth(as_large) == 1).named("is_record")  # only the token itself
record = rasp.Select(is_record, is_record, lambda k, q: k)
records = rasp.SelectorWidth(record).named("records")
number = rasp.SequenceMap(lambda n, here: n if here else 0, records, is_record).named("number")
latest_record = rasp.Select(number, records, rasp.Comparison.EQ)
PROGRAM = rasp.Aggregate(latest_record, rasp.tokens).named("running_maximum")


def reference(xs: list[int]) -> list[int]:
    return [max(xs[: i + 1]) for i in range(len(xs))]
