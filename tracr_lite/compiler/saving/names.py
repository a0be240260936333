"""The names in and around a saved model, and how to tell one from any other folder."""

from __future__ import annotations

import os
from pathlib import Path

from tracr_lite.compiler.saving.json_text import START

RECORD, WEIGHTS, CARD = "model.json", "model.safetensors", "README.md"
NAMES = (RECORD, WEIGHTS, CARD)
NEW, OLD = "new", "old"  # in the folder beside it


def work_folder_of(goal: Path) -> Path:
    """Where a model is put together that will be `goal`."""
    return goal.with_name(f".{goal.name}.tracr_lite")


def begins_as_ours(folder: Path) -> bool:
    """Whether a folder is a saved model, damaged or not: its record begins as they all do."""
    record = folder / RECORD
    if not record.is_file():
        return False
    with record.open("rb") as file:
        return file.read(len(START)) == START


def foreign(folder: Path) -> str:
    """What a folder without a record may be, in words; empty if that is unknown."""
    known = {
        "dataset.json": "a data set; read it with tracr_lite.mass.read_dataset",
        "config.json": "a Hugging Face model; see tracr-lite llama --help",
        "adapter_config.json": "a low-rank adapter of peft",
        "params.json": "an original Llama checkpoint; see tracr-lite llama --help",
    }
    inside = set(os.listdir(folder))
    return next((text for name, text in known.items() if name in inside), "")
