"""How deep inside brackets is this position? Both brackets of a pair get the same depth.

    x ( x ( ) )   ->   0 1 1 2 2 1

Count the opening and the closing brackets up to here; the difference is the depth after this
token, and a closing bracket itself belongs one level higher.

Teaches: Nesting is the difference of two counts.
Run:  tracr-lite run bracket_depth x "(" x "(" ")" ")"
"""

from tracr_lite.rasp import rasp

VOCAB = ("(", ")", "x")
MAX_SEQ_LEN = 10
CAUSAL = True
EXAMPLES = [
    (["x", "(", "x", "(", ")", ")"], [0, 1, 1, 2, 2, 1]),
    ([")", "x"], [0, -1]),
]

opening = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "(")
closing = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == ")")
opened = rasp.SelectorWidth(opening).named("opened")  # causal: up to here
closed = rasp.SelectorWidth(closing).named("closed")
balance = (opened - closed).named("balance")
PROGRAM = rasp.SequenceMap(
    lambda n, token: n + 1 if token == ")" else n, balance, rasp.tokens
).named("bracket_depth")


def reference(xs: list[str]) -> list[int]:
    depth, depths = 0, []
    for x in xs:
        depth += x == "("
        depths.append(depth)
        depth -= x == ")"
    return depths
