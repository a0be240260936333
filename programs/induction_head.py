"""What followed the last time this token was here? The guess of an induction head.

    a b c a b   ->   -  -  -  b  c

Number the occurrences of each token; let every position remember the token before it, and the
number of that one. The position to copy from is the one whose remembered token is the token
here, with the number before ours. None where a token is new.

Teaches: Copying what came after the last match, as trained models do.
Source: Olsson et al. 2022, arXiv:2209.11895, with the latest match instead of a mean over all.
Run:  tracr-lite run induction_head a b c a b
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
CAUSAL = True
EXAMPLES = [
    (["a", "b", "c", "a", "b"], [None, None, None, "b", "c"]),
    (["a", "a", "b", "a"], [None, "a", None, "b"]),
]

same_token = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
number = rasp.SelectorWidth(same_token).named("number")  # causal: the occurrences up to here
before = rasp.Select(rasp.indices, rasp.indices, lambda k, q: k == q - 1)
token_before = rasp.Aggregate(before, rasp.tokens, default="none").named("token_before")
number_before = rasp.Aggregate(before, number, default=0).named("number_before")
follows_same = rasp.Select(token_before, rasp.tokens, rasp.Comparison.EQ)
follows_latest = rasp.Select(number_before, number, lambda k, q: k == q - 1)
PROGRAM = rasp.Aggregate(follows_same & follows_latest, rasp.tokens).named("induction_head")


def reference(xs: list[str]) -> list[str | None]:
    follower: dict[str, str] = {}
    answers: list[str | None] = []
    for i, x in enumerate(xs):
        if i:
            follower[xs[i - 1]] = x
        answers.append(follower.get(x))
    return answers
