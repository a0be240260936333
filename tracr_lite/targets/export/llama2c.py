"""The files of llama2.c: model.bin in version 0, and tokenizer.bin.

run model.bin -z tokenizer.bin -t 0 -i "a b c |"
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.formats.hf_config import read_config
from tracr_lite.llama.formats.hf_names import from_hf, hf_name
from tracr_lite.llama.saving import save_checkpoint
from tracr_lite.llama.tokenizer import save_tokenizer
from tracr_lite.llama.weights import WHOLE, LlamaWeights, shapes
from tracr_lite.targets.export.errors import ExportError
from tracr_lite.targets.export.tokenizer import tokenizer_of
from tracr_lite.targets.stock_model import StockModel


def write_llama2c(model: StockModel, folder: Path) -> None:
    """Writes both files into a folder that is empty.

    **Raises:** `ExportError` if the model is no Llama; `LlamaError` if the format has no place
    for something.
    """
    config, weights = llama_weights(model)
    save_tokenizer(folder / "tokenizer.bin", tokenizer_of(model))
    save_checkpoint(folder / "model.bin", config, weights, "v0")


def llama_weights(model: StockModel) -> tuple[LlamaConfig, LlamaWeights]:
    """Configuration and tensors with the names and the order of rows of llama2.c.

    **Raises:** `ExportError` if the model is no Llama, or its numbers are not float32.
    """
    if model.architecture != "llama":
        raise ExportError(
            f"this format holds Llama models, and this is {model.architecture}; compile the "
            "program with compile_rasp_to_llama, or write a Hugging Face folder"
        )
    config, _ = read_config(model.config)
    found: dict[str, np.ndarray] = {}
    for name in shapes(config):
        layers = range(1 if name in WHOLE else config.n_layers)
        each = [from_hf(config, name, model.tensors[hf_name(name, layer)]) for layer in layers]
        found[name] = each[0] if name in WHOLE else np.stack(each)
    return config, LlamaWeights(**found)
