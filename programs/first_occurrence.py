"""The index at which the token of this position occurs first.

    b a b b   ->   0 1 0 0

A head marks the positions that have no equal token before them; a second one looks, among the
equal tokens, at the marked one, and reads its index. The index travels as a name, "at 3": a
name has no mean, which tells the compiler that no more than one is ever selected. With plain
numbers it would have to keep all means of indices apart, which are too many beyond about 8
tokens.

Teaches: Values that are names are copied, numbers are averaged.
Run:  tracr-lite run first_occurrence b a b b
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["b", "a", "b", "b"], [0, 1, 0, 0]),
    (["a", "b", "c"], [0, 1, 2]),
]

same_token = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
earlier = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
is_first = (rasp.SelectorWidth(same_token & earlier) == 0).named("is_first")
marked = rasp.Select(is_first, is_first, lambda k, q: k)
name = rasp.Map(lambda i: f"at {i}", rasp.indices).named("name")
found = rasp.Aggregate(same_token & marked, name).named("found")
PROGRAM = rasp.Map(lambda text: int(text.removeprefix("at ")), found).named("first_occurrence")


def reference(xs: list[str]) -> list[int]:
    return [xs.index(x) for x in xs]
