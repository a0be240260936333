"""Writing a checkpoint of any known format, and converting one into another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

from tracr_lite.llama.checkpoint import Checkpoint, load_checkpoint
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import CannotStore, CheckpointError
from tracr_lite.llama.formats.aside import FILE, FOLDER, Writer, aside, publish
from tracr_lite.llama.formats.hf_folder import CONFIG, INDEX
from tracr_lite.llama.formats.numbers import Tick
from tracr_lite.llama.formats.source import ArraySource
from tracr_lite.llama.formats.target import Target, bin_header
from tracr_lite.llama.formats.write_bin import Errors, write_bin
from tracr_lite.llama.formats.write_hf import plan_folder, write_folder
from tracr_lite.llama.weights import NAMES, LlamaWeights, check_weights, shapes

Progress = Callable[[int, int], None]  # numbers just done, numbers in all


@dataclass(frozen=True)
class Written:
    """What a run wrote.

    **Arguments:**
    - `paths`: the files, and `nbytes`, their size together.
    - `errors`: for each tensor whose numbers were rounded or quantized, the largest absolute
      difference to what they were; empty if every number was kept.
    - `group_size`: of a quantized format.
    - `notes`: what a user should know, one sentence each.
    """

    format: str
    paths: tuple[Path, ...]
    nbytes: int
    errors: Errors
    group_size: int | None
    notes: tuple[str, ...]


def save_checkpoint(
    path: str | Path,
    config: LlamaConfig,
    weights: LlamaWeights,
    target: Target | str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Writes weights in memory to a file or folder that appears only when it is whole.

    **Arguments:** `target`: a format by name, or a `Target`. `overwrite`: whether a file at
    `path` may be replaced. `progress`: told numbers just done, and all there are.
    **Raises:** `CannotStore` if the format has no place for something; `WeightsError` if the
    weights are not those of `config`, or not finite; `CheckpointError` if writing fails.
    """
    check_weights(config, weights)
    groups = {getattr(each, "group_size", None) for each in weights.tensors().values()} - {None}
    group = groups.pop() if len(groups) == 1 else None
    model = Checkpoint(config, "memory", ArraySource(weights), (), group)
    return write(model, path, target, overwrite=overwrite, progress=progress)


def convert(
    source: str | Path,
    path: str | Path,
    target: Target | str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Writes the checkpoint `source` in another format, in constant memory.

    Numbers are kept wherever the target can: Q8_0 to Q8_0 with the same groups copies integers
    and scales; float16 and bfloat16 become float32 exactly. See `Written.errors`.

    **Arguments, Raises:** as for `save_checkpoint` and `load_checkpoint`.
    """
    model = load_checkpoint(source)
    return write(model, path, target, overwrite=overwrite, progress=progress)


def write(
    model: Checkpoint,
    path: str | Path,
    target: Target | str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Writes a checkpoint that has been loaded; see `convert`."""
    path, target = Path(path), Target(target) if isinstance(target, str) else target
    total = sum(prod(shape) for shape in shapes(model.config).values())
    if target.format == "v0":
        total += model.config.seq_len * model.config.head_size

    def tick(count: int) -> None:
        if progress is not None:
            progress(count, total)

    with _in_words(path):
        goal = _goal(path, target, overwrite, _inputs(model))
        make = _make_folder if target.format == "hf" else _make_file
        return make(model, goal, target, tick)


def _make_file(model: Checkpoint, goal: Path, target: Target, tick: Tick) -> Written:
    header = bin_header(model.config, target, model.group_size)
    size = header.layout.size
    _check_room(goal, size)
    with aside(goal) as work:
        part = work / FILE
        with Writer(part, size) as out:
            errors = write_bin(out, header, model.source, model.rope_tables, tick)
        publish(part, goal)
    notes = model.notes
    return Written(target.format, (goal,), size, errors, header.group_size, notes)


def _make_folder(model: Checkpoint, goal: Path, target: Target, tick: Tick) -> Written:
    plan = plan_folder(model.config, model.source, target)
    _check_room(goal, plan.nbytes)
    with aside(goal) as work:
        part = work / FOLDER
        part.mkdir()
        errors = write_folder(part, model.config, model.source, plan, model.hf_config, tick)
        errors = {name: errors[name] for name in NAMES if name in errors}
        publish(part, goal)
    paths = tuple(sorted(goal.iterdir()))
    size = sum(each.stat().st_size for each in paths)
    return Written(target.format, paths, size, errors, None, model.notes)


def _inputs(model: Checkpoint) -> list[Path]:
    """All files that a model was read from."""
    beside = () if model.hf_config is None else (CONFIG, INDEX)
    others = {each.with_name(name) for each in model.paths for name in beside}
    return [*model.paths, *(each for each in others if each.exists())]


def _goal(path: Path, target: Target, overwrite: bool, sources: Sequence[Path]) -> Path:
    """The place to write to, links resolved. Raises `CheckpointError` if it is taken."""
    try:
        goal = path.resolve()
    except RuntimeError as error:  # a link that leads to itself
        raise CheckpointError(f"cannot write {str(path)!r}: {error}") from error
    if not goal.exists():
        return goal
    if any(os.path.samefile(goal, each) for each in sources):
        raise CheckpointError(
            f"{str(path)!r} is part of the checkpoint that is read; choose another"
        )
    if target.format == "hf":
        if not goal.is_dir() or any(goal.iterdir()):
            raise CheckpointError(f"{str(path)!r} is there already; hf wants a new folder")
    elif not goal.is_file():
        raise CheckpointError(f"{str(path)!r} is not a file; {target.format} is written to one")
    elif not overwrite:
        raise CheckpointError(f"{str(path)!r} is there already; use --overwrite to replace it")
    return goal


def _check_room(goal: Path, size: int) -> None:
    if goal.parent.is_dir() and (free := shutil.disk_usage(goal.parent).free) < size:
        raise CannotStore(f"{size} bytes are to be written, but the disk has {free} free")


@contextmanager
def _in_words(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"cannot write {str(path)!r}: {error.strerror}") from error
