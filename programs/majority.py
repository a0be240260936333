"""Which token has the majority, "a" or "b"? With a tie the answer is "=".

    a b a   ->   a a a              a b   ->   = =

The mean of +1 for each a and -1 for each b, taken by one head over all positions; its sign is
the answer. No counting is needed.

Teaches: A vote is the sign of a mean; no counting is needed.
Run:  tracr-lite run majority a b a
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "a"], ["a"] * 3),
    (["a", "b"], ["="] * 2),
    (["b"], ["b"]),
]

vote = rasp.numerical(rasp.Map(lambda x: 1 if x == "a" else -1, rasp.tokens)).named("vote")
everywhere = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)
mean = rasp.numerical(rasp.Aggregate(everywhere, vote, default=0)).named("mean")
PROGRAM = rasp.Map(lambda x: "a" if x > 0 else "b" if x < 0 else "=", mean).named("majority")


def reference(xs: list[str]) -> list[str]:
    lead = xs.count("a") - xs.count("b")
    return ["a" if lead > 0 else "b" if lead < 0 else "="] * len(xs)
