"""The files of a shard: weights as safetensors, records and refusals as JSON lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tracr_lite.mass.errors import DatasetError
from tracr_lite.mass.manifest import FileState, ShardEntry, names_of
from tracr_lite.mass.records import Sample, read_record
from tracr_lite.transformer.sparse_params import Params, SparseParams

MAX_HEADER = 100_000_000  # bytes that readers of safetensors accept
CHUNK = 1 << 20
UNFIT = (ValueError, LookupError, TypeError, AttributeError)  # of JSON of another form


@dataclass(frozen=True)
class Written:
    """A sample on its way to a shard: its number, its record without that, its weights."""

    index: int
    record: str
    params: SparseParams


def shard_bytes(
    samples: Sequence[Written], refused: Sequence[str], *, dense: bool
) -> tuple[bytes, bytes, bytes]:
    """What the files of a shard hold, in the order of `names_of`.

    **Raises:** `DatasetError` if there are too many tensors for one file.
    """
    tensors: dict[str, np.ndarray] = {}
    for sample in samples:
        tensors |= _dense(sample) if dense else _sparse(sample)
    weights = save(tensors)
    if (header := int.from_bytes(weights[:8], "little")) > MAX_HEADER:
        raise DatasetError(
            f"a shard of {len(samples)} samples has {len(tensors)} tensors, whose names take "
            f"{header} bytes; safetensors allows {MAX_HEADER}: choose a smaller shard_size"
        )
    lines = [f'{{"index":{sample.index},{sample.record[1:]}\n' for sample in samples]
    return weights, "".join(lines).encode(), "".join(line + "\n" for line in refused).encode()


def _sparse(sample: Written) -> dict[str, np.ndarray]:
    return {
        f"{sample.index}/positions": sample.params.positions,
        f"{sample.index}/values": sample.params.values,
    }


def _dense(sample: Written) -> dict[str, np.ndarray]:
    return {
        f"{sample.index}/{module}/{leaf}": np.ascontiguousarray(array)
        for module, group in sample.params.dense().items()
        for leaf, array in group.items()
    }


class OpenShard:
    """A shard that is read; its files are compared with their digests when it is opened.

    **Raises:** `DatasetError` naming the file, and what is wrong with it.
    """

    def __init__(self, folder: Path, number: int, entry: ShardEntry, *, dense: bool):
        weights, records, _ = names_of(number)
        for name in (weights, records):
            check_file(folder / name, entry.files[name])
        self._path, self._dense = folder / weights, dense
        self._records = folder / records
        self._starts = [0]
        with self._records.open("rb") as file:
            for line in file:
                self._starts.append(self._starts[-1] + len(line))
        if len(self._starts) != entry.samples + 1:
            raise DatasetError(f"{records} has not {entry.samples} lines")
        with _in_words(self._path):
            self._weights = cast(Any, safe_open(self._path, framework="numpy"))

    def sample(self, row: int) -> Sample:
        """The sample in a row of this shard."""
        with self._records.open("rb") as file:
            file.seek(self._starts[row])
            line = file.read(self._starts[row + 1] - self._starts[row])
        with _in_words(self._path):
            record = json.loads(line)
            shapes: dict[str, list[int]] = record["shapes"]
            read = self._read_dense if self._dense else self._read_sparse
            params = read(record["index"], shapes)
        return read_record(line, params)

    def _read_sparse(self, index: int, shapes: dict[str, list[int]]) -> Params:
        nested: dict[str, dict[str, tuple[int, ...]]] = {}
        for name, shape in shapes.items():
            module, _, leaf = name.rpartition("/")
            nested.setdefault(module, {})[leaf] = tuple(shape)
        found = SparseParams(
            nested,
            self._weights.get_tensor(f"{index}/positions"),
            self._weights.get_tensor(f"{index}/values"),
        )
        _check_sparse(found)
        return found.dense()

    def _read_dense(self, index: int, shapes: dict[str, list[int]]) -> Params:
        params: Params = {}
        for name, shape in shapes.items():
            module, _, leaf = name.rpartition("/")
            array: np.ndarray = self._weights.get_tensor(f"{index}/{name}")
            if array.dtype != np.float32 or list(array.shape) != shape:
                raise ValueError(f"{name} is {array.dtype} {list(array.shape)}, not {shape}")
            array.flags.writeable = False
            params.setdefault(module, {})[leaf] = array
        return params


def _check_sparse(params: SparseParams) -> None:
    """Raises `ValueError` for positions outside of the parameters, and the like."""
    positions, values = params.positions, params.values
    fits = positions.ndim == 1 and positions.shape == values.shape
    kinds = np.issubdtype(positions.dtype, np.integer) and values.dtype == np.float32
    if not (fits and kinds):
        raise ValueError("positions and values do not belong together")
    if positions.size and not 0 <= positions.min() <= positions.max() < params.size:
        raise ValueError(f"a position is not one of the {params.size} parameters")


def read_refusals(folder: Path, number: int, entry: ShardEntry) -> Iterator[dict[str, Any]]:
    """The programs that did not become samples. **Raises:** as `OpenShard`."""
    name = names_of(number)[2]
    check_file(folder / name, entry.files[name])
    with (folder / name).open("rb") as file:
        for line in file:
            yield json.loads(line)


def check_file(path: Path, state: FileState) -> None:
    """Compares a file with its entry in the manifest. **Raises:** `DatasetError`."""
    try:
        with path.open("rb") as file:
            size, digest = 0, hashlib.sha256()
            while chunk := file.read(CHUNK):
                size += len(chunk)
                digest.update(chunk)
    except FileNotFoundError:
        raise DatasetError(f"{path.name} is missing") from None
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if size != state.bytes:
        what = "cut short" if size < state.bytes else "too long"
        raise DatasetError(
            f"{path.name} is {what}: it has {size} bytes; written were {state.bytes}"
        )
    if digest.hexdigest() != state.sha256:
        raise DatasetError(f"{path.name} was changed or damaged: its sha256 is another one")


@contextmanager
def _in_words(path: Path) -> Generator[None]:
    """Tells which file is at fault."""
    try:
        yield
    except (SafetensorError, OSError, MemoryError, *UNFIT) as error:
        raise DatasetError(f"{path.name} does not fit its records: {error}") from error
