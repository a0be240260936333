"""Where the tensors of a checkpoint lie in its file: safetensors and llama2.c.

Only the header is read. What is not clearly such a checkpoint has no layout: the release does
not depend on it. Sources: the safetensors format; llama2.c's export.py (350e04f), all versions.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import cast

from tracr_lite.xor.errors import FileRefused

MAX_HEADER = 2 << 20  # bytes; 20,000 tensors, for which 30 MB of memory are needed
SUFFIXES = (".safetensors", ".bin")
MAX_LAYERS = 1_000
LLAMA2C_MAGIC = 0x616B3432
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


@dataclass(frozen=True, slots=True)
class Span:
    """`count` numbers of `width` bytes each, from byte `start` of the file."""

    start: int
    count: int
    width: int
    dtype: str

    @property
    def end(self) -> int:
        return self.start + self.count * self.width


def layout(path: Path) -> dict[str, Span] | None:
    """The tensors in a file by name, or None if it is no checkpoint that we know.

    **Raises:** `FileRefused` for a header that would take much memory.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(256)
        if path.suffix == SUFFIXES[0] and len(head) >= 8:
            (length,) = struct.unpack("<Q", head[:8])
            if not 2 <= length <= size - 8:
                return None
            if length > MAX_HEADER:
                raise FileRefused(f"its header has {length} bytes, more than {MAX_HEADER}")
            file.seek(8)
            return _safetensors(file.read(length), 8 + length, size)
    return _llama2c(head, size) if path.suffix == SUFFIXES[1] else None


def _safetensors(header: bytes, start: int, size: int) -> dict[str, Span] | None:
    found: dict[str, Span] = {}
    try:
        for name, value in json.loads(header).items():
            if name == "__metadata__":
                continue
            dtype, (begin, end) = str(value["dtype"]), cast(list[int], value["data_offsets"])
            width = BITS[dtype] // 8
            span = Span(start + begin, prod(value["shape"]), width, dtype)
            if begin < 0 or span.count < 0 or span.end != start + end or span.end > size:
                return None
            found[name] = span
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return found


@dataclass(frozen=True)
class _Shape:
    """The hyperparameters of a llama2.c header."""

    dim: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocab: int
    length: int

    @property
    def plausible(self) -> bool:
        if min(self.dim, self.hidden, self.layers, self.heads, self.kv_heads) < 1:
            return False
        even = self.dim % self.heads == 0 and self.heads % self.kv_heads == 0
        return even and self.vocab > 0 and self.length > 0 and self.layers <= MAX_LAYERS

    @property
    def matrices(self) -> dict[str, int]:
        """The matrices of one layer, and how many weights each has."""
        kv = self.dim // self.heads * self.kv_heads
        square, narrow, wide = self.dim**2, self.dim * kv, self.dim * self.hidden
        return {"wq": square, "wk": narrow, "wv": narrow, "wo": square} | dict.fromkeys(
            ("w1", "w2", "w3"), wide
        )


Part = tuple[str, int]  # name, number of weights
Piece = tuple[str, int, int, str]  # name, number of weights, bytes of each, dtype


def _llama2c(head: bytes, size: int) -> dict[str, Span] | None:
    """The one version whose exact size is that of the file."""
    if len(head) < 28:
        return None
    magic, version = struct.unpack("<Ii", head[:8])
    if magic != LLAMA2C_MAGIC:
        shape = _Shape(*struct.unpack("<7i", head[:28]))
        own, shape = shape.vocab < 0, replace(shape, vocab=abs(shape.vocab))
        return _placed(28, _v0(shape, own), size) if shape.plausible else None
    if len(head) < 256:
        return None
    shape = _Shape(*struct.unpack("<7i", head[8:36]))
    own, group = head[36] == 0, struct.unpack("<i", head[37:41])[0]
    if not shape.plausible or version not in (1, 2) or (version == 2 and group < 1):
        return None
    if group < 1:
        return _placed(
            256, _floats(_norms(shape) + _embedding(shape) + _body(shape, own)), size
        )
    return _placed(256, _q80(shape, own, group, interleaved=version == 2), size)


def _norms(shape: _Shape) -> list[Part]:
    names = [
        f"layers.{i}.{norm}" for norm in ("att_norm", "ffn_norm") for i in range(shape.layers)
    ]
    return [(name, shape.dim) for name in names] + [("norm", shape.dim)]


def _embedding(shape: _Shape) -> list[Part]:
    return [("embedding", shape.vocab * shape.dim)]


def _body(shape: _Shape, own: bool) -> list[Part]:
    layers = range(shape.layers)
    parts = [(f"layers.{i}.{name}", n) for name, n in shape.matrices.items() for i in layers]
    return parts + ([("classifier", shape.vocab * shape.dim)] if own else [])


def _v0(shape: _Shape, own: bool) -> Iterator[Piece]:
    norms, body = _norms(shape), _body(shape, own)
    attention, rest = 4 * shape.layers, 7 * shape.layers
    rope = shape.length * (shape.dim // shape.heads // 2)
    return _floats(
        _embedding(shape)
        + norms[: shape.layers]
        + body[:attention]
        + norms[shape.layers : -1]
        + body[attention:rest]
        + norms[-1:]
        + [("rope_cos", rope), ("rope_sin", rope)]
        + body[rest:]
    )


def _floats(parts: list[Part]) -> Iterator[Piece]:
    return ((name, count, 4, "F32") for name, count in parts)


def _q80(shape: _Shape, own: bool, group: int, *, interleaved: bool) -> Iterator[Piece]:
    """int8 weights and float32 scales: tensor by tensor, or all weights and then all scales."""
    yield from _floats(_norms(shape))
    parts = _embedding(shape) + _body(shape, own and interleaved)
    weights: list[Piece] = [(f"{name}.q", count, 1, "I8") for name, count in parts]
    scales: list[Piece] = [(f"{name}.scale", count // group, 4, "F32") for name, count in parts]
    if interleaved:
        yield from (piece for pair in zip(weights, scales, strict=True) for piece in pair)
    else:
        yield from weights + scales


def _placed(start: int, pieces: Iterator[Piece], size: int) -> dict[str, Span] | None:
    found: dict[str, Span] = {}
    for name, count, width, dtype in pieces:
        found[name] = Span(start, count, width, dtype)
        start = found[name].end
    return found if start == size else None
