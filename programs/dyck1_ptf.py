"""Is the input so far a balanced bracket word (T), the start of one (P), or neither (F)?

    ( ( ) ) )   ->   P P P T F

Two heads count the brackets up to here. If the difference has been negative anywhere up to
here, nothing can repair it: F. Otherwise zero means T, and more than zero means P.

Teaches: An error that cannot be repaired is a count of past errors.
Source: Dyck-1-PTF in Weiss et al. 2021, arXiv:2106.06981.
Run:  tracr-lite run dyck1_ptf "(" "(" ")" ")" ")"
"""

from tracr_lite.rasp import rasp

VOCAB = ("(", ")")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["(", "(", ")", ")", ")"], ["P", "P", "P", "T", "F"]),
    ([")", "(", ")"], ["F", "F", "F"]),
    (["(", ")", "("], ["P", "T", "P"]),
]

so_far = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
opening = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "(")
closing = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == ")")
opened = rasp.SelectorWidth(so_far & opening).named("opened")
closed = rasp.SelectorWidth(so_far & closing).named("closed")
balance = (opened - closed).named("balance")
negative = rasp.Select(balance, balance, lambda k, q: k < 0)
errors = rasp.SelectorWidth(so_far & negative).named("errors")
PROGRAM = rasp.SequenceMap(
    lambda bad, open_now: "F" if bad else "P" if open_now else "T", errors, balance
).named("dyck1_ptf")


def reference(xs: list[str]) -> list[str]:
    depth, broken, answers = 0, False, []
    for x in xs:
        depth += 1 if x == "(" else -1
        broken |= depth < 0
        answers.append("F" if broken else "P" if depth else "T")
    return answers
