"""Writes a model to a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.saving.aside import check_place, publish
from tracr_lite.compiler.saving.card import card_of
from tracr_lite.compiler.saving.fields import in_words
from tracr_lite.compiler.saving.json_text import MAX_BYTES, Json, digest, from_bytes, to_bytes
from tracr_lite.compiler.saving.names import CARD, RECORD, WEIGHTS
from tracr_lite.compiler.saving.record import body_of, model_of, read_shape, shape_of
from tracr_lite.compiler.saving.weights import header_of, tensors_of
from tracr_lite.errors import SavedModelError


def save(
    model: AssembledTransformerModel, folder: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Writes a model to a folder, which appears when it is whole; see `docs/saving.md`.

    Equal models give equal bytes.

    **Arguments:** `overwrite`: whether a saved model that is there may be replaced. It is, in
    one step: a run that is killed leaves the old one or the new one.
    **Returns:** the folder.
    **Raises:** `SavedModelError` if the model has parts that no file can hold, the place is
    taken, or writing fails; what was there is then as before.
    """
    path = Path(folder)
    try:
        goal = check_place(path, overwrite=overwrite)
        tensors = tensors_of(model.params, shape_of(model))
        header = header_of(tensors)
        size = len(header) + sum(array.nbytes for array in tensors.values())
        told = {"file": WEIGHTS, "bytes": size, "sha256": ""}
        body = body_of(model, told)
        _check(model, body)

        def write(new: Path) -> None:
            told["sha256"] = _write(new / WEIGHTS, [header, *map(_bytes, tensors.values())])
            _write(new / RECORD, [to_bytes(body)])
            _write(new / CARD, [card_of(model, body, digest(body)).encode()])

        publish(goal, write, overwrite=overwrite)
    except (ValueError, OSError) as error:
        raise SavedModelError(f"cannot save to {str(path)!r}: {in_words(error)}") from error
    return path


def _check(model: AssembledTransformerModel, body: Json) -> None:
    """What is going to be written has to mean this model again."""
    text = to_bytes(body)
    if len(text) > MAX_BYTES:
        raise SavedModelError(f"its labels and values take {len(text)} bytes of JSON")
    read = from_bytes(text)
    again = model_of(read, read_shape(read), model.params)
    if to_bytes(body_of(again, body["weights"])) != text:
        raise SavedModelError("it would not be the same when loaded; please report this")


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _write(path: Path, parts: Iterable[bytes | memoryview]) -> str:
    """Writes and syncs a file. **Returns:** its SHA-256."""
    found = hashlib.sha256()
    with path.open("xb", buffering=0) as file:
        for part in parts:
            rest = memoryview(part)
            found.update(rest)
            while len(rest):
                rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    return found.hexdigest()
