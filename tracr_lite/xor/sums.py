"""Lists of checksums as `md5sum` and `sha256sum` write them, and sums of files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blake3 import blake3

from tracr_lite.xor.errors import FileRefused, XorError
from tracr_lite.xor.names import check_name

CHUNK = 1 << 18  # bytes; two such buffers stay in the second-level cache
ALGORITHMS = {32: "md5", 64: "sha256"}  # hex digits -> name
LINE = re.compile(r"(\\?)([0-9A-Fa-f]+) [ *](.+)")

Tick = Callable[[int], None]  # told the number of bytes just done; may raise to stop


class Hash(Protocol):
    """What hashlib's objects and BLAKE3's have in common."""

    def update(self, data: memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


def new_hash(algorithm: str) -> Hash:
    """An empty hash. BLAKE3 runs on the thread that calls it, as the others do."""
    return blake3() if algorithm == "blake3" else hashlib.new(algorithm)


def no_tick(count: int) -> None:
    """Takes note of nothing."""


@dataclass(frozen=True)
class Digest:
    """A checksum that some file has to have."""

    algorithm: str
    hex: str


def read_sums(path: Path) -> dict[str, Digest]:
    """Reads a list of lines `<hex>  ./name`; md5 and SHA-256 are told apart by length.

    **Raises:** `XorError` if it cannot be read, a line is of another form, a name is
    unsafe, or a name occurs with two sums.
    """
    try:
        lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except OSError as error:
        raise XorError(f"cannot read the sums {str(path)!r}: {error.strerror}") from error
    found: dict[str, Digest] = {}
    for number, line in enumerate(lines, 1):
        if not (line := line.removesuffix("\r")).strip():
            continue
        try:
            name, digest = _parse(line)
        except ValueError as error:
            raise XorError(f"line {number} of {str(path)!r}: {error}") from error
        if found.setdefault(name, digest) != digest:
            raise XorError(f"line {number} of {str(path)!r}: a second sum for {name!r}")
    if not found:
        raise XorError(f"{str(path)!r} lists no sums")
    return found


def _parse(line: str) -> tuple[str, Digest]:
    match = LINE.fullmatch(line)
    if match is None or len(match[2]) not in ALGORITHMS:
        raise ValueError(f"expected a sum, two spaces and a name; got {line[:80]!r}")
    name = match[3]
    if match[1]:  # md5sum escapes backslashes and newlines in names, and says so
        name = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], name)
    while name.startswith("./"):
        name = name[2:]
    return check_name(name), Digest(ALGORITHMS[len(match[2])], match[2].lower())


def digests_of(
    path: Path, algorithms: set[str], tick: Tick = no_tick
) -> tuple[int, set[Digest]]:
    """The size of a file and its sums, in one pass and constant memory."""
    hashes = {each: new_hash(each) for each in sorted(algorithms)}
    buffer = memoryview(bytearray(CHUNK))
    size = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            for each in hashes.values():
                each.update(buffer[:count])
            size += count
            tick(count)
    return size, {Digest(name, each.hexdigest()) for name, each in hashes.items()}


def check_file(path: Path, size: int | None, wanted: tuple[Digest, ...], tick: Tick) -> None:
    """Raises `FileRefused` if a file has not this size and all these sums."""
    if size is not None and (has := path.stat().st_size) != size:
        raise FileRefused(f"has {has} bytes instead of {size}")
    if not wanted:
        return
    _, found = digests_of(path, {each.algorithm for each in wanted}, tick)
    for each in wanted:
        if each not in found:
            got = next(one.hex for one in found if one.algorithm == each.algorithm)
            raise FileRefused(
                f"has {each.algorithm} {got[:12]}... instead of {each.hex[:12]}..."
            )
