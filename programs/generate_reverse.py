"""Writes what stands before the separator backwards, then "END"; token by token.

    a b c |   ->   c b a END

Autoregressive: the output at the last position is the next token. Reversing reads ahead, which
a causal model cannot; but behind the separator every position sees the whole prompt. With n
tokens before it, position t fetches token 2n - 1 - t; where there is none, all is written.
Before the separator the answer is "END" throughout.

Teaches: Reading ahead, once the prompt is complete.
Run:  tracr-lite run generate_reverse a b c "|" c b a
"""

from tracr_lite.rasp import rasp

VOCAB = ("a", "b", "c", "|")
MAX_SEQ_LEN = 12
CAUSAL = True
END = "END"
PROMPTS = [
    ([*"abc|"], [*"cba"]),
    ([*"aab|"], [*"baa"]),
    (["|"], []),
]
EXAMPLES = [
    ([*"ab|"], ["END", "END", "b"]),
    ([*"ab|ba"], ["END", "END", "b", "a", "END"]),
]

separators = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "|")
in_prompt = (rasp.SelectorWidth(separators) == 0).named("in_prompt")
prompt = rasp.Select(in_prompt, in_prompt, lambda k, q: k)
size = rasp.SelectorWidth(prompt).named("size")  # of the prompt, as far as it is known
mirrored = rasp.LinearSequenceMap(size, rasp.indices, 2, -1)  # one too much
source = rasp.Map(lambda i: i - 1, rasp.categorical(mirrored)).named("source")
# a prompt that goes on reads ahead of itself, and finds nothing
PROGRAM = rasp.Aggregate(
    rasp.Select(rasp.indices, source, rasp.Comparison.EQ), rasp.tokens, default=END
).named("generate_reverse")


def reference(xs: list[str]) -> list[str]:
    size = xs.index("|") if "|" in xs else len(xs)
    sources = [2 * size - 1 - i for i in range(len(xs))]
    return [
        xs[source] if i >= size and source >= 0 else END for i, source in enumerate(sources)
    ]
