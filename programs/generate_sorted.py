"""Writes the digits before the separator in order, then "END"; token by token.

    3 1 3 2 |   ->   1 2 3 3 END

Autoregressive: the output at the last position is the next token. Behind the separator every
position sees the whole prompt, and its own place in the answer, j. For each digit d it counts
those of the prompt up to d. The digit at place j is the first whose count is above j; where
there is none, all is written. Before the separator the answer is "END" throughout.

Teaches: Building a table of counts in a loop.
Run:  tracr-lite run generate_sorted 3 1 3 2 "|" 1 2
"""

from tracr_lite.rasp import rasp

DIGITS = (1, 2, 3)
VOCAB = (*DIGITS, "|")
MAX_SEQ_LEN = 11
CAUSAL = True
END = "END"
PROMPTS = [
    ([3, 1, 3, 2, "|"], [1, 2, 3, 3]),
    ([2, 2, "|"], [2, 2]),
    (["|"], []),
]
EXAMPLES = [
    ([3, 1, "|"], [END, END, 1]),
    ([3, 1, "|", 1, 3], [END, END, 1, 3, END]),
]

separators = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "|")
in_prompt = (rasp.SelectorWidth(separators) == 0).named("in_prompt")
# 0 stands for what is not in the prompt
digit = rasp.SequenceMap(lambda token, on: token if on else 0, rasp.tokens, in_prompt)
prompt = rasp.Select(in_prompt, in_prompt, lambda k, q: k)
size = rasp.SelectorWidth(prompt).named("size")
place = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, size, 1, -1)).named("place")


smaller = rasp.Map(lambda n: 0, place)  # how many digits are smaller than the one to be written
for limit in DIGITS:
    up_to = rasp.Select(digit, rasp.Full(limit), lambda k, q: 0 < k <= q)
    count = rasp.SelectorWidth(up_to).named(f"up_to_{limit}")
    gap = rasp.categorical(rasp.LinearSequenceMap(place, count, 1, -1))
    smaller += rasp.Map(lambda gap: int(gap >= 0), gap).named(f"above_{limit}")
answer = rasp.Map(lambda n: (*DIGITS, END)[n], smaller)
PROGRAM = rasp.SequenceMap(lambda token, on: END if on else token, answer, in_prompt).named(
    "generate_sorted"
)


def reference(xs: list[int | str]) -> list[int | str]:
    size = xs.index("|") if "|" in xs else len(xs)
    sorted_then_end = [*sorted(xs[:size]), *[END] * len(xs)]
    return [END if i < size else sorted_then_end[i - size] for i in range(len(xs))]
