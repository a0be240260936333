"""Compression of payloads: none, gzip, zstd.

Gzip is what releases have in use. Reading goes through isal, which inflates about twice as fast
as zlib; writing is in `gzipping.py`.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, cast

from isal import igzip, isal_zlib

from tracr_lite.xor.errors import FileRefused
from tracr_lite.xor.gzipping import GzipWriter, Sample

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compression = Literal["none", "gzip", "zstd"]
COMPRESSIONS: tuple[Compression, ...] = ("none", "gzip", "zstd")
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"

ZSTD_LEVEL = 1  # on XORed weights, 3 saves nothing, 12 saves 2 to 14 % and is 20 times slower
ZSTD_WINDOW_LOG = 24  # 16 MiB: a payload that asks for more memory is refused

CODEC_ERRORS: tuple[type[Exception], ...] = (
    EOFError,
    zlib.error,
    cast(type[Exception], isal_zlib.error),
    igzip.BadGzipFile,
    zstd.ZstdError,
)


class Compressor(Protocol):
    """Takes bytes, gives fewer bytes; not always at once."""

    def compress(self, data: memoryview, /) -> bytes | memoryview: ...

    def flush(self) -> bytes: ...


class _AsItIs:
    """No compression."""

    def compress(self, data: memoryview, /) -> memoryview:
        return data

    def flush(self) -> bytes:
        return b""


def compressor(compress: Compression, size: int, sample: Sample) -> Compressor:
    """A compressor for `size` bytes, of which `sample` gives any part in advance."""
    if compress == "none":
        return _AsItIs()
    if compress == "zstd":
        parameter = zstd.CompressionParameter
        options = {
            int(parameter.compression_level): ZSTD_LEVEL,
            int(parameter.checksum_flag): 1,
        }
        return zstd.ZstdCompressor(options=options)
    return GzipWriter(size, sample)


def detect(path: Path) -> Compression:
    """The compression that the first bytes of a payload speak for.

    A plain XOR can begin with these bytes by chance; decoding it then fails, and the error
    says how to choose the compression by hand.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(GZIP_MAGIC):
        return "gzip"
    return "zstd" if magic == ZSTD_MAGIC else "none"


class _Counted(io.RawIOBase):
    """A file whose bytes are hashed on their way."""

    def __init__(self, file: BinaryIO, hashed: bool):
        self._file = file
        self._hash = hashlib.sha256() if hashed else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # any writable buffer, as in io
        count = cast(io.RawIOBase, self._file).readinto(buffer) or 0
        if self._hash and count:
            self._hash.update(memoryview(buffer).cast("B")[:count])
        return count

    def digest(self) -> str | None:
        return self._hash.hexdigest() if self._hash else None


class PayloadReader:
    """The decompressed bytes of a payload, in constant memory.

    **Arguments:** `hashed`: also take the SHA-256 of the payload as it is on the disk.
    **Raises:** `FileRefused` from `fill` if the payload is truncated or corrupt.
    """

    def __init__(self, path: Path, compress: Compression, *, hashed: bool = False):
        self._compress: Compression = compress
        self._empty = path.stat().st_size == 0
        self._file = path.open("rb", buffering=0)
        self._raw = _Counted(cast(BinaryIO, self._file), hashed)
        self._source = self._opened()

    def _opened(self) -> BinaryIO:
        if self._compress == "none":
            return cast(BinaryIO, self._raw)
        buffered = io.BufferedReader(self._raw, 1 << 16)
        if self._compress == "gzip":
            return cast(BinaryIO, igzip.IGzipFile(fileobj=buffered, mode="rb"))
        limit = {int(zstd.DecompressionParameter.window_log_max): ZSTD_WINDOW_LOG}
        return cast(BinaryIO, zstd.ZstdFile(buffered, options=limit))

    def fill(self, buffer: memoryview) -> int:
        """Reads until the buffer is full or the payload ends; returns the number of bytes."""
        if self._empty and self._compress != "none":
            raise FileRefused(f"the payload is truncated: 0 bytes are no {self._compress}")
        try:
            return fill(self._source, buffer)
        except CODEC_ERRORS as error:
            what = "truncated" if isinstance(error, EOFError) else "corrupt"
            hint = "if it is plain and only looks compressed, choose --compress none"
            raise FileRefused(
                f"the payload is {what}, or not {self._compress}: {error}; {hint}"
            ) from error

    def digest(self) -> str | None:
        """The SHA-256 of the whole payload file, if it was asked for."""
        rest = bytearray(1 << 16)
        while self._raw.readinto(rest):
            pass
        return self._raw.digest()

    def close(self) -> None:
        self._source.close()
        self._file.close()


def fill(source: BinaryIO, buffer: memoryview) -> int:
    """Reads from `source` until the buffer is full or the source ends."""
    reader = cast(io.RawIOBase, source)
    done = 0
    while done < len(buffer) and (count := reader.readinto(buffer[done:])):
        done += count
    return done
