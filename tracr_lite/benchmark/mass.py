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
    start, _ = _many(programs[: count // 10])
    seconds, items = _many(programs)
    rate = (count - count // 10) / (seconds - start)
    return [
        f"{count} random programs (n = {LENGTH}, V = {TOKENS}, {NODES[0]} to {NODES[1]} nodes) "
        f"compiled one by one: {count / sum(each):.0f} per CPU second; median "
        f"{1e3 * statistics.median(each):.2f} ms, slowest {max(each):.2f} s.",
        f"Through compile_many, {items} models of them: {rate:.0f} per CPU second of all "
        f"processes together once they run; the {start:.1f} CPU seconds of a run of "
        f"{count // 10}, in which workers start, are taken off.",
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
    """CPU seconds of this process and its workers, and how many programs compiled.

    Each model is asked for, so that the arrays of its weights are made.
    """
    before = os.times()
    requests: list[Any] = [(p.program, p.vocab, LENGTH, {"causal": p.causal}) for p in programs]
    items = compile_many(requests, progress=False)
    good = sum(1 for item in items if item.error is None and item.model.params)
    after = os.times()
    return sum(b - a for a, b in zip(before[:4], after[:4], strict=True)), good
