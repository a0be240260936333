"""The files of Hugging Face transformers: config.json, weights, generation, tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tracr_lite.llama.formats.aside import Writer
from tracr_lite.llama.formats.target import DTYPES
from tracr_lite.llama.formats.tensor_files import Planned, file_order, write_header
from tracr_lite.targets.export.errors import ExportError
from tracr_lite.targets.export.tokenizer import HUGGING_FACE_PAD, hugging_face_tokenizer
from tracr_lite.targets.stock_model import EOS, StockModel

_CONFIG = "tokenizer_config.json"


def write_hugging_face(model: StockModel, folder: Path) -> None:
    """Writes all but the page and the record into a folder that is empty.

    **Raises:** `ExportError` if the numbers do not fit their type, or no tokenizer can hold the
    vocabulary.
    """
    for name, data in hugging_face_tokenizer(model).items():
        write_whole(folder / name, _limited(model, data) if name == _CONFIG else data)
    write_whole(folder / "config.json", to_json(model.config))
    write_whole(folder / "generation_config.json", to_json(generation_config(model)))
    _write_weights(model, folder / "model.safetensors")


def generation_config(model: StockModel) -> dict[str, Any]:
    """How `generate` has to be run: greedily, until END or as long as the model is made for.

    The last token that may be written is the one after the longest input; it need not be read.
    """
    return {
        "bos_token_id": model.vocabulary.bos,
        "do_sample": False,
        "eos_token_id": model.vocabulary.end,
        "max_length": model.max_seq_len + 2,
        "pad_token_id": EOS,
    }


def _limited(model: StockModel, data: bytes) -> bytes:
    """A tokenizer pads, behind the end, with a token that is never written.

    It warns of texts that the model was not made for; nothing in these files refuses them.
    """
    more = {
        "model_max_length": model.max_seq_len + 1,
        "pad_token": HUGGING_FACE_PAD,
        "padding_side": "right",
    }
    return to_json(json.loads(data) | more)


def _write_weights(model: StockModel, path: Path) -> None:
    dtype = DTYPES[model.dtype]
    plan = file_order(
        [Planned(name, dtype, each.shape) for name, each in model.tensors.items()]
    )
    head = write_header(plan)
    with Writer(path, len(head) + sum(each.nbytes for each in plan)) as out:
        out.write_at(0, head)
        begin = len(head)
        for each in plan:
            narrow = narrowed(each.name, model.tensors[each.name], dtype)
            out.write_at(begin, narrow.reshape(-1).view(np.uint8).data)
            begin += each.nbytes


def narrowed(name: str, tensor: np.ndarray, dtype: np.dtype[np.generic]) -> np.ndarray:
    """A tensor as numbers of a type. Raises `ExportError` if that loses one altogether."""
    with np.errstate(over="ignore"):  # said in words below
        narrow = np.ascontiguousarray(tensor).astype(dtype)
    again = narrow.astype(np.float32)
    if not np.isfinite(again).all() or ((again == 0) & (tensor != 0)).any():
        raise ExportError(
            f"{name} holds numbers up to {np.abs(tensor).max():g}, which {dtype.name} cannot "
            "hold; compile the program with another dtype"
        )
    return narrow


def to_json(value: object) -> bytes:
    """JSON for people, the same each time."""
    return (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode()


def write_whole(path: Path, data: bytes) -> None:
    """Writes and syncs a file."""
    with Writer(path, len(data)) as out:
        out.write_at(0, data)
