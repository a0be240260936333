"""The manifest of a data set: what it is made of, and the shards that are finished.

JSON, with a digest over its own content. The same content gives the same bytes:

    {"format": "tracr_lite.dataset", "version": 1, "made_by": "tracr_lite 0.1.0",
     "arguments": {"count": 5000, "seed": 0, ...},
     "shards": [{"samples": 1000, "draws": [0, 1021], "refused": 21,
                 "files": {"shard-00000.jsonl": {"bytes": 7, "sha256": "..."}, ...}}, ...],
     "sha256": digest of the rest}
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from tracr_lite import __version__
from tracr_lite.mass.errors import DatasetError
from tracr_lite.mass.recipe import Recipe

MANIFEST = "dataset.json"
FORMAT, VERSION = "tracr_lite.dataset", 1


def names_of(number: int) -> tuple[str, str, str]:
    """The files of a shard: weights, records and refusals."""
    stem = f"shard-{number:05d}"
    return f"{stem}.safetensors", f"{stem}.jsonl", f"{stem}.refused.jsonl"


@dataclass(frozen=True)
class FileState:
    """The size and the SHA-256 (hex) of a file."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> FileState:
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class ShardEntry:
    """A finished shard.

    **Arguments:** `samples`: how many are in it; `draws`: the first number drawn for it, and
    the first that was not; `refused`: how many of these did not become samples.
    """

    samples: int
    draws: tuple[int, int]
    refused: int
    files: dict[str, FileState]


@dataclass(frozen=True)
class Manifest:
    """A data set, finished or not."""

    recipe: Recipe
    shards: tuple[ShardEntry, ...] = ()
    made_by: str = f"tracr_lite {__version__}"

    @property
    def samples(self) -> int:
        """How many are written."""
        return sum(shard.samples for shard in self.shards)

    @property
    def draws(self) -> int:
        """How many programs were drawn for them."""
        return self.shards[-1].draws[1] if self.shards else 0

    @property
    def complete(self) -> bool:
        """Whether all samples are written."""
        return self.samples == self.recipe.count

    def to_bytes(self) -> bytes:
        """The same bytes for the same content."""
        body: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "made_by": self.made_by,
            "arguments": self.recipe.to_json(),
            "shards": [asdict(shard) for shard in self.shards],
        }
        return (json.dumps(body | {"sha256": _digest(body)}, indent=1) + "\n").encode("ascii")


def read_manifest(folder: Path) -> Manifest:
    """**Raises:** `DatasetError` if it is missing, damaged, or of another version."""
    path = folder / MANIFEST
    try:
        return _parse(path.read_bytes())
    except FileNotFoundError:
        raise DatasetError(f"{str(folder)!r} is no data set: it has no {MANIFEST}") from None
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{str(path)!r} is not usable: {error}") from error


def _parse(data: bytes) -> Manifest:
    body = json.loads(data)
    if not isinstance(body, dict):
        raise ValueError("it is no JSON object")
    found = cast("dict[str, Any]", body)
    if found.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    if found.get("version") != VERSION:
        raise ValueError(
            f"its version is {found.get('version')!r}; this program knows {VERSION}"
        )
    if found.pop("sha256", None) != _digest(found):
        raise ValueError("its content does not fit its own sha256; it was changed or damaged")
    shards = tuple(_shard(number, entry) for number, entry in enumerate(found["shards"]))
    return Manifest(Recipe.from_json(found["arguments"]), shards, found["made_by"])


def _shard(number: int, entry: dict[str, Any]) -> ShardEntry:
    files = {name: FileState(**state) for name, state in entry["files"].items()}
    first, end = entry["draws"]
    if files.keys() != set(names_of(number)) or type(entry["samples"]) is not int:
        raise ValueError(f"its shard {number} is not one of a data set")
    return ShardEntry(entry["samples"], (first, end), entry["refused"], files)


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode("ascii")).hexdigest()
