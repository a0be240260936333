"""From `Params` to `Model`: addresses of the arrays where they are; only norms are copied."""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.int8 import Int8Matrix
from tracr_lite.llama.matrices import Matrix
from tracr_lite.llama.native.plan import BFLOAT16, FLOAT32, INT8, Q80, Model
from tracr_lite.llama.native.processor import has_amx
from tracr_lite.llama.native.wide import unit
from tracr_lite.llama.params import Params

KINDS = {"float32": FLOAT32, "bfloat16": BFLOAT16}


def describe(params: Params, config: LlamaConfig) -> tuple[Model, list[np.ndarray]]:
    """The model for compiled code, and the arrays that have to live as long as it is used.

    **Raises:** `LlamaError` for arrays that compiled code cannot read where they are.
    """
    kept: list[np.ndarray] = []
    hidden, joined = config.hidden_dim, config.dim + 2 * config.kv_dim
    rows: list[list[int]] = []
    for layer in params.layers:
        for matrix, shape in (
            (layer.wqkv, (joined, config.dim)),
            (layer.wo, (config.dim, config.dim)),
            (layer.w13, (2 * hidden, config.dim)),
            (layer.w2, (config.dim, hidden)),
        ):
            rows.append(_row(matrix, shape, kept))
    head = params.embedding if params.classifier is None else params.classifier
    for matrix in (params.embedding, head):
        rows.append(_row(matrix, (config.vocab_size, config.dim), kept))
    norms = [each for x in params.layers for each in (x.attention_norm, x.ffn_norm)]
    model = Model(
        dim=config.dim,
        kv_dim=config.kv_dim,
        hidden=hidden,
        layers=config.n_layers,
        heads=config.n_heads,
        kv_heads=config.n_kv_heads,
        size=config.head_size,
        vocab=config.vocab_size,
        eps=float(config.norm_eps),
        matrices=np.array(rows, np.int64),
        norms=_copied([*norms, params.final_norm], (2 * config.n_layers + 1, config.dim)),
        cos=_copied([params.cos], (config.seq_len, config.head_size // 2)),
        sin=_copied([params.sin], (config.seq_len, config.head_size // 2)),
    )
    return model, kept


def _row(matrix: Matrix, shape: tuple[int, int], kept: list[np.ndarray]) -> list[int]:
    """The line of one matrix in `Model.matrices`."""
    if matrix.shape != shape:
        raise LlamaError(f"a matrix has shape {matrix.shape} instead of {shape}")
    if isinstance(matrix, Int8Matrix):
        values, scales = _seen(matrix.values, "int8"), _seen(matrix.scales, "float32")
        kept += [values, scales]
        kind = Q80 if matrix.activations == "q80" else INT8
        sizes = [len(scales), scales.shape[1], matrix.group]
        at_a_time = unit(kind, shape[1], matrix.group) if has_amx() else 0
        return [kind, values.ctypes.data, scales.ctypes.data, *shape, *sizes, at_a_time]
    found = _seen(matrix, str(matrix.dtype))
    kept.append(found)
    kind = KINDS[str(matrix.dtype)]
    at_a_time = unit(kind, shape[1], 0) if has_amx() else 0
    return [kind, found.ctypes.data, 0, *shape, 0, 0, 0, at_a_time]


def _seen(array: jax.Array, dtype: str) -> np.ndarray:
    """A view of a JAX array on the CPU."""
    found: Any = np.asarray(array)
    if found.dtype.name != dtype or not found.flags.c_contiguous:
        raise LlamaError(f"a matrix of {found.dtype} lies otherwise than expected")
    return found


def _copied(numbers: Any, shape: tuple[int, int]) -> np.ndarray:
    found = np.array([np.asarray(each) for each in numbers], np.float32).reshape(shape)
    return np.ascontiguousarray(found)


def refusal(params: Params) -> str | None:
    """Why compiled code cannot run these weights; None if it can."""
    if jax.default_backend() != "cpu":
        return f"it computes on CPUs, and JAX uses {jax.default_backend()}"
    matrices = [m for x in params.layers for m in (x.wqkv, x.wo, x.w13, x.w2)]
    for matrix in (*matrices, params.embedding, params.classifier):
        if matrix is None or isinstance(matrix, Int8Matrix):
            continue
        if isinstance(matrix, Tracer) or str(matrix.dtype) not in KINDS:
            return f"a matrix is {matrix.dtype}, not float32, bfloat16 or int8"
    return None
