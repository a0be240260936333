"""The sum of two decimal numbers, written out digit by digit and right-aligned.

    4 7 + 5 5   ->   0 0 1 0 2

The last position is for the ones, the one before it for the tens, and so on. Each position

1. fetches the digit of the first number that belongs to its place (a head: a digit knows its
   place by the digits behind it in the same number), and adds the digit of the second number,
   which stands there already. That gives a column sum of 0 to 18;
2. needs the carry. Columns below 9 never pass one on, those above 9 always do, and a 9 hands
   on what it gets. So the carry comes from the nearest column to the right that is not 9:
   number those from the right, and fetch the one with the number reached here;
3. looks up the digit.

No step depends on the number of digits, so there is no loop, and the depth stays the same.
Precondition: exactly one "+".
Teaches: Carries without a loop: number the columns that pass none on, and look one up.
Run:  tracr-lite run addition 4 7 + 5 5
"""

from tracr_lite.rasp import rasp

VOCAB = (*"0123456789", "+")
MAX_SEQ_LEN = 7
EXAMPLES = [
    ([*"47+55"], [*"00102"]),
    ([*"999+1"], [*"01000"]),
    ([*"1+2"], [*"003"]),
    ([*"345+655"], [*"0001000"]),
]

so_far = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
later = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.GT)
plus = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "+")
in_second = (rasp.SelectorWidth(so_far & plus) > 0).named("in_second")  # from the + on

# 1. the column sums
column = rasp.SelectorWidth(later).named("column")  # 0 for the ones, 1 for the tens, ...
first_number = rasp.Select(in_second, in_second, lambda k, q: not k)
digits_behind = rasp.SelectorWidth(first_number & later).named("digits_behind")
place = rasp.SequenceMap(lambda n, second: -1 if second else n, digits_behind, in_second)
digit = rasp.Map(lambda token: 0 if token == "+" else int(token), rasp.tokens).named("digit")
upper = rasp.Aggregate(rasp.Select(place, column, rasp.Comparison.EQ), digit, default=0).named(
    "upper"
)
lower = rasp.SequenceMap(lambda d, second: d if second else 0, digit, in_second).named("lower")
total = rasp.SequenceMap(lambda x, y: int(x) + y, upper, lower).named("total")

# 2. the carries
decides = rasp.Select(total, total, lambda k, q: k != 9)
decided_right = rasp.SelectorWidth(decides & later).named("decided_right")
number = rasp.SequenceMap(lambda n, x: -1 if x == 9 else n + 1, decided_right, total).named(
    "number"
)
carry = rasp.Aggregate(
    rasp.Select(number, decided_right, rasp.Comparison.EQ), total > 9, default=False
).named("carry")

# 3. the digits
PROGRAM = rasp.SequenceMap(lambda x, c: str((x + int(c)) % 10), total, carry).named("addition")


def valid(xs: list[str]) -> bool:
    return xs.count("+") == 1


def reference(xs: list[str]) -> list[str]:
    first, second = "".join(xs).split("+")
    return [*str(int(first or "0") + int(second or "0")).zfill(len(xs))]
