"""All tokens, those that occur most often first.

    c a b a   ->   a a c b

Tokens that occur equally often keep their order. This is sort, with the key "minus how often".

Teaches: Sorting by a key that is itself computed.
Source: make_sort_freq in the library of Tracr, arXiv:2301.05062.
Run:  tracr-lite run sort_freq c a b a
"""

from tracr_lite.compiler import lib

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 8
FIXED_SIZE = True
EXAMPLES = [
    (["c", "a", "b", "a"], ["a", "a", "c", "b"]),
    (["a", "b", "a", "b"], ["a", "b", "a", "b"]),
]

PROGRAM = lib.make_sort_freq(max_seq_len=MAX_SEQ_LEN)


def reference(xs: list[str]) -> list[str]:
    return sorted(xs, key=lambda x: -xs.count(x))
