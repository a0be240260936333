"""GGUF, the files of llama.cpp, written with the library `gguf`.

Rows of queries and keys stand in the order of llama2.c. Norms are float32 in every file, the
other tensors float32 or bfloat16. float16 is refused: the weights that count are too large for
it, and with smaller ones some positions come out wrong.
"""

# `gguf` leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.formats.hf_names import from_hf, hf_name
from tracr_lite.llama.formats.target import DTYPES
from tracr_lite.llama.tokenizer.vocabulary import FIRST_BYTE, Vocabulary
from tracr_lite.llama.weights import NORMS, each_tensor
from tracr_lite.targets.export.errors import ExportError
from tracr_lite.targets.export.hugging_face import narrowed
from tracr_lite.targets.export.llama2c import llama_weights
from tracr_lite.targets.export.tokenizer import tokenizer_of
from tracr_lite.targets.stock_model import BOS, EOS, UNK, StockModel

OUTSIDE = {
    "token_embedding": "token_embd.weight",
    "final_norm": "output_norm.weight",
    "classifier": "output.weight",
}
INSIDE = {
    "attention_norm": "attn_norm",
    "wq": "attn_q",
    "wk": "attn_k",
    "wv": "attn_v",
    "wo": "attn_output",
    "ffn_norm": "ffn_norm",
    "w1": "ffn_gate",
    "w2": "ffn_down",
    "w3": "ffn_up",
}
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # kinds of tokens


def write_gguf(model: StockModel, folder: Path) -> None:
    """Writes model.gguf into a folder, with numbers of `model.dtype`.

    **Raises:** `ExportError` if `gguf` is not installed, the model is no Llama, or its numbers
    do not fit.
    """
    gguf = _library()
    if model.dtype not in ("float32", "bfloat16"):
        raise ExportError(f"{model.dtype} in GGUF is not exact; float32 and bfloat16 are")
    config, _ = llama_weights(model)
    _check_texts(model)
    path = folder / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    try:
        _describe(writer, config, model, gguf)
        _add_tokenizer(writer, model)
        for name, layer in each_tensor(config):
            _add_tensor(writer, gguf, config, model, name, layer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _library() -> Any:
    try:
        return import_module("gguf")
    except ModuleNotFoundError as error:
        if error.name != "gguf":
            raise
        raise ExportError(
            "GGUF files are written with the library gguf, which is not installed; "
            "`pip install 'tracr_lite[targets]'` does it"
        ) from error


def _check_texts(model: StockModel) -> None:
    names = model.vocabulary.texts[:FIRST_BYTE]
    for value, at in model.vocabulary.inputs:
        if any(name in model.vocabulary.texts[at] for name in names):
            raise ExportError(
                f"the token {value!r} has the name of a special token of llama.cpp, which "
                "reads it as that; choose another token, or write a Hugging Face folder"
            )


def _describe(writer: Any, config: LlamaConfig, model: StockModel, gguf: Any) -> None:
    kinds = gguf.LlamaFileType
    writer.add_name("a compiled RASP program")
    writer.add_description(model.statement)
    writer.add_context_length(config.seq_len)
    writer.add_embedding_length(config.dim)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.hidden_dim)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(kinds.MOSTLY_BF16 if model.dtype == "bfloat16" else kinds.ALL_F32)


def _add_tokenizer(writer: Any, model: StockModel) -> None:
    vocabulary = tokenizer_of(model).vocabulary
    writer.add_tokenizer_model("llama")
    writer.add_token_list([_token(vocabulary, each) for each in range(len(vocabulary))])
    writer.add_token_scores(vocabulary.scores.tolist())
    writer.add_token_types([_kind(each) for each in range(len(vocabulary))])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS if model.vocabulary.end is None else model.vocabulary.end)
    writer.add_unk_token_id(UNK)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)


def _token(vocabulary: Vocabulary, token: int) -> bytes:
    """Its name: with U+2581 for spaces, and without the line breaks of llama2.c."""
    text = vocabulary.texts[token]
    return text.strip() if token in (BOS, EOS) else text.replace(b" ", "\u2581".encode())


def _kind(token: int) -> int:
    if FIRST_BYTE <= token < FIRST_BYTE + 256:
        return BYTE
    return {UNK: UNKNOWN, BOS: CONTROL, EOS: CONTROL}.get(token, NORMAL)


def _add_tensor(
    writer: Any, gguf: Any, config: LlamaConfig, model: StockModel, name: str, layer: int
) -> None:
    theirs = OUTSIDE.get(name) or f"blk.{layer}.{INSIDE[name]}.weight"
    tensor = from_hf(config, name, model.tensors[hf_name(name, layer)])
    if name in NORMS or model.dtype == "float32":
        writer.add_tensor(theirs, np.ascontiguousarray(tensor, np.float32))
        return
    narrow = narrowed(theirs, tensor, DTYPES[model.dtype])
    kind = gguf.GGMLQuantizationType.BF16
    writer.add_tensor(theirs, narrow.view(np.uint8), raw_dtype=kind)
