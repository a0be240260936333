"""Runs a finite automaton on the bits before the separator: writes the state after each.

    1 1 0 |   ->   r1 r0 r0 END

Autoregressive: the output at the last position is the next token. The automaton reads a binary
number, and its states r0, r1, r2 are the remainder modulo 3. A single pass of a transformer
takes a fixed number of steps; here each new state is written down and read again, so that the
run can be as long as the context: from the last state and the next bit, the next state.
Before the separator the answer is "END" throughout.

Teaches: Writing steps down to go beyond a fixed depth.
Source: automata from written steps, as in Merrill and Sabharwal 2024, arXiv:2310.07923.
Run:  tracr-lite run generate_automaton 1 1 0 "|" r1 r0
"""

from tracr_lite.rasp import rasp

STATES = ("r0", "r1", "r2")
VOCAB = ("0", "1", "|", *STATES)
MAX_SEQ_LEN = 12
CAUSAL = True
END = "END"
PROMPTS = [
    ([*"110|"], ["r1", "r0", "r0"]),
    ([*"10101|"], ["r1", "r2", "r2", "r1", "r0"]),
    (["|"], []),
]
EXAMPLES = [
    ([*"11|"], ["END", "END", "r1"]),
    ([*"11|", "r1", "r0"], ["END", "END", "r1", "r0", "END"]),
]

separators = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == "|")
in_prompt = (rasp.SelectorWidth(separators) == 0).named("in_prompt")
prompt = rasp.Select(in_prompt, in_prompt, lambda k, q: k)
size = rasp.SelectorWidth(prompt).named("size")
source = rasp.categorical(rasp.LinearSequenceMap(rasp.indices, size, 1, -1)).named("source")
bit = rasp.Aggregate(
    rasp.Select(rasp.indices, source, rasp.Comparison.EQ), rasp.tokens, default="|"
).named("bit")
state = rasp.Map(lambda token: STATES.index(token) if token in STATES else 0, rasp.tokens)


def step(state: int, bit: str) -> str:
    return STATES[(2 * state + int(bit)) % 3] if bit in ("0", "1") else END


PROGRAM = rasp.SequenceMap(step, state, bit).named("generate_automaton")


def reference(xs: list[str]) -> list[str]:
    size = xs.index("|") if "|" in xs else len(xs)
    answers = []
    for i, x in enumerate(xs):
        before = "r0r1r2".index(x) // 2 if x in ("r0", "r1", "r2") else 0
        bit = xs[i - size] if i >= size else "|"
        answers.append(f"r{(2 * before + int(bit)) % 3}" if bit in ("0", "1") else END)
    return answers
