"""The law that compiled and interpreted agree, checked on one sampled program."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.numpy_forward import predict
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.errors import CompileError
from tracr_lite.sampling import SampledProgram, sample_program

Run = Callable[[Any, Sequence[Sequence[Any]]], list[list[Any]]]


def jitted(model: Any, batch: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """As `predict`, by the model's own jitted forward."""
    bos = model.input_encoder.bos_token
    return [out[1:] for out in model.apply_batch([[bos, *xs] for xs in batch])]


def agree(expected: Any, found: Any) -> bool:
    """None only with None; numbers equal or within 1e-5, relative; others equal."""
    if expected is None or found is None:
        return expected is found
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return expected == found or math.isclose(expected, found, rel_tol=1e-5)
    return expected == found


@dataclass
class Outcome:
    """What happened to one program; `problem` is empty if all was well."""

    seed: int
    tried: int = 0
    refused: str = ""
    problem: str = ""

    @property
    def reason(self) -> str:
        """Why the program was refused, without its labels and numbers."""
        text = self.refused.splitlines()[1].split(": ", 1)[1] if self.refused else ""
        return re.sub(r"-?\d[\d.e+-]*|\w+_#?\d*\b(?=[ ,])", "#", text)[:70]


@dataclass
class Summary:
    """Counts over many programs."""

    run: int = 0
    tried: int = 0
    refused: list[Outcome] = field(default_factory=list[Outcome])
    failed: list[Outcome] = field(default_factory=list[Outcome])

    def add(self, outcome: Outcome) -> None:
        self.run += 1
        self.tried += outcome.tried
        if outcome.refused:
            self.refused.append(outcome)
        if outcome.problem:
            self.failed.append(outcome)

    def __str__(self) -> str:
        return (
            f"{self.run} programs, {self.tried} inputs, {len(self.refused)} refused, "
            f"{len(self.failed)} failed"
        )


def compiled(sample: SampledProgram, vocab: Sequence[Any] | None = None) -> Any:
    """The model of a sample, with its vocabulary or the same in another order."""
    tokens = sample.vocab if vocab is None else vocab
    return compile_rasp_to_model(
        sample.program, tokens, sample.max_seq_len, causal=sample.causal
    )


def answerable(
    sample: SampledProgram, inputs: Sequence[Sequence[Any]]
) -> list[tuple[Any, Any]]:
    """Inputs with what the evaluator says, except where it raises."""
    found: list[tuple[Any, Any]] = []
    for xs in inputs:
        try:
            found.append((xs, sample.evaluate(xs)))
        except Exception:  # whatever the functions of the program raise
            continue
    return found


def check(seed: int, run: Run = predict, count: int = 16) -> Outcome:
    """Compiles the program of a seed, and compares."""
    sample, outcome = sample_program(seed), Outcome(seed)
    try:
        model = compiled(sample)
    except CompileError as error:
        outcome.refused = str(error)
        return outcome
    except Exception as error:
        outcome.problem = f"{type(error).__name__}: {error}\n{sample.text}"
        return outcome
    cases = answerable(sample, sample.inputs(seed, count))
    outcome.tried = len(cases)
    answers = run(model, [xs for xs, _ in cases])
    for (xs, expected), found in zip(cases, answers, strict=True):
        if len(expected) != len(found) or not all(map(agree, expected, found)):
            outcome.problem = f"{xs}: not {expected} but {found}\n{sample.text}"
            break
    return outcome
