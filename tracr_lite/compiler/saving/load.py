"""Reads a model from a folder."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.forward import Shape
from tracr_lite.compiler.saving.again import compiled_again
from tracr_lite.compiler.saving.fields import in_words
from tracr_lite.compiler.saving.json_text import Json, from_bytes
from tracr_lite.compiler.saving.names import RECORD, WEIGHTS
from tracr_lite.compiler.saving.opening import opened, read_record, read_weights
from tracr_lite.compiler.saving.record import model_of, read_shape
from tracr_lite.compiler.saving.weights import largest_file, params_of
from tracr_lite.errors import SavedModelError
from tracr_lite.rasp import rasp


def load(
    folder: str | os.PathLike[str], program: rasp.SOp | None = None
) -> AssembledTransformerModel:
    """The model that `save` wrote: the same bits, so the same answers.

    Runs nothing from the folder. A file holds no functions, so `graph`, `craft_model` and
    `node` need the program again.

    **Arguments:** `program`: what the model was compiled from. It is compiled with the
    vocabulary, length and causality of the saved model, and compared with it; the result has a
    trace.
    **Raises:** `SavedModelError` if the folder is damaged, incomplete or something else, or if
    `program` compiles to another model; `CompileError` if it does not compile.
    """
    path = Path(folder)
    with _about(f"cannot load {str(path)!r}"):
        body, shape, data = _read(path)
        with _about(WEIGHTS):
            params = params_of(data, shape)
        with _about(RECORD):
            model = model_of(body, shape, params)
        return model if program is None else compiled_again(model, program)


def _read(folder: Path) -> tuple[Json, Shape, np.ndarray]:
    """The record without its digest, the shape in it, and the bytes of the weights."""
    with opened(folder) as (record, weights):
        with _about(RECORD):
            body = from_bytes(read_record(record))
            shape = read_shape(body)
        with _about(WEIGHTS):
            return body, shape, read_weights(weights, body["weights"], largest_file(shape))


@contextmanager
def _about(what: str) -> Generator[None]:
    """Puts in front of a message what it is about."""
    try:
        yield
    except (SavedModelError, OSError) as error:
        raise SavedModelError(f"{what}: {in_words(error)}") from error
    except MemoryError as error:
        raise SavedModelError(f"{what}: there is too little memory for it") from error
