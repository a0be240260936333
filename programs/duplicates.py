"""Does this token occur anywhere else?

    a b a c   ->   True  False  True  False

The histogram, compared with one.

Teaches: A count and a comparison become one MLP.
Run:  tracr-lite run duplicates a b a c
"""

from tracr_lite.compiler import lib

VOCAB = ("a", "b", "c", "d")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "a", "c"], [True, False, True, False]),
    (["d"], [False]),
]

PROGRAM = (lib.make_hist() > 1).named("duplicates")


def reference(xs: list[str]) -> list[bool]:
    return [x in xs[:i] + xs[i + 1 :] for i, x in enumerate(xs)]
