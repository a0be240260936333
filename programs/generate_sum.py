"""Adds two decimal numbers, and writes the sum from the ones upwards; then "END".

    4 7 + 5 5 =   ->   2 0 1 END

Autoregressive: the output at the last position is the next token. At place j of the answer

1. two heads fetch the digits of place j, which stand j places before the "+" and the "=";
2. two more fetch those of the place before. Their sum, and the digit that was written for them,
   tell whether there was a carry: there was one if what was written is less than the sum;
3. a table gives the digit; where both numbers are used up and nothing is carried, all is
   written.

So nothing has to be carried through the places, and the depth is the same for any number of
digits. Before the "=" the answer is "END" throughout.
Precondition: one "+", then one "=", then digits only.
Teaches: Reading a carry off what was already written.
Run:  tracr-lite run generate_sum 4 7 + 5 5 = 2 0
"""

from tracr_lite.rasp import rasp

VOCAB = (*range(10), "+", "=")
MAX_SEQ_LEN = 10
CAUSAL = True
END = "END"
PROMPTS = [
    ([4, 7, "+", 5, 5, "="], [2, 0, 1]),
    ([9, 9, "+", 1, "="], [0, 0, 1]),
    ([3, "+", 4, "="], [7]),
    ([0, "+", 0, "="], [0]),
]
EXAMPLES = [
    ([4, 7, "+", 5, 5, "=", 2], [END, END, END, END, END, 2, 0]),
    ([1, "+", 2, "=", 3], [END, END, END, 3, END]),
]
NONE = -1  # no digit at this place

pluses = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "+")
equals = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "=")
in_first = (rasp.SelectorWidth(pluses) == 0).named("in_first")
in_prompt = (rasp.SelectorWidth(equals) == 0).named("in_prompt")
first_size = rasp.SelectorWidth(rasp.Select(in_first, in_first, lambda k, q: k))
prompt_size = rasp.SelectorWidth(rasp.Select(in_prompt, in_prompt, lambda k, q: k))

place = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, prompt_size, 1, -1)).named(
    "place"
)
digit = rasp.Map(lambda x: NONE if x in ("+", "=") else x, rasp.tokens).named("digit")


def fetch(size: rasp.SOp, places_back: int, only: rasp.Selector, name: str) -> rasp.SOp:
    """The digit of the place that is `places_back` places before the one to be written."""
    behind = rasp.categorical(rasp.LinearSequenceMap(size, place, 1, -1))
    index = rasp.Map(lambda i: i - 1 + places_back, behind).named(f"{name}_index")
    there = rasp.Select(rasp.indices, index, rasp.Comparison.EQ)
    return rasp.Aggregate(there & only, digit, default=NONE).named(name)


firsts = rasp.Select(in_first, in_first, lambda k, q: k)
seconds = rasp.Select(in_first, in_first, lambda k, q: not k)
upper, lower = fetch(first_size, 0, firsts, "upper"), fetch(prompt_size, 0, seconds, "lower")
upper_before = fetch(first_size, 1, firsts, "upper_before")
lower_before = fetch(prompt_size, 1, seconds, "lower_before")


def add(x: int, y: int) -> int:
    """The sum of two digits; NONE if there is neither."""
    return NONE if x == y == NONE else max(x, 0) + max(y, 0)


total = rasp.SequenceMap(add, upper, lower).named("total")
total_before = rasp.SequenceMap(add, upper_before, lower_before).named("total_before")
carry = rasp.SequenceMap(lambda written, x: written < x, digit, total_before).named("carry")


def write(x: int, carry: bool) -> int | str:
    """The digit for a sum of two digits and a carry."""
    return END if x == NONE and not carry else (max(x, 0) + carry) % 10


answer = rasp.SequenceMap(write, total, carry)
PROGRAM = rasp.SequenceMap(lambda x, on: END if on else x, answer, in_prompt).named(
    "generate_sum"
)


def _is_sum(text: str) -> bool:
    if "=" not in text:
        return text.count("+") <= 1
    problem, _, answer = text.partition("=")
    numbers = problem.split("+")
    if len(numbers) != 2 or not all(numbers) or "=" in answer:
        return False
    digits = max(map(len, numbers))
    total = sum(map(int, numbers))
    whole = str(total).zfill(digits)[::-1]
    return whole.startswith(answer)


def valid(xs: list[int | str]) -> bool:
    return _is_sum("".join(map(str, xs)))


def reference(xs: list[int | str]) -> list[int | str]:
    text = "".join(map(str, xs))
    problem, equals, answer = text.partition("=")
    if not equals:
        return [END] * len(xs)
    numbers = problem.split("+")
    whole = str(sum(map(int, numbers))).zfill(max(map(len, numbers)))[::-1]
    return [END] * len(problem) + [*map(int, whole), END][: len(answer) + 1]
