"""The manifest of a release: what each file was, is as a payload, and has to become.

JSON, with a digest over its own content, so that a damaged manifest is noticed as well:

    {"format": "tracr_lite.xor", "version": 1, "sha256": digest of the rest,
     "files": {name: {"compress": "gzip",
                      "base": {"bytes": 3, "sha256": "...", "blake3": "..."} or null if new,
                      "payload": {"bytes": 3, "sha256": "..."}, "target": {...}}},
     "removed": [names that only the base has], "folders": [all subfolders of the target]}

`blake3` may be absent. It is as strong as SHA-256 and takes a third of the time, so a base that
has it is checked by it; results are always checked by SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from tracr_lite.xor.codec import COMPRESSIONS, Compression
from tracr_lite.xor.errors import FileRefused, XorError
from tracr_lite.xor.names import RESERVED, check_tree, reserved
from tracr_lite.xor.sums import Digest

MANIFEST = RESERVED[0]  # its name in a release
FORMAT, VERSION = "tracr_lite.xor", 1
MAX_BYTES = 1 << 28  # more than a million files


@dataclass(frozen=True)
class FileState:
    """The size of a file, its SHA-256, and perhaps its BLAKE3 (both in hex)."""

    bytes: int
    sha256: str
    blake3: str | None = None

    @property
    def digests(self) -> tuple[Digest, ...]:
        """All sums, the cheapest to check first."""
        found = {"blake3": self.blake3, "sha256": self.sha256}
        return tuple(Digest(name, value) for name, value in found.items() if value)

    def to_json(self) -> dict[str, object]:
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Entry:
    """One file of a release; `base` is None for a file that the base does not have."""

    compress: Compression
    base: FileState | None
    payload: FileState
    target: FileState

    def to_json(self) -> dict[str, object]:
        states = {"payload": self.payload.to_json(), "target": self.target.to_json()}
        base = None if self.base is None else self.base.to_json()
        return {"compress": self.compress, "base": base, **states}


@dataclass(frozen=True)
class Manifest:
    """All files of a release, the names that were removed, and all subfolders."""

    files: dict[str, Entry]
    removed: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """The same bytes for the same content."""
        body: dict[str, object] = {
            "format": FORMAT,
            "version": VERSION,
            "files": {name: entry.to_json() for name, entry in sorted(self.files.items())},
            "removed": sorted(self.removed),
            "folders": sorted(self.folders),
        }
        whole = body | {"sha256": _digest(body)}
        return (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode("ascii")


def read_manifest(path: Path) -> Manifest:
    """Reads the manifest at `path`, or in it when it is a folder.

    **Raises:** `XorError` if it is missing, damaged, of another version, or unsafe.
    """
    path = path / MANIFEST if path.is_dir() else path
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise XorError(f"cannot read the manifest {str(path)!r}: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise XorError(f"the manifest {str(path)!r} has more than {MAX_BYTES} bytes")
    try:
        return parse_manifest(text)
    except (ValueError, RecursionError) as error:
        raise XorError(f"the manifest {str(path)!r} is not usable: {error}") from error


def parse_manifest(text: bytes) -> Manifest:
    """The manifest in `text`. **Raises:** `ValueError` that says what is wrong with it."""
    body = _object(json.loads(text, object_pairs_hook=_no_twins), "the whole")
    if body.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    if body.get("version") != VERSION:
        raise ValueError(
            f"its version is {body.get('version')!r}; this program knows {VERSION}"
        )
    if body.pop("sha256", None) != _digest(body):
        raise ValueError("its content does not fit its own sha256; it was changed or damaged")
    files = _object(body.get("files"), "files")
    manifest = Manifest(
        {name: _entry(entry, name) for name, entry in files.items()},
        _names(body.get("removed"), "removed"),
        _names(body.get("folders"), "folders"),
    )
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    """Raises `FileRefused` for names that no release can have."""
    check_tree(manifest.files, manifest.folders)
    check_tree(manifest.removed, ())
    if taken := reserved([*manifest.files, *manifest.folders]):
        raise FileRefused(f"the name {taken[0]!r} is reserved")
    if both := sorted(manifest.files.keys() & set(manifest.removed)):
        raise FileRefused(f"{both[0]!r} is both removed and in the release")


def _digest(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode("ascii")).hexdigest()


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")
    return cast(dict[str, object], value)


def _names(value: object, what: str) -> tuple[str, ...]:
    items = cast(list[object], value) if isinstance(value, list) else [None]
    if not all(isinstance(each, str) for each in items):
        raise ValueError(f"{what} is not a list of names")
    return tuple(cast(list[str], items))


def _entry(value: object, name: str) -> Entry:
    fields = _object(value, name)
    compress = fields.get("compress")
    if compress not in COMPRESSIONS:
        raise ValueError(f"{name} has the unknown compression {compress!r}")
    base = None if fields.get("base") is None else _state(fields["base"], f"base of {name}")
    payload = _state(fields.get("payload"), f"payload of {name}")
    return Entry(compress, base, payload, _state(fields.get("target"), f"target of {name}"))


def _state(value: object, what: str) -> FileState:
    fields = _object(value, what)
    size, quick = fields.get("bytes"), fields.get("blake3")
    if type(size) is not int or size < 0:
        raise ValueError(f"the {what} has no size")
    sha256 = _hex(fields.get("sha256"), f"the {what} has no sha256")
    return FileState(
        size, sha256, None if quick is None else _hex(quick, f"the {what} has no blake3")
    )


def _hex(value: object, problem: str) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError(problem)
    return value
