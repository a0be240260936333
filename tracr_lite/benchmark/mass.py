"""How many small random programs compile per CPU second, alone and over worker processes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

from tracr_lite.compiler.compiling import compile_rasp_to_model
from tracr_lite.errors import CompileError
from tracr_lite.mass.many import compile_many
from tracr_lite.sampling import SampledProgram, sample_program

NODES, TOKENS, LENGTH = (6, 10), 5, 5


def sample(count: int) -> list[SampledProgram]:
    """Random programs of 6 to 10 nodes, for 5 tokens and inputs of up to 5."""
    return [
        sample_program(seed, nodes=NODES, max_seq_len=LENGTH, vocab_size=TOKENS)
        for seed in range(count)
    ]


def lines(count: int) -> list[str]:
    """Two sentences: compiling alone, and `compile_many`."""
    programs = sample(count)
    each = _alone(programs)
    rate, items = _many(programs)
    return [
        f"{count} random programs (n = {LENGTH}, V = {TOKENS}, {NODES[0]} to {NODES[1]} nodes) "
        f"compiled one by one: {count / sum(each):.0f} per CPU second; median "
        f"{1e3 * statistics.median(each):.2f} ms, slowest {max(each):.2f} s.",
        f"The same through compile_many: {rate:.0f} per CPU second of all processes together, "
        f"{items} models.",
    ]


def _alone(programs: Sequence[SampledProgram]) -> list[float]:
    seconds: list[float] = []
    for each in programs:
        started = time.process_time()
        try:
            compile_rasp_to_model(each.program, each.vocab, LENGTH, causal=each.causal)
        except CompileError:
            pass  # a refusal takes time too
        seconds.append(time.process_time() - started)
    return seconds


def _many(programs: Sequence[SampledProgram]) -> tuple[float, int]:
    """Programs per CPU second, and how many compiled."""
    before = os.times()
    requests: list[Any] = [(p.program, p.vocab, LENGTH, {"causal": p.causal}) for p in programs]
    good = sum(item.error is None for item in compile_many(requests, progress=False))
    after = os.times()
    return len(programs) / sum(b - a for a, b in zip(before[:4], after[:4], strict=True)), good
