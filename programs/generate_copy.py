"""Writes what stands before the separator once more, then "END"; token by token.

    a b c |   ->   a b c END

Autoregressive: the output at the last position is the next token. Behind the separator, the
next token is that of n positions ago, where n is the length of the prompt. When that is the
separator itself, all is copied. Before it, the answer is "END" throughout.

Teaches: Finding a place behind a separator.
Run:  tracr-lite run generate_copy a b c "|" a b c
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "|")
MAX_SEQ_LEN = 12
CAUSAL = True
END = "END"
PROMPTS = [
    ([*"abc|"], [*"abc"]),
    ([*"bb|"], [*"bb"]),
    (["|"], []),
]
EXAMPLES = [
    ([*"ab|"], ["END", "END", "a"]),
    ([*"ab|ab"], ["END", "END", "a", "b", "END"]),
]

separators = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "|")
in_prompt = (rasp.SelectorWidth(separators) == 0).named("in_prompt")
prompt = rasp.Select(in_prompt, in_prompt, lambda k, q: k)
size = rasp.SelectorWidth(prompt).named("size")  # of the prompt, as far as it is known
source = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, size, 1, -1)).named("source")
found = rasp.Aggregate(
    rasp.Select(rasp.indices, source, rasp.Comparison.EQ), rasp.tokens, default="|"
)
PROGRAM = rasp.Map(lambda token: END if token == "|" else token, found).named("generate_copy")


def reference(xs: list[str]) -> list[str]:
    size = xs.index("|") if "|" in xs else len(xs)
    copied = [x if x != "|" else END for x in xs]
    return [END if i < size else copied[i - size] for i in range(len(xs))]
