"""The arithmetic: output = input XOR base, byte by byte, in constant memory.

A base that is shorter counts as continued with zeros, one that is longer as cut: the length of
the input rules. Whether that is allowed is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from tracr_lite.xor.codec import Compression, PayloadReader, compressor, fill
from tracr_lite.xor.errors import FileRefused
from tracr_lite.xor.gzipping import Sample
from tracr_lite.xor.manifest import Entry, FileState
from tracr_lite.xor.sums import CHUNK, Digest, Tick, new_hash


class _Pair:
    """Two buffers, and their XOR written over the first."""

    def __init__(self, size: int = CHUNK):
        self.data, self.base = memoryview(bytearray(size)), memoryview(bytearray(size))
        self._words = np.frombuffer(self.data, np.uint64), np.frombuffer(self.base, np.uint64)

    def combine(self, count: int, of_base: int) -> memoryview:
        """XORs the first `count` bytes, of which the base has `of_base`."""
        self.base[of_base:count] = bytes(count - of_base)
        words = -(-count // 8)
        data, base = (each[:words] for each in self._words)
        np.bitwise_xor(data, base, out=data)
        return self.data[:count]


@dataclass(frozen=True)
class Decoded:
    """Sizes and sums of one decoded file; `payload` is the SHA-256 of the payload, if taken."""

    bytes: int
    digests: set[Digest]
    payload: str | None


def decode_stream(
    source: PayloadReader,
    base: Path | None,
    out: BinaryIO,
    *,
    algorithms: set[str],
    limit: int,
    too_long: str = "",
    tick: Tick,
) -> Decoded:
    """Writes payload XOR base to `out`, and takes the sums of what it writes.

    **Arguments:** `base`: None for a payload in clear. `limit`: most bytes to write;
    `too_long`: what to add to the refusal of more.
    **Raises:** `FileRefused` for a damaged payload, or one with more than `limit` bytes.
    """
    hashes = {name: new_hash(name) for name in sorted(algorithms)}
    pair, total = _Pair(), 0
    with ExitStack() as stack:
        other = None if base is None else stack.enter_context(base.open("rb", buffering=0))
        while count := source.fill(pair.data):
            total += count
            if total > limit:
                what = f"the payload holds more than the {limit} bytes it may"
                raise FileRefused(f"{what}{too_long}")
            chunk = pair.data[:count]
            if other is not None:
                chunk = pair.combine(count, fill(cast(BinaryIO, other), pair.base[:count]))
            for each in hashes.values():
                each.update(chunk)
            out.write(chunk)
            tick(count)
    digests = {Digest(name, each.hexdigest()) for name, each in hashes.items()}
    return Decoded(total, digests, source.digest())


def encode_stream(
    target: Path, base: Path | None, out: BinaryIO, compress: Compression, tick: Tick
) -> Entry:
    """Writes target XOR base, compressed, to `out`; returns the entry for the manifest.

    Each file is read once, and the sums are those of the bytes that were used, so that a
    file which changes meanwhile cannot lead to a wrong entry.
    """
    squeeze = compressor(compress, target.stat().st_size, _sampler(target, base))
    before, after, packed = _Sums("sha256", "blake3"), _Sums("sha256"), _Sums("sha256")
    for chunk, of_base in _encoded(target, base, after.add):
        before.add(of_base)
        if len(chunk):
            out.write(packed.add(memoryview(squeeze.compress(chunk)).cast("B")))
        tick(len(chunk))
    out.write(packed.add(memoryview(squeeze.flush())))
    known = None if base is None else before.state()
    return Entry(compress, known, packed.state(), after.state())


class _Sums:
    """The size and the sums of what passes."""

    def __init__(self, *algorithms: str):
        self._size, self._hashes = 0, {name: new_hash(name) for name in algorithms}

    def add(self, data: memoryview) -> memoryview:
        self._size += len(data)
        for each in self._hashes.values():
            each.update(data)
        return data

    def state(self) -> FileState:
        return FileState(self._size, **{k: v.hexdigest() for k, v in self._hashes.items()})


def _encoded(
    target: Path, base: Path | None, see: Callable[[memoryview], object]
) -> Iterator[tuple[memoryview, memoryview]]:
    """Chunks of the XOR and of the base, to the end of both; `see` gets those of the target."""
    pair = _Pair()
    with ExitStack() as stack:
        first = stack.enter_context(target.open("rb", buffering=0))
        other = None if base is None else stack.enter_context(base.open("rb", buffering=0))
        while True:
            count = fill(cast(BinaryIO, first), pair.data)
            of_base = 0 if other is None else fill(cast(BinaryIO, other), pair.base)
            if not count and not of_base:
                return
            see(pair.data[:count])
            chunk = pair.data[:count]
            if other is not None:
                chunk = pair.combine(count, min(of_base, count))
            yield chunk, pair.base[:of_base]


def _sampler(target: Path, base: Path | None) -> Sample:
    """Gives the XOR of any part; a file that changed meanwhile only spoils the choice."""

    def sample(offset: int, length: int) -> bytes:
        pair = _Pair(max(1, -(-length // 8)) * 8)
        sizes = [0, 0]
        for index, path in enumerate((target, base)):
            if path is not None:
                with path.open("rb", buffering=0) as file:
                    file.seek(offset)
                    buffer = (pair.data, pair.base)[index][:length]
                    sizes[index] = fill(cast(BinaryIO, file), buffer)
        return bytes(pair.combine(sizes[0], min(sizes)))

    return sample
