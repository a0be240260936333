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
FORMS = tuple(
    re.compile(rf"(?P<escaped>\\?){form}".replace("HEX", "[0-9A-Fa-f]"))
    for form in (
        r"(?P<sum>HEX{32}|HEX{64}) [ *](?P<name>.+)",
        r"MD5 \((?P<name>.+)\) = (?P<sum>HEX{32})",
        r"SHA256 \((?P<name>.+)\) = (?P<sum>HEX{64})",
    )
)
ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
MAX_LIST = 1 << 26  # bytes; about half a million names

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
    """Reads a list as md5sum or sha256sum write it, also with `--binary` or `--tag`.

    Lines are `<hex>  ./name`, `<hex> *name` or `MD5 (name) = <hex>`; md5 and SHA-256 are told
    apart by length. A backslash before a line says that its name is escaped.

    **Raises:** `XorError` if it cannot be read, a line is of another form, a name is
    unsafe, or a name occurs with two sums.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_LIST + 1)
    except OSError as error:
        raise XorError(f"cannot read the sums {str(path)!r}: {error.strerror}") from error
    if len(text) > MAX_LIST:
        raise XorError(f"the sums {str(path)!r} have more than {MAX_LIST} bytes")
    lines = text.decode("utf-8", "surrogateescape").split("\n")
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
    match = next(filter(None, (form.fullmatch(line) for form in FORMS)), None)
    if match is None:
        raise ValueError(f"expected an md5 or sha256, two spaces, a name; got {line[:80]!r}")
    name = _unescaped(match["name"]) if match["escaped"] else match["name"]
    while name.startswith("./"):
        name = name[2:]
    return check_name(name), Digest(ALGORITHMS[len(match["sum"])], match["sum"].lower())


def _unescaped(name: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[0] not in ESCAPES:
            raise ValueError(f"the name {name!r} holds the unknown escape {found[0]!r}")
        return ESCAPES[found[0]]

    return re.sub(r"\\.?", plain, name)


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
