"""How many tokens are there?

    a b c a   ->   4 4 4 4

One attention head that looks everywhere. It finds "one part in 1 + n" of its attention on the
beginning-of-sequence token, and an MLP turns that share into n.

Teaches: The count of everything, read from one share of attention.
Source: make_length in the library of Tracr, arXiv:2301.05062.
Run:  tracr-lite run length a b c a
"""

from tracr_lite.compiler import lib

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a"], [1]),
    (["a", "b", "c", "a"], [4, 4, 4, 4]),
]

PROGRAM = lib.make_length()


def reference(xs: list[str]) -> list[int]:
    return [len(xs)] * len(xs)
