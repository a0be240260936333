"""What the program says, input by input: by the interpreter that gives it its meaning.

The interpreter is Python and takes most of the time; it can be spread over processes.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from tracr_lite.errors import RAISED
from tracr_lite.mass import wire
from tracr_lite.mass.errors import NotSendable
from tracr_lite.mass.pool import Pool
from tracr_lite.mass.stream import stream
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.rasp.base import RASPExpr
from tracr_lite.verifying.errors import VerifyError

AHEAD = 3  # slices taken in advance, for each worker
JOB = f"{__name__}:evaluate_job"  # what a worker imports and calls

Inputs = list[list[Any]]


@dataclass(frozen=True)
class Raised:
    """The program has no value for an input: it raised this, so nothing is promised there."""

    text: str


Outcome = list[Any] | Raised


@dataclass(frozen=True)
class Reference:
    """What a model is compared with.

    **Arguments:** `program`: an S-Op, or a function from a list of tokens to a value for each;
    `causal`: whether an S-Op means what the causal interpreter says.
    """

    program: Any
    causal: bool

    @property
    def name(self) -> str:
        """How to call it in a report."""
        if isinstance(self.program, RASPExpr):
            return self.program.name
        return getattr(self.program, "__name__", type(self.program).__name__)

    def on(self, xs: list[Any]) -> Outcome:
        """Its values on one input.

        **Raises:** `VerifyError` if it does not give one value per token.
        """
        try:
            values = list(self._call(list(xs)))
        except RAISED as error:  # whatever the functions of a program raise
            return Raised(f"{type(error).__name__}: {error}")
        if len(values) != len(xs):
            raise VerifyError(
                f"{self.name} gave {len(values)} values for {len(xs)} tokens; a model gives "
                "one per token, so they cannot be compared"
            )
        return values

    def _call(self, xs: list[Any]) -> Sequence[Any]:
        if not isinstance(self.program, RASPExpr):
            return self.program(xs)
        evaluate = causal_eval.evaluate if self.causal else rasp.evaluate
        return cast("Sequence[Any]", evaluate(self.program, xs))


def as_reference(program: Any, *, causal: bool) -> Reference:
    """**Raises:** `VerifyError` if `program` is neither an S-Op nor a function."""
    if isinstance(program, rasp.Selector):
        raise VerifyError(
            "a selector has no values to compare; wrap it in SelectorWidth or Aggregate"
        )
    if not callable(program):
        raise VerifyError(
            f"a program is an S-Op, or a function from a list of tokens to a list of values; "
            f"got {program!r}"
        )
    return Reference(program, causal)


def evaluated(
    slices: Iterator[Inputs], reference: Reference, workers: int
) -> Generator[tuple[Inputs, list[Outcome]]]:
    """Each slice of inputs with what the program says; 0 workers evaluate in this process.

    **Raises:** `VerifyError` as `Reference.on`, or if the program cannot be sent to a worker.
    """
    if workers == 0:
        for inputs in slices:
            yield inputs, [reference.on(xs) for xs in inputs]
        return
    held: dict[int, Inputs] = {}
    blob = _blob(reference)

    def jobs() -> Iterator[bytes]:
        for number, inputs in enumerate(slices):
            held[number] = inputs
            yield pickle.dumps((blob, inputs))

    with Pool(JOB, workers) as pool:
        for answer in stream(pool, jobs(), ahead=AHEAD * workers, ordered=True):
            if answer.value is None:
                raise answer.error or VerifyError("a worker process gave no answer")
            yield held.pop(answer.number), pickle.loads(answer.value)


def evaluate_job(job: bytes) -> bytes:
    """What a worker does: the bytes of a slice of inputs to the bytes of its outcomes."""
    blob, inputs = pickle.loads(job)
    reference = _received(blob)
    return pickle.dumps([reference.on(xs) for xs in inputs])


@lru_cache(maxsize=1)
def _received(blob: bytes) -> Reference:
    program, (function, causal) = wire.load_request(blob)
    return Reference(program if function is None else function, causal)


def _blob(reference: Reference) -> bytes:
    program = reference.program
    parts = (program, None) if isinstance(program, RASPExpr) else (rasp.tokens, program)
    try:
        return wire.dump_request(parts[0], (parts[1], reference.causal))
    except NotSendable as error:
        raise VerifyError(f"{error.__cause__}: use workers=0 for this program") from error
