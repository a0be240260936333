"""A counter modulo 3 that can be reset: the state of a small automaton after every step.

    up up stay up reset up   ->   1 2 2 0 0 1

Only what came after the latest reset matters, and of that only how often it went up. The
number of resets so far names the stretch; count the ups in the same stretch, modulo 3. No
state is carried from one position to the next, so the depth does not grow with the length.

Teaches: State without recurrence: only what came after the last reset matters.
Source: shortcuts to automata, Liu et al. 2022, arXiv:2210.10749.
Run:  tracr-lite run finite_automaton up up stay up reset up
"""

from tracr_lite.rasp import rasp

VOCAB = ("up", "stay", "reset")
MAX_SEQ_LEN = 10
CAUSAL = True
EXAMPLES = [
    (["up", "up", "stay", "up", "reset", "up"], [1, 2, 2, 0, 0, 1]),
    (["reset", "stay"], [0, 0]),
]

reset = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "reset")
up = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "up")
stretch = rasp.SelectorWidth(reset).named("stretch")  # causal: the resets up to here
same_stretch = rasp.Select(stretch, stretch, rasp.Comparison.EQ)
ups = rasp.SelectorWidth(same_stretch & up).named("ups")
PROGRAM = (ups % 3).named("finite_automaton")


def reference(xs: list[str]) -> list[int]:
    state, states = 0, []
    for x in xs:
        state = {"up": (state + 1) % 3, "stay": state, "reset": 0}[x]
        states.append(state)
    return states
