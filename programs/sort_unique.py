"""The tokens in ascending order, if no token occurs twice.

    c a d b   ->   a b c d

The number of smaller tokens is the place where a token has to go: one head counts them, and a
second one fetches, at place i, the token that goes there.

Precondition: all tokens differ. Two equal ones would want the same place; see sort,
stable_sort.
Teaches: Counting the smaller ones gives the place; a second head fetches.
Source: Weiss et al. 2021, arXiv:2106.06981; make_sort_unique in the library of Tracr.
Run:  tracr-lite run sort_unique c a d b
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d", "e")
MAX_SEQ_LEN = 5
EXAMPLES = [
    (["c", "a", "d", "b"], ["a", "b", "c", "d"]),
    (["e", "a"], ["a", "e"]),
]

PROGRAM = lib.make_sort_unique(rasp.tokens, rasp.tokens)


def valid(xs: list[str]) -> bool:
    return len(set(xs)) == len(xs)


def reference(xs: list[str]) -> list[str]:
    return sorted(xs)
