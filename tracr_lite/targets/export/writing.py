"""Writes a stock model as a folder for one kind of runtime."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tracr_lite.targets.export.card import card_of
from tracr_lite.targets.export.errors import ExportError
from tracr_lite.targets.export.folder import CARD, RECORD, write_folder
from tracr_lite.targets.export.gguf_file import write_gguf
from tracr_lite.targets.export.hugging_face import write_hugging_face, write_whole
from tracr_lite.targets.export.llama2c import write_llama2c
from tracr_lite.targets.export.record import record_of
from tracr_lite.targets.stock_model import StockModel

FORMATS: dict[str, Callable[[StockModel, Path], None]] = {
    "hf": write_hugging_face,
    "llama2c": write_llama2c,
    "gguf": write_gguf,
}


def export(
    model: StockModel,
    folder: str | os.PathLike[str],
    to: str = "hf",
    *,
    overwrite: bool = False,
) -> Path:
    """Writes a model to a folder, which appears when it is whole.

    Equal models give equal bytes.

    **Arguments:**
    - `to`: "hf", a Hugging Face folder; "llama2c", model.bin and tokenizer.bin for run.c; or
      "gguf", model.gguf for llama.cpp, which needs the library `gguf`.
    - `overwrite`: whether an export that is there may be replaced, in one step.

    **Returns:** the folder.
    **Raises:** `ExportError` if the format cannot hold the model, or the place is taken; what
    was there is then as before.
    """
    if to not in FORMATS:
        raise ExportError(f"there is no format {to!r}; there are {', '.join(FORMATS)}")

    def write(new: Path) -> None:
        FORMATS[to](model, new)
        write_whole(new / RECORD, record_of(model))
        write_whole(new / CARD, card_of(model, to).encode("utf-8", "backslashreplace"))

    return write_folder(folder, write, overwrite=overwrite)
