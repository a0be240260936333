"""Files of safetensors: where their tensors lie, checked before anything is read, and headers.

    uint64 n | n bytes of JSON: name -> dtype, shape, data_offsets | data

Offsets count from the end of the header. The tensors have to fill the data without gaps or
overlaps. Source: the format as safetensors 0.8 writes and checks it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import cast

import numpy as np

from tracr_lite.llama.errors import CheckpointError
from tracr_lite.llama.formats.json_files import MAX_BYTES, JsonObject, parse_object
from tracr_lite.llama.formats.mapped import Mapped
from tracr_lite.llama.weights import BFLOAT16, Shape

DTYPES: dict[str, np.dtype[np.generic]] = {  # in the order in which files have them
    "F32": np.dtype("<f4"),
    "BF16": BFLOAT16,
    "F16": np.dtype("<f2"),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Entry:
    """One tensor of a file; `begin` and `end` are bytes from the end of the header."""

    code: str
    shape: Shape
    begin: int
    end: int


class TensorFile:
    """A safetensors file, mapped. `entries` are its tensors by name.

    **Raises:** `CheckpointError` if the header does not describe the file exactly.
    """

    def __init__(self, path: Path):
        self.name = path.name
        try:
            self.file = Mapped(path)
        except OSError as error:
            raise CheckpointError(f"cannot read {path.name}: {error.strerror}") from error
        try:
            self.entries, self._start = _read(self.file)
        except CheckpointError as error:
            raise CheckpointError(f"{path.name}: {error}") from error

    def view(self, name: str) -> np.ndarray:
        """A tensor, as a read-only view of the file."""
        entry = self.entries[name]
        return self.file.view(DTYPES[entry.code], entry.shape, self._start + entry.begin)


def _read(file: Mapped) -> tuple[dict[str, Entry], int]:
    if file.size < 8:
        raise CheckpointError(f"it has {file.size} bytes, which is less than any header")
    (length,) = struct.unpack("<Q", file.head(8))
    if length > min(MAX_BYTES, file.size - 8):
        raise CheckpointError(
            f"it claims a header of {length} bytes, but has {file.size} in all; it is cut "
            "short, or no safetensors file"
        )
    found = parse_object(file.head(8 + length)[8:], "its header")
    found.pop("__metadata__", None)
    entries = {name: _entry(name, value) for name, value in found.items()}
    _check_tiling(entries, file.size - 8 - length)
    return entries, 8 + length


def _entry(name: str, value: object) -> Entry:
    fields = cast(JsonObject, value) if isinstance(value, dict) else {}
    code, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (isinstance(code, str) and _counts(shape) and _counts(offsets)):
        raise CheckpointError(f"its entry for {name!r} lacks a dtype, a shape or offsets")
    sizes, ends = tuple(cast(list[int], shape)), cast(list[int], offsets)
    if len(ends) != 2 or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"its entry for {name!r} is not understood: {value!r:.200}")
    entry = Entry(code, sizes, *ends)
    width = DTYPES[code].itemsize if code in DTYPES else None
    if width is not None and entry.end - entry.begin != prod(sizes) * width:
        raise CheckpointError(
            f"{name!r} has {entry.end - entry.begin} bytes, but {code} numbers of shape "
            f"{list(sizes)} take {prod(sizes) * width}"
        )
    return entry


def _counts(value: object) -> bool:
    """Whether it is a list of integers from 0 on."""
    if not isinstance(value, list):
        return False
    return all(type(each) is int and each >= 0 for each in cast(list[object], value))


def _check_tiling(entries: Mapping[str, Entry], size: int) -> None:
    """The tensors have to lie end to end, from the first byte of the data to the last."""
    reached = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != reached or entry.end < entry.begin:
            raise CheckpointError(
                f"{name!r} lies at bytes {entry.begin} to {entry.end}, where byte {reached} "
                "should come next: tensors overlap, or leave a gap"
            )
        reached = entry.end
    if reached != size:
        less = "is cut short" if size < reached else "has bytes that belong to no tensor"
        raise CheckpointError(f"its tensors take {reached} bytes, it has {size}: it {less}")


@dataclass(frozen=True)
class Planned:
    """A tensor to be written."""

    name: str
    dtype: np.dtype[np.generic]
    shape: Shape

    @property
    def nbytes(self) -> int:
        """Its size in the file."""
        return self.dtype.itemsize * prod(self.shape)


def file_order(tensors: Sequence[Planned]) -> list[Planned]:
    """Wider numbers first, then by name, as safetensors itself writes them."""
    ranks = {dtype: rank for rank, dtype in enumerate(CODES)}
    return sorted(tensors, key=lambda each: (ranks[each.dtype], each.name.encode()))


def write_header(tensors: Sequence[Planned]) -> bytes:
    """The bytes before the data of `tensors`, which follow in this order."""
    entries: JsonObject = {"__metadata__": {"format": "pt"}}  # transformers asks for it
    begin = 0
    for each in tensors:
        end = begin + each.nbytes
        entries[each.name] = {
            "dtype": CODES[each.dtype],
            "shape": list(each.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    return struct.pack("<Q", len(text)) + text
