"""Writes a data set of random programs and their models: `write_dataset`.

Programs are drawn by number, in order. Those that compile become samples, numbered 0, 1, 2...;
the others are recorded as refused. So each byte follows from the recipe, however many processes
work on it, and however often they were stopped.
"""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tracr_lite.mass.beginning import begun, known, new_recipe
from tracr_lite.mass.draws import JOB, Drawn, Refused, draw, job_of
from tracr_lite.mass.errors import DatasetError, TimedOut, WorkerDied
from tracr_lite.mass.folder import locked, write_file
from tracr_lite.mass.manifest import (
    MANIFEST,
    FileState,
    Manifest,
    ShardEntry,
    names_of,
    read_manifest,
)
from tracr_lite.mass.pool import Pool, default_workers
from tracr_lite.mass.processes import Answer
from tracr_lite.mass.progress import Advance, progress_bar
from tracr_lite.mass.recipe import Recipe
from tracr_lite.mass.shards import Written, shard_bytes
from tracr_lite.mass.stream import stream

AHEAD = 32  # programs in work or waiting to be written, for each worker
PATIENCE = 2000  # programs refused one after the other before a run gives up


def write_dataset(
    folder: str | Path,
    *,
    workers: int | None = None,
    progress: bool | None = None,
    **arguments: Any,  # those of `Recipe`; None stands for its default
) -> Manifest:
    """Writes a data set, or continues one that was begun.

    **Arguments:**
    - `folder`: new, empty, or a data set; `docs/datasets.md` says what is in it then.
    - `workers`: processes; by default one per processor, 0: this one. Makes no difference to
      what is written.
    - `progress`: a bar on standard error; None shows it at a terminal.
    - `arguments`: of `Recipe`. To continue, leave them out, or give the same.

    **Returns:** what the folder holds now.
    **Raises:** `DatasetError` if the arguments are not those of the data set in the folder, and
    if it cannot be written.
    """
    path = Path(folder)
    given = {name: value for name, value in arguments.items() if value is not None}
    if unknown := sorted(given.keys() - Recipe.__dataclass_fields__.keys()):
        raise DatasetError(f"a data set has no argument {unknown[0]!r}")
    if workers is not None and (type(workers) is not int or workers < 0):
        raise DatasetError(f"workers is {workers!r}; it must be a number, 0 or more")
    if not (path / MANIFEST).exists():
        new_recipe(given)  # before the folder is made
    with locked(path), _in_words(path):
        if (path / MANIFEST).exists():
            return _run(path, known(path, given), workers, progress)
        manifest = begun(path, given)
        try:
            return _run(path, manifest, workers, progress)
        except DatasetError:
            if not read_manifest(path).shards:  # nothing came of these arguments
                (path / MANIFEST).unlink()
            raise


@contextmanager
def _in_words(folder: Path) -> Generator[None]:
    """Turns an error of the system into one of ours."""
    try:
        yield
    except OSError as error:
        where = error.filename or str(folder)
        raise DatasetError(
            f"cannot write {where!r}: {error.strerror or error}. What is finished stays; run "
            "the same again to continue"
        ) from error


def _run(
    folder: Path, manifest: Manifest, workers: int | None, progress: bool | None
) -> Manifest:
    """Writes what is missing, with a bar."""
    count = default_workers() if workers is None else workers
    start, total = manifest.samples, manifest.recipe.count
    with progress_bar(
        "sampling", total, shown=progress, start=start, failures="refused"
    ) as advance:
        return _continue(folder, manifest, count, advance)


@dataclass
class _Shard:
    """The shard that is being filled."""

    first: int
    samples: list[Written] = field(default_factory=list[Written])
    refused: list[str] = field(default_factory=list[str])


def _continue(folder: Path, manifest: Manifest, workers: int, advance: Advance) -> Manifest:
    recipe = manifest.recipe
    shard, in_a_row = _Shard(manifest.draws), Counter[str]()
    with _drawing(recipe, manifest.draws, workers) as outcomes:
        while not manifest.complete:
            number, outcome = next(outcomes)
            if isinstance(outcome, Drawn):
                index = manifest.samples + len(shard.samples)
                shard.samples.append(Written(index, outcome.record, outcome.params))
                in_a_row.clear()
            else:
                shard.refused.append(outcome.to_line())
                in_a_row[outcome.reason] += 1
                _give_up_after(in_a_row)
            advance(isinstance(outcome, Drawn), isinstance(outcome, Refused))
            left = recipe.count - manifest.samples
            if len(shard.samples) == min(recipe.shard_size, left):
                manifest = _finish(folder, manifest, shard, number + 1)
                shard = _Shard(number + 1)
    return manifest


def _give_up_after(in_a_row: Counter[str]) -> None:
    if in_a_row.total() >= PATIENCE:
        reason, times = in_a_row.most_common(1)[0]
        raise DatasetError(
            f"the last {PATIENCE} programs were all refused, {times} of them so: {reason}"
        )


def _finish(folder: Path, manifest: Manifest, shard: _Shard, end: int) -> Manifest:
    """Writes the files of a shard, then the manifest that names them."""
    names = names_of(len(manifest.shards))
    dense = manifest.recipe.storage == "dense"
    data = shard_bytes(shard.samples, shard.refused, dense=dense)
    for name, content in zip(names, data, strict=True):
        write_file(folder, name, content)
    files = {name: FileState.of(content) for name, content in zip(names, data, strict=True)}
    entry = ShardEntry(len(shard.samples), (shard.first, end), len(shard.refused), files)
    manifest = replace(manifest, shards=(*manifest.shards, entry))
    write_file(folder, MANIFEST, manifest.to_bytes())
    return manifest


@contextmanager
def _drawing(
    recipe: Recipe, start: int, workers: int
) -> Generator[Iterator[tuple[int, Drawn | Refused]]]:
    """Endless (number, outcome) pairs, from number `start` on, in order."""

    if workers == 0:
        if recipe.timeout is not None:
            raise DatasetError("timeout needs a worker process to stop; use workers=1 or more")
        yield ((number, draw(recipe, number)) for number in itertools.count(start))
        return

    def outcomes(answers: Iterator[Answer]) -> Generator[tuple[int, Drawn | Refused]]:
        for number, answer in enumerate(answers, start):
            yield number, _outcome(recipe, number, answer)

    jobs = (job_of(recipe, number) for number in itertools.count(start))
    with Pool(JOB, workers, recipe.timeout) as pool:
        yield outcomes(stream(pool, jobs, ahead=AHEAD * workers, ordered=True))


def _outcome(recipe: Recipe, number: int, answer: Answer) -> Drawn | Refused:
    if isinstance(answer.error, WorkerDied):
        return Refused(number, "died", str(answer.error), recipe.program(number).text)
    if isinstance(answer.error, TimedOut):
        return Refused(number, "too slow", str(answer.error), recipe.program(number).text)
    if answer.error is not None:
        raise answer.error
    assert answer.value is not None
    return pickle.loads(answer.value)
