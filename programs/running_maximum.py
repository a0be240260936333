"""The largest token so far, in alphabetical order.

    b d c e a   ->   b d d e e

A record is a token larger than all before it: one head finds them. The records only go up, so
the largest so far is the latest record: number them, and fetch the one with the number reached
here.

Teaches: Records only go up, so the largest is the latest record.
Run:  tracr-lite run running_maximum b d c e a
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d", "e")
MAX_SEQ_LEN = 10
CAUSAL = True
EXAMPLES = [
    (["b", "d", "c", "e", "a"], ["b", "d", "d", "e", "e"]),
    (["c", "c", "a"], ["c", "c", "c"]),
]

as_large = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.GEQ)
is_record = (rasp.SelectorWidth(as_large) == 1).named("is_record")  # only the token itself
record = rasp.Select(is_record, is_record, lambda k, q: k)
records = rasp.SelectorWidth(record).named("records")
number = rasp.SequenceMap(lambda n, here: n if here else 0, records, is_record).named("number")
latest_record = rasp.Select(number, records, rasp.Comparison.EQ)
PROGRAM = rasp.Aggregate(latest_record, rasp.tokens).named("running_maximum")


def reference(xs: list[str]) -> list[str]:
    return [max(xs[: i + 1]) for i in range(len(xs))]
