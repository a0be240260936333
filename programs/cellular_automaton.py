"""The next generation of the cellular automaton "rule 110".

    0 1 1 0 1   ->   1 1 1 1 1        (a cell becomes 0 below 111, 100 and 000, else 1)

Two heads fetch the left and the right neighbour (0 outside), and a function of three inputs
looks up what the cell becomes: the map with three inputs, made of two with two.

Teaches: Neighbours by heads, a rule of three inputs by one MLP.
Source: make_nary_sequencemap in the library of Tracr, arXiv:2301.05062.
Run:  tracr-lite run cellular_automaton 0 1 1 0 1
"""

from tracr_lite.compiler import lib
from tracr_lite.rasp import rasp

VOCAB = (0, 1)
MAX_SEQ_LEN = 10
EXAMPLES = [
    ([0, 1, 1, 0, 1], [1, 1, 1, 1, 1]),
    ([1, 1, 1, 0, 0], [1, 0, 1, 0, 0]),
]
DIES = {(1, 1, 1), (1, 0, 0), (0, 0, 0)}

left = rasp.Aggregate(
    rasp.Select(rasp.indices, rasp.indices, lambda k, q: k == q - 1), rasp.tokens, default=0
).named("left")
right = rasp.Aggregate(
    rasp.Select(rasp.indices, rasp.indices, lambda k, q: k == q + 1), rasp.tokens, default=0
).named("right")
PROGRAM = lib.make_nary_sequencemap(
    lambda *cells: 0 if cells in DIES else 1, left, rasp.tokens, right
).named("next_generation")


def reference(xs: list[int]) -> list[int]:
    row = [0, *xs, 0]
    return [
        110 >> (4 * row[i - 1] + 2 * row[i] + row[i + 1]) & 1 for i in range(1, len(row) - 1)
    ]
