"""The Caesar cipher on six letters: every letter becomes the second one after it.

    a b e f   ->   c d a b

One MLP that looks the letter up; no attention at all.

Teaches: An MLP is a table; some programs need no attention.
Run:  tracr-lite run caesar a b e f
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "d", "e", "f")
MAX_SEQ_LEN = 8
EXAMPLES = [
    (["a", "b", "e", "f"], ["c", "d", "a", "b"]),
]
CIPHER = dict(zip("abcdef", "cdefab", strict=True))

PROGRAM = rasp.Map(lambda letter: CIPHER[letter], rasp.tokens).named("caesar")


def reference(xs: list[str]) -> list[str]:
    return [chr((ord(x) - ord("a") + 2) % 6 + ord("a")) for x in xs]
