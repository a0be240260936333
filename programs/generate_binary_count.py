"""Counts on in binary from the number given, up to the largest with so many bits; then "END".

    0 1 ,   ->   1 0 , 1 1 , END

Autoregressive: the output at the last position is the next token. All numbers have as many
bits, w, as the one before the first comma. The next token belongs to the one of w positions
ago: a comma follows a comma, and a bit is that bit of the number before, flipped if only ones
stand behind it in that number. Behind a number of ones only comes "END". Before the first comma
the answer is "END" throughout.
Precondition: the tokens are the beginning of such a count.

Teaches: A loop that ends itself: the output is read again.
Run:  tracr-lite run generate_binary_count 0 1 , 1 0 ,
"""

from tracr_lite.rasp import rasp

VOCAB = (0, 1, ",")
MAX_SEQ_LEN = 16
CAUSAL = True
END = "END"
PROMPTS = [
    ([0, 0, ","], [0, 1, ",", 1, 0, ",", 1, 1, ","]),
    ([1, 0, 1, ","], [1, 1, 0, ",", 1, 1, 1, ","]),
    ([1, 1, ","], []),
]
EXAMPLES = [
    ([0, 1, ","], [END, END, 1]),
    ([1, 0, ",", 1, 1, ","], [END, END, 1, 1, ",", END]),
]

commas = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == ",")
number = rasp.SelectorWidth(commas).named("number")  # a comma belongs to what follows
first = rasp.Select(number, number, lambda k, q: k == 0)
bits = rasp.SelectorWidth(first).named("bits")
back = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, bits, 1, -1)).named("back")
old = rasp.Aggregate(
    rasp.Select(rasp.indices, back, rasp.Comparison.EQ), rasp.tokens, default=","
).named("old")

previous = rasp.Select(number, number, lambda k, q: k + 1 == q)
zeros = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == 0)
behind = rasp.Select(rasp.indices, back, rasp.Comparison.GT)
zeros_behind = rasp.SelectorWidth(previous & zeros & behind).named("zeros_behind")
flips = (zeros_behind == 0).named("flips")
flipped = rasp.SequenceMap(lambda x, on: x if x == "," else (x + on) % 2, old, flips)

zeros_before = rasp.SelectorWidth(previous & zeros).named("zeros_before")
at_comma = rasp.tokens == ","
last = rasp.SequenceMap(lambda n, on: n == 0 and on, zeros_before, at_comma).named("last")
in_first = rasp.Map(lambda n: n == 0, number)
ends = last | in_first
PROGRAM = rasp.SequenceMap(lambda x, on: END if on else x, flipped, ends).named(
    "generate_binary_count"
)


def valid(xs: list[int | str]) -> bool:
    size = xs.index(",") if "," in xs else len(xs)
    if size == 0:
        return False
    count = [size * [0]] if len(xs) <= size else [xs[:size]]
    while len(count[-1]) and 0 in count[-1] and (size + 1) * len(count) < len(xs):
        count.append(_after(count[-1]))
    text = [token for each in count for token in [*each, ","]]
    return len(xs) <= size or xs == text[: len(xs)]


def _after(number: list[int]) -> list[int]:
    following = 1 + int("".join(map(str, number)), 2)
    return [int(bit) for bit in f"{following:0{len(number)}b}"]


def reference(xs: list[int | str]) -> list[int | str]:
    size = xs.index(",") if "," in xs else len(xs)
    if size == len(xs):
        return [END] * len(xs)
    text, number = [*xs[:size], ","], xs[:size]
    while 0 in number:
        number = _after(number)
        text += [*number, ","]
    text.append(END)
    return [END] * size + text[size + 1 : len(xs) + 1]
