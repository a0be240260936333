"""Runs a model and its program side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.forward import bucket
from tracr_lite.verifying.evaluating import Outcome, Reference, evaluated
from tracr_lite.verifying.inputs import Drawn, Space
from tracr_lite.verifying.judging import Judge
from tracr_lite.verifying.report import Failure
from tracr_lite.verifying.running import Runner, Started
from tracr_lite.verifying.shrinking import shrink
from tracr_lite.verifying.tally import Tally, failure_of

IDS = 2**15  # token ids that run together, padding included
MOST, LEAST = 1024, 8  # inputs that run together

Advance = Callable[[int, int], None]  # more are done, more of them differ
Named = tuple[tuple[str, ...], list[list[Any]]]  # strata and inputs


class Comparison:
    """A model and a program, as `reference`."""

    def __init__(self, model: AssembledTransformerModel, reference: Reference, *, dense: bool):
        self._reference = reference
        self._runner = Runner(model, dense=dense)
        self._judge = Judge(model.output_encoder)
        self._positions = int(model.params["pos_embed"]["embeddings"].shape[0])

    def run(self, drawn: Iterator[Drawn], workers: int, advance: Advance) -> Tally:
        """Compares on every input drawn; the device computes while the program is evaluated."""
        tally = Tally(self._judge)
        names: list[tuple[str, ...]] = []

        def slices() -> Iterator[list[list[Any]]]:
            for strata, inputs in self._together(drawn):
                names.append(strata)
                yield inputs

        def judge(number: int, outcomes: list[Outcome], started: Started) -> None:
            answers = self._runner.finish(started)
            rows = zip(names[number], started.inputs, outcomes, answers, strict=True)
            differ = sum([tally.add(*row) for row in rows])
            advance(len(outcomes), differ)

        waiting: tuple[int, list[Outcome], Started] | None = None
        with closing(evaluated(slices(), self._reference, workers)) as pairs:
            for number, (inputs, outcomes) in enumerate(pairs):
                started = self._runner.start(inputs)  # returns before the device is done
                if waiting is not None:
                    judge(*waiting)
                waiting = number, outcomes, started
        if waiting is not None:
            judge(*waiting)
        return tally

    def _together(self, drawn: Iterator[Drawn]) -> Iterator[Named]:
        """Inputs of like length together, as many as shall run at a time."""
        waiting: dict[int, list[Drawn]] = {}
        for each in drawn:
            size = bucket(len(each[1]) + 1, self._positions)
            group = waiting.setdefault(size, [])
            group.append(each)
            if len(group) == max(LEAST, min(MOST, IDS // size)):
                yield _named(waiting.pop(size))
        for size in sorted(waiting):
            yield _named(waiting[size])

    def shrunk(self, failure: Failure, space: Space) -> tuple[Failure, bool]:
        """A smaller input on which they differ, and whether it is as small as can be."""
        return shrink(failure, space.vocab, frozenset(space.lengths), self._failures)

    def _failures(self, inputs: list[list[Any]]) -> list[Failure | None]:
        answers = self._runner.finish(self._runner.start(inputs))
        outcomes = [self._reference.on(xs) for xs in inputs]
        rows = zip(inputs, outcomes, answers, strict=True)
        return [failure_of(self._judge, *row) for row in rows]


def _named(group: list[Drawn]) -> Named:
    return tuple(name for name, _ in group), [tokens for _, tokens in group]
