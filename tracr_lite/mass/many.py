"""Compiles many programs, over several processes: `compile_many`."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from tracr_lite.mass import wire
from tracr_lite.mass.pool import Pool, default_workers
from tracr_lite.mass.processes import Answer
from tracr_lite.mass.progress import progress_bar
from tracr_lite.mass.sent import load_model
from tracr_lite.mass.stream import stream
from tracr_lite.rasp.base import RASPExpr
from tracr_lite.transformer.sparse_params import SparseParams

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel

OPTIONS = ("causal", "compiler_bos", "compiler_pad", "mlp_exactness")
JOB = "tracr_lite.mass.jobs:compile_job"  # what workers do
AHEAD = 32  # programs taken in advance, for each worker

# (program, vocab, max_seq_len), and perhaps a mapping of options; checked when its turn comes
Request = Any


@dataclass(frozen=True)
class CompiledProgram:
    """What became of one program: `model`, or the `error` that `model` raises.

    **Arguments:**
    - `index`: its position in the input, from 0. `program`: the program, as it was given.
    - `error`: None if it compiled.
    """

    index: int
    program: Any
    error: Exception | None = None
    _model: AssembledTransformerModel | None = field(default=None, repr=False)

    @property
    def model(self) -> AssembledTransformerModel:
        """The model; the arrays of its weights are made when it is first asked for.

        **Raises:** `error`, if there is one.
        """
        if self.error is not None:
            raise self.error
        model = cast("AssembledTransformerModel", self._model)
        if isinstance(model.params, SparseParams):  # asked for the first time
            model.params = model.params.dense()
        return model


def compile_many(
    requests: Iterable[Request],
    *,
    workers: int | None = None,
    ordered: bool = True,
    timeout: float | None = None,
    ahead: int | None = None,
    progress: bool | None = None,
    total: int | None = None,
    **options: Any,  # those of `compile_rasp_to_model`
) -> Generator[CompiledProgram]:
    """Compiles programs in worker processes; yields a `CompiledProgram` for each, lazily.

    A program that fails does not stop the others: its item has an `error`, and its `model`
    raises that error. Models are those of `compile_rasp_to_model`: each has a certificate that
    holds. Refusals are, too, but do not say which `max_seq_len` would compile: looking for it
    takes longer than compiling; compile the program alone to know.

    **Arguments:**
    - `requests`: `(program, vocab, max_seq_len)` or `(program, vocab, max_seq_len, options)`,
      options as a mapping, such as `{"causal": True}`. May be endless: programs are taken as
      workers become free.
    - `workers`: processes; by default one per processor. 0 compiles in this process.
    - `ordered`: items come in the order of `requests`; else as they are done.
    - `timeout`: seconds for one program; its item then has a `TimedOut`. Needs workers.
    - `ahead`: most programs taken before their items are used; by default 32 per worker.
    - `progress`: a bar on standard error; None shows it at a terminal. `total`: its end, if
      `requests` has no length.
    - `options`: of `compile_rasp_to_model`, for all programs that do not say otherwise.

    **Returns:** a generator; `close()`, or leaving it, ends the workers.
    **Raises:** `TypeError`, `ValueError` for arguments; `MassError` if no worker can start.
    """
    _check(workers, timeout, ahead, options)
    count = default_workers() if workers is None else workers
    if total is None and hasattr(requests, "__len__"):
        total = len(cast("list[Request]", requests))
    return _compile(
        requests, options, (count, timeout, ahead or AHEAD * count, ordered), (progress, total)
    )


def _check(
    workers: int | None, timeout: float | None, ahead: int | None, options: Mapping[str, Any]
) -> None:
    if workers is not None and (type(workers) is not int or workers < 0):
        raise ValueError(f"workers is {workers!r}; it must be a number of processes, 0 or more")
    if ahead is not None and ahead < 1:
        raise ValueError(f"ahead is {ahead}; it must be 1 or more")
    if timeout is not None and not 0 < timeout < math.inf:
        raise ValueError(f"timeout is {timeout}; it must be a number of seconds, or None")
    if timeout is not None and workers == 0:
        raise ValueError("timeout needs a worker process to stop; use workers=1 or more")
    _check_options(options)


def _check_options(options: Mapping[str, Any]) -> None:
    if unknown := [name for name in options if name not in OPTIONS]:
        raise TypeError(f"there is no option {unknown[0]!r}; there are {', '.join(OPTIONS)}")


def _compile(
    requests: Iterable[Request],
    options: Mapping[str, Any],
    how: tuple[int, float | None, int, bool],
    shown: tuple[bool | None, int | None],
) -> Generator[CompiledProgram]:
    """`how`: workers, timeout, ahead, ordered. `shown`: progress, total."""
    workers, timeout, ahead, ordered = how
    with progress_bar("compiling", shown[1], shown=shown[0]) as advance:
        if workers == 0:
            items = _here(requests, options)
        else:
            items = _in_workers(requests, options, (workers, timeout, ahead, ordered))
        try:
            for item in items:
                advance(1, item.error is not None)
                yield item
        finally:
            items.close()


def _here(
    requests: Iterable[Request], options: Mapping[str, Any]
) -> Generator[CompiledProgram]:
    """Without worker processes."""
    from tracr_lite.compiler.compiling import compile_once  # it needs JAX

    for index, request in enumerate(requests):
        try:
            program, (vocab, size, own) = _read(request, options)
            model = compile_once(program, vocab, size, **own)
        except Exception as error:  # whatever the functions of a program raise; it is yielded
            yield CompiledProgram(index, _program_of(request), error)
        else:
            yield CompiledProgram(index, program, None, model)
            del model  # not kept alive while the next one is compiled


def _in_workers(
    requests: Iterable[Request],
    options: Mapping[str, Any],
    how: tuple[int, float | None, int, bool],
) -> Generator[CompiledProgram]:
    workers, timeout, ahead, ordered = how
    # the programs whose items were not yielded yet, and what else was sent
    open_ones: dict[int, tuple[Any, Any]] = {}

    def jobs() -> Iterator[bytes | Exception]:
        for index, request in enumerate(requests):
            open_ones[index] = _program_of(request), None
            try:
                open_ones[index] = _read(request, options)
                job = wire.dump_request(*open_ones[index])
            except Exception as error:  # of this request; it is yielded
                yield error
            else:
                yield job

    with Pool(JOB, workers, timeout) as pool:
        for answer in stream(pool, jobs(), ahead=ahead, ordered=ordered):
            yield _item(answer, *open_ones.pop(answer.number))


def _item(answer: Answer, program: Any, rest: Any) -> CompiledProgram:
    if answer.value is None:
        return CompiledProgram(answer.number, program, answer.error)
    model = load_model(answer.value, program, rest)
    return CompiledProgram(answer.number, program, None, model)


def _program_of(request: Request) -> Any:
    """The program of a request, or the whole of it if it is no request."""
    items = _items(request)
    return items[0] if items else request


def _items(request: Request) -> list[Any]:
    return list(cast("list[Any]", request)) if isinstance(request, tuple | list) else []


def _read(request: Request, common: Mapping[str, Any]) -> tuple[Any, tuple[Any, int, Any]]:
    """The program, and vocabulary, length and options. **Raises:** `TypeError` saying why."""
    items = _items(request)
    if len(items) not in (3, 4):
        raise TypeError(
            "a request is (program, vocab, max_seq_len) or (program, vocab, max_seq_len, "
            f"options); got {_short(request)}"
        )
    program, vocab, size = items[:3]
    own: Any = items[3] if len(items) == 4 else {}
    if not isinstance(own, Mapping):
        raise TypeError(f"the options of a request are a mapping; got {_short(own)}")
    options = {**common, **cast("Mapping[str, Any]", own)}
    _check_options(options)
    if not isinstance(program, RASPExpr):
        raise TypeError(f"the program of a request is an S-Op; got {_short(program)}")
    return program, (list(vocab), size, options)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
