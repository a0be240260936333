"""Every token moves two positions to the right; what falls out is lost.

    a b c d   ->   -  -  a  b

One head: position i looks at position i - 2. The first two have nothing to look at: None.

Teaches: The default of a head that finds nothing: None.
Source: shift_by in the library of Tracr, arXiv:2301.05062.
Run:  tracr-lite run shift_by a b c d
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a"], [None]),
    (["a", "b", "c", "d"], [None, None, "a", "b"]),
]

PROGRAM = lib.shift_by(2, rasp.tokens)


def reference(xs: list[str]) -> list[str | None]:
    return [xs[i - 2] if i >= 2 else None for i in range(len(xs))]
