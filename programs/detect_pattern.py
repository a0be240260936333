"""Does the pattern "abc" end here?

    a b c a   ->   -  -  True  False

"Is it an a", moved by two; "is it a b", moved by one; "is it a c"; and all three together.
Where the input is still too short to tell, the answer is None.

Teaches: None where there is no answer yet, passed on by every function.
Source: detect_pattern in the library of Tracr, arXiv:2301.05062.
Run:  tracr-lite run detect_pattern a b c a
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c")
MAX_SEQ_LEN = 10
EXAMPLES = [
    (["a", "b", "c", "a"], [None, None, True, False]),
    (["a", "b"], [None, None]),
]

PROGRAM = lib.detect_pattern(rasp.tokens, "abc")


def reference(xs: list[str]) -> list[bool | None]:
    return [xs[i - 2 : i + 1] == ["a", "b", "c"] if i >= 2 else None for i in range(len(xs))]
