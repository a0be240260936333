"""JSON that comes from outside: an object, without repeated keys, of limited size and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from tracr_lite.llama.errors import CheckpointError

MAX_BYTES = 100 << 20  # what safetensors allows for a header

JsonObject = dict[str, object]


def parse_object(text: bytes, what: str) -> JsonObject:
    """The object in `text`. Raises `CheckpointError` if it is anything else."""
    try:
        found: object = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError too
        raise CheckpointError(f"{what} is not readable as JSON: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{what} is JSON, but not an object")
    return cast(JsonObject, found)


def _unique(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return found


def read_object(path: Path) -> JsonObject:
    """The object in a file. Raises `CheckpointError` if it is missing or anything else."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CheckpointError(f"cannot read {path.name}: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise CheckpointError(f"{path.name} has more than {MAX_BYTES} bytes")
    return parse_object(text, path.name)
