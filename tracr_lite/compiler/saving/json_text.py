"""The JSON of a saved model as bytes: read strictly, written one way, with its own digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

from tracr_lite.compiler.saving.fields import shown
from tracr_lite.errors import SavedModelError

FORMAT, VERSION = "tracr_lite.model", 1
START = f'{{\n "format": "{FORMAT}",'.encode()  # what every file of ours begins with
MAX_BYTES = 64 << 20  # a few hundred thousand columns; small enough to be read by anyone

Json = dict[str, Any]
_DEPTH = 3  # so far, each entry has a line of its own
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def to_bytes(body: Json) -> bytes:
    """The file: `body`, which starts with format and version, and its digest."""
    text = _lines(body | {"sha256": digest(body)}, 1) + "\n"
    return text.encode()


def digest(body: Json) -> str:
    """SHA-256, in hexadecimal digits, over the shortest JSON with sorted keys."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def from_bytes(text: bytes) -> Json:
    """What `to_bytes` was given. **Raises:** `SavedModelError` for anything else."""
    body = parse_object(text)
    if body.get("format") != FORMAT:
        found = shown(body["format"]) if "format" in body else "not given"
        raise SavedModelError(f"its format is {found}; that of a saved model is {FORMAT!r}")
    version = body.get("version")
    if type(version) is int and version > VERSION:
        raise SavedModelError(
            f"its version is {shown(version)}, and this program knows up to {VERSION}; "
            "install a newer tracr_lite"
        )
    if type(version) is not int or version != VERSION:
        raise SavedModelError(f"its version is {shown(version)}; it must be {VERSION}")
    claimed = body.pop("sha256", None)
    try:
        found = digest(body)
    except (ValueError, RecursionError) as error:  # 1e999, or lists in lists in lists
        raise SavedModelError(f"it is not usable: {error}") from error
    if claimed != found:
        raise SavedModelError(
            "its content does not fit its own sha256: it was edited or damaged; save again "
            "instead of editing"
        )
    return body


def parse_object(text: bytes) -> Json:
    """The object in `text`, without repeated keys. **Raises:** `SavedModelError`."""
    try:
        found: object = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError too
        raise SavedModelError(f"it is not readable as JSON: {error}") from error
    if not isinstance(found, dict):
        raise SavedModelError(f"it is JSON, but {shown(found)} is no object")
    return cast("Json", found)


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"the key {shown(twice)} occurs twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _lines(value: Any, depth: int) -> str:
    """JSON with a line for each entry of the outer objects and lists."""
    start = "\n" + " " * depth
    if depth > _DEPTH or not value or not isinstance(value, dict | list):
        return _encode(value)
    if depth == _DEPTH and isinstance(value, list) and not isinstance(value[0], dict | list):
        return _encode(value)
    end = start[:-1]
    if isinstance(value, list):
        items = [_lines(item, depth + 1) for item in cast("list[Any]", value)]
        return f"[{start}{f',{start}'.join(items)}{end}]"
    entries = cast("Json", value).items()
    items = [f"{_encode(name)}: {_lines(inner, depth + 1)}" for name, inner in entries]
    return f"{{{start}{f',{start}'.join(items)}{end}}}"
