"""Samples programs: grows a pool of expressions, each seen to have values, and takes the last.

sample = sample_program(7)
sample.program, sample.vocab, sample.max_seq_len, sample.causal
print(sample.text)
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.rasp.base import topological
from tracr_lite.rasp.values import Value
from tracr_lite.sampling.grow import add_constant, grow
from tracr_lite.sampling.observe import Observer, probe_inputs
from tracr_lite.sampling.pool import Pool
from tracr_lite.sampling.source import IMPORTS, source_of
from tracr_lite.sampling.vocabularies import sample_vocab

MAX_STEPS = 60  # attempts to add an expression
_LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 14)
_LENGTH_WEIGHTS = (1, 2, 3, 4, 5, 5, 3, 3, 1, 1)


@dataclass(frozen=True)
class SampledProgram:
    """A program, and all that compiling it needs.

    **Arguments:**
    - `vocab`: different tokens, in random order; `max_seq_len`: of its inputs.
    - `causal`: whether its meaning is that of `causal_eval.evaluate`.
    - `lengths`: input lengths at which it was seen to have a value; longer occurrences first.
    """

    program: rasp.SOp
    vocab: tuple[Value, ...]
    max_seq_len: int
    causal: bool
    lengths: tuple[int, ...]

    @cached_property
    def text(self) -> str:
        """Python source that builds the program and names the rest; it runs by itself."""
        lines = source_of(self.program)
        last = lines.splitlines()[-1].split(" = ")[0]
        rest = f"vocab, max_seq_len, causal = {self.vocab!r}, {self.max_seq_len}, {self.causal}"
        return f"{IMPORTS}\n{lines}\nprogram = {last}\n{rest}\n"

    def evaluate(self, xs: Sequence[Value]) -> list[Value]:
        """What the program is on `xs`, by the evaluator that it means."""
        run = causal_eval.evaluate if self.causal else rasp.evaluate
        return list(run(self.program, xs))  # pyright: ignore[reportArgumentType, reportReturnType]

    def inputs(self, seed: int | str, count: int) -> list[list[Value]]:
        """Inputs to try: all-equal ones, the shortest, the longest, and random ones."""
        rng = random.Random(seed)
        longest = max(self.lengths)
        found = [[token] * n for token in self.vocab for n in sorted({1, longest})]
        for number in range(count):
            n = longest if number % 2 else rng.choice(self.lengths)
            found.append([rng.choice(self.vocab) for _ in range(n)])
        return found


def sample_program(
    seed: int | str | random.Random,
    *,
    nodes: tuple[int, int] = (1, 12),
    max_seq_len: int | None = None,
    vocab_size: int | None = None,
    causal: bool | None = None,
) -> SampledProgram:
    """A random program.

    **Arguments:**
    - `seed`: equal seeds give equal programs, in any process; or a source of randomness.
    - `nodes`: least and most expressions aimed at; library functions may add a few more.
    - `max_seq_len`, `vocab_size`, `causal`: None draws them too.
    """
    rng = seed if isinstance(seed, random.Random) else random.Random(seed)
    target = rng.randint(*nodes)
    drawn = rng.choices(_LENGTHS, _LENGTH_WEIGHTS)[0]
    length = drawn if max_seq_len is None else max_seq_len
    masked = rng.random() < 0.3 if causal is None else causal
    vocab = sample_vocab(rng, vocab_size)
    probes = probe_inputs(rng, vocab, length)
    pool = Pool(rng, vocab, length, masked, Observer(probes, causal=masked))
    program = _bare(pool) if target == 1 else _grown(pool, target)
    return SampledProgram(program, vocab, length, masked, pool.observer.lengths(program))


def _bare(pool: Pool) -> rasp.SOp:
    """A program without inner expressions."""
    if pool.rng.random() < 0.5:
        add_constant(pool)
    return pool.sop() if pool.new is None else pool.new


def _grown(pool: Pool, target: int) -> rasp.SOp:
    """The first S-Op that is made of `target` expressions or more."""
    for _ in range(MAX_STEPS):
        grow(pool)
        if pool.new is not None and len(topological(pool.new)) >= target:
            return pool.new
    return pool.sops[-1]
