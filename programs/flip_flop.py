"""A one-bit memory: "set" and "reset" write it, "hold" keeps it. Its content after every step.

    hold set hold reset hold   ->   False True True False False

The state is decided by the latest write, however long ago. Number the writes; the number
reached here says which one to look at. Before the first write the memory holds False.

Teaches: Memory is attention to the latest write.
Source: the memory unit from which Liu et al. 2022, arXiv:2210.10749, build shortcuts to
automata.
Run:  tracr-lite run flip_flop hold set hold reset hold
"""

from tracr_lite.rasp import rasp

VOCAB = ("set", "reset", "hold")
MAX_SEQ_LEN = 10
CAUSAL = True
EXAMPLES = [
    (["hold", "set", "hold", "reset", "hold"], [False, True, True, False, False]),
    (["set", "hold", "hold"], [True, True, True]),
]

write = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k != "hold")
writes = rasp.SelectorWidth(write).named("writes")  # causal: the writes up to here
number = rasp.SequenceMap(
    lambda n, token: -1 if token == "hold" else n, writes, rasp.tokens
).named("number")
latest_write = rasp.Select(number, writes, rasp.Comparison.EQ)
latest = rasp.Aggregate(latest_write, rasp.tokens, default="reset").named("latest")
PROGRAM = (latest == "set").named("flip_flop")


def reference(xs: list[str]) -> list[bool]:
    state, states = False, []
    for x in xs:
        state = {"set": True, "reset": False, "hold": state}[x]
        states.append(state)
    return states
