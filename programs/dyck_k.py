"""As dyck1_ptf, with two kinds of bracket that must close in the right order.

    ( [ ] )   ->   P P P T              ( [ ) ]   ->   P P F F

Both brackets of a pair are given the same depth. At one depth, opening and closing brackets
take turns, so the partner of a closing bracket is the last token before it at its own depth:
number the tokens of each depth, and fetch the one with the number before. It is an error if
that is not the matching opening bracket; after an error the answer stays F.

Teaches: A stack without a stack: partners are found by depth and number.
Source: Dyck-k-PTF in Weiss et al. 2021, arXiv:2106.06981.
Run:  tracr-lite run dyck_k "(" "[" "]" ")"
"""

from tracr_lite.rasp import rasp

VOCAB = ("(", ")", "[", "]")
MAX_SEQ_LEN = 8
EXAMPLES = [
    (["(", "[", "]", ")"], ["P", "P", "P", "T"]),
    (["(", "[", ")", "]"], ["P", "P", "F", "F"]),
    (["(", ")", "]"], ["P", "T", "F"]),
]
CLOSES = {"(": ")", "[": "]"}

so_far = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
opening = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k in CLOSES)
opened = rasp.SelectorWidth(so_far & opening).named("opened")
balance = rasp.SequenceMap(lambda n, i: n - (i + 1 - n), opened, rasp.indices).named("balance")
depth = rasp.SequenceMap(
    lambda token, n: n if token in CLOSES else n + 1, rasp.tokens, balance
).named("depth")
same_depth = rasp.Select(depth, depth, rasp.Comparison.EQ)
number = rasp.SelectorWidth(so_far & same_depth).named("number")
one_before = rasp.Select(number, number, lambda k, q: k == q - 1)
partner = rasp.Aggregate(same_depth & one_before, rasp.tokens, default="none").named("partner")
is_error = rasp.SequenceMap(
    lambda token, other: token not in CLOSES and CLOSES.get(other) != token,
    rasp.tokens,
    partner,
).named("is_error")
errors = rasp.SelectorWidth(so_far & rasp.Select(is_error, is_error, lambda k, q: k))
PROGRAM = rasp.SequenceMap(
    lambda bad, open_now: "F" if bad else "P" if open_now else "T", errors, balance
).named("dyck_k")


def reference(xs: list[str]) -> list[str]:
    stack: list[str] = []
    answers: list[str] = []
    for x in xs:
        if answers[-1:] == ["F"] or (x in ")]" and (not stack or CLOSES[stack.pop()] != x)):
            answers.append("F")
            continue
        if x in CLOSES:
            stack.append(x)
        answers.append("P" if stack else "T")
    return answers
