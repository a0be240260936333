"""Is every bracket closed, and none before it was opened? Two kinds, which may cross.

    ( { ) }   ->   True  True  True  True
    ( { } }   ->   False False False False

For each kind, the balance so far is the difference of two means (see pair_balance). The word
is good if no balance is negative anywhere and all of them are zero at the last position.

Teaches: One circuit per kind of bracket, all in the same layers.
Source: Weiss et al. 2021, arXiv:2106.06981; make_shuffle_dyck in the library of Tracr.
Run:  tracr-lite run shuffle_dyck2 "(" "{" ")" "}"
"""

from tracr_lite.compiler import lib

VOCAB = ("(", ")", "{", "}")
MAX_SEQ_LEN = 8
EXAMPLES = [
    (["(", "{", ")", "}"], [True] * 4),
    (["(", "{", "}", "}"], [False] * 4),
    (["}", "{"], [False] * 2),
]

PROGRAM = lib.make_shuffle_dyck2()


def reference(xs: list[str]) -> list[bool]:
    return [all(_balanced(xs, *pair) for pair in ["()", "{}"])] * len(xs)


def _balanced(xs: list[str], opening: str, closing: str) -> bool:
    depth = 0
    for x in xs:
        depth += (x == opening) - (x == closing)
        if depth < 0:
            return False
    return depth == 0
