"""What there is to know about a checkpoint without running it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

import numpy as np

from tracr_lite.llama.checkpoint import Checkpoint, load_checkpoint
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.formats.hf_folder import CONFIG, INDEX, SINGLE
from tracr_lite.llama.formats.numbers import any_chunks
from tracr_lite.llama.weights import Shape, each_tensor, layer_shapes, shapes

CHUNK = 1 << 20  # bytes hashed at a time
Progress = Callable[[int, int], None]  # bytes or numbers just done, all there are


@dataclass(frozen=True)
class FileInfo:
    """One file."""

    path: Path
    nbytes: int
    sha256: str


@dataclass(frozen=True)
class TensorInfo:
    """One tensor, over all layers; `dtype` has several names if layers differ.

    `smallest` and `largest` are those of the finite numbers, NaN if there are none.
    """

    name: str
    shape: Shape
    dtype: str
    smallest: float
    largest: float
    not_finite: int


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint: its sizes, files and tensors.

    `sha256` is of the configuration and all numbers as float32: two files with the same one
    hold the same model, whatever their formats.
    """

    format: str
    group_size: int | None
    config: LlamaConfig
    parameters: int
    files: tuple[FileInfo, ...]
    tensors: tuple[TensorInfo, ...]
    sha256: str
    notes: tuple[str, ...]

    @property
    def not_finite(self) -> int:
        """How many numbers are infinite, or none at all."""
        return sum(each.not_finite for each in self.tensors)


def describe(path: str | Path, progress: Progress | None = None) -> CheckpointInfo:
    """Reads a checkpoint from the first byte to the last, in constant memory.

    **Raises:** `CheckpointError` if it is none, or damaged.
    """
    model = load_checkpoint(path)
    paths = [*model.paths]
    if model.format == "hf":
        others = [CONFIG] if paths[0].name == SINGLE else [CONFIG, INDEX]
        paths = [*(Path(path) / name for name in others), *paths]
    parameters = sum(prod(shape) for shape in shapes(model.config).values())
    total = parameters + sum(each.stat().st_size for each in paths)

    def tick(count: int) -> None:
        if progress is not None:
            progress(count, total)

    files = tuple(_file(each, tick) for each in paths)
    digest = hashlib.sha256(json.dumps(asdict(model.config), sort_keys=True).encode())
    tensors = tuple(_tensors(model, digest.update, tick))
    return CheckpointInfo(
        model.format,
        model.group_size,
        model.config,
        parameters,
        files,
        tensors,
        digest.hexdigest(),
        model.notes,
    )


def _file(path: Path, tick: Callable[[int], None]) -> FileInfo:
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            tick(len(chunk))
    return FileInfo(path, size, digest.hexdigest())


class _Seen:
    """What the numbers of one tensor were, layer after layer."""

    def __init__(self) -> None:
        self.smallest, self.largest, self.not_finite = math.nan, math.nan, 0
        self.dtypes: set[str] = set()

    def add(self, numbers: np.ndarray) -> None:
        finite = np.isfinite(numbers)
        self.not_finite += int(numbers.size - np.count_nonzero(finite))
        if finite.any():
            good = numbers if finite.all() else numbers[finite]
            self.smallest = float(np.fmin(self.smallest, good.min()))
            self.largest = float(np.fmax(self.largest, good.max()))


def _tensors(
    model: Checkpoint, see: Callable[[bytes], None], tick: Callable[[int], None]
) -> list[TensorInfo]:
    found = {name: _Seen() for name in layer_shapes(model.config)}
    for name, layer in each_tensor(model.config):
        dtype = model.source.dtype(name, layer)
        found[name].dtypes.add("q8_0" if dtype is None else dtype.name)
        for _, numbers in any_chunks(model.source.layer(name, layer)):
            see(np.ascontiguousarray(numbers, dtype="<f4").tobytes())
            found[name].add(numbers)
            tick(numbers.size)
        model.source.release()
    sizes = shapes(model.config)
    return [
        TensorInfo(
            name,
            sizes[name],
            " ".join(sorted(each.dtypes)),
            each.smallest,
            each.largest,
            each.not_finite,
        )
        for name, each in found.items()
    ]
