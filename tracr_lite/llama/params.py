"""The weights of a model as the forward pass wants them: on the device, some of them joined."""

# JAX leaves parts of its own signatures without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import Array, device_put
from jax.tree_util import register_dataclass, tree_leaves

from tracr_lite.llama.arena import Arena
from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.formats.quantize import GROUP_SIZE, quantize
from tracr_lite.llama.formats.rope import check_positions, rope_tables
from tracr_lite.llama.formats.source import Source
from tracr_lite.llama.int8 import ACTIVATIONS, Activations, int8_matrix
from tracr_lite.llama.matrices import Matrix
from tracr_lite.llama.weights import Quantized, Tensor, to_float32

Dtype: TypeAlias = Literal["float32", "bfloat16", "int8"]
DTYPES = (None, "float32", "bfloat16", "int8")
Progress: TypeAlias = Callable[[int, int], None]  # what has just been done, and all there is


@register_dataclass
@dataclass(frozen=True)
class Layer:
    """The weights of one layer. Matrices that read the same vector are one, row below row."""

    attention_norm: Array  # (dim,)
    wqkv: Matrix  # (dim + 2 kv_dim, dim)
    wo: Matrix  # (dim, dim)
    ffn_norm: Array  # (dim,)
    w13: Matrix  # (2 hidden_dim, dim): gate, up
    w2: Matrix  # (dim, hidden_dim): down


@register_dataclass
@dataclass(frozen=True)
class Params:
    """All that a forward pass needs besides the configuration.

    `classifier` is None when it is the embedding; `cos` and `sin` are rotary tables.
    """

    embedding: Matrix  # (vocab, dim)
    layers: tuple[Layer, ...]
    final_norm: Array  # (dim,)
    classifier: Matrix | None  # (vocab, dim)
    cos: Array  # (seq_len, head_size / 2)
    sin: Array

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return sum(leaf.nbytes for leaf in tree_leaves(self))


def load_params(
    config: LlamaConfig,
    source: Source,
    dtype: Dtype | None = None,
    activations: Activations = "float32",
    progress: Progress = lambda done, total: None,
) -> Params:
    """Copies the tensors of a model to the device, one matrix at a time.

    **Arguments:**
    - `dtype`: of the matrices. None keeps int8 what is quantized, and makes the rest float32.
      "int8" quantizes where the file is not, in groups of 64 or what fits.
    - `activations`: for int8 matrices; see `Int8Matrix`.
    - `progress`: called after each layer.

    **Raises:** `LlamaError` for another `dtype` or `activations`; if "q80" is asked of matrices
    that are not int8, or of groups that reach from one row into the next, with which runq.c
    gives wrong results; and for a seq_len beyond all sense.
    """
    if dtype not in DTYPES or activations not in ACTIVATIONS:
        raise LlamaError(
            f"matrices in {dtype!r} with activations in {activations!r}: there are "
            f"{', '.join(map(str, DTYPES[1:]))}, and {', '.join(ACTIVATIONS)}"
        )
    check_positions(config)
    put = _Putter(config, dtype, activations, Arena())
    shared = config.shared_classifier
    cos, sin = rope_tables(config, 0, config.seq_len)
    return Params(
        embedding=put.matrix("token_embedding", source.layer("token_embedding", 0)),
        layers=tuple(_layers(put, source, config.n_layers, progress)),
        final_norm=_norm(source.layer("final_norm", 0)),
        classifier=None if shared else put.matrix("classifier", source.layer("classifier", 0)),
        cos=jnp.asarray(cos),
        sin=jnp.asarray(sin),
    )


def _layers(put: _Putter, source: Source, count: int, progress: Progress) -> Iterator[Layer]:
    for i in range(count):

        def get(*names: str, i: int = i) -> list[Tensor]:
            return [source.layer(name, i) for name in names]

        yield Layer(
            attention_norm=_norm(source.layer("attention_norm", i)),
            wqkv=put.matrix("wq, wk, wv", *get("wq", "wk", "wv")),
            wo=put.matrix("wo", *get("wo")),
            ffn_norm=_norm(source.layer("ffn_norm", i)),
            w13=put.matrix("w1, w3", *get("w1", "w3")),
            w2=put.matrix("w2", *get("w2")),
        )
        source.release()
        progress(1, count)


def _norm(tensor: Tensor) -> Array:
    return jnp.array(to_float32(tensor))


def _group_size(config: LlamaConfig) -> int:
    """That of llama2.c's exporter; smaller where that would reach across rows."""
    size = GROUP_SIZE
    while config.dim % size or config.hidden_dim % size:
        size //= 2
    return size


@dataclass(frozen=True)
class _Putter:
    """Puts matrices on the device in the wanted form."""

    config: LlamaConfig
    dtype: Dtype | None
    activations: Activations
    arena: Arena

    def matrix(self, name: str, *tensors: Tensor) -> Matrix:
        """One matrix of all rows of `tensors`."""
        if self.dtype == "int8":
            size = _group_size(self.config)
            tensors = tuple(
                t if isinstance(t, Quantized) else quantize(t, size) for t in tensors
            )
        if self.dtype in (None, "int8") and all(isinstance(t, Quantized) for t in tensors):
            return self._int8(name, [t for t in tensors if isinstance(t, Quantized)])
        if self.activations == "q80":
            raise LlamaError(
                f"activations in q80 need int8 matrices, but {name} is not; load with "
                'dtype="int8", or a v2 file without a dtype'
            )
        kind = np.dtype(jnp.bfloat16 if self.dtype == "bfloat16" else np.float32)
        rows = sum(tensor.shape[0] for tensor in tensors)
        whole, at = self.arena.empty((rows, tensors[0].shape[1]), kind), 0
        for tensor in tensors:
            whole[at : at + tensor.shape[0]] = to_float32(tensor)
            at += tensor.shape[0]
        return device_put(whole, may_alias=True)

    def _int8(self, name: str, tensors: list[Quantized]) -> Matrix:
        if any(each.shape[1] % each.group_size for each in tensors):
            if self.activations == "q80":
                raise LlamaError(
                    f"groups of {tensors[0].group_size} reach across the rows of {name}: "
                    'runq.c gives wrong results with this file; use activations="float32"'
                )
            return jnp.asarray(np.concatenate([each.dequantize() for each in tensors]))
        values = np.concatenate([each.values for each in tensors])
        scales = np.concatenate([each.row_scales for each in tensors])
        return int8_matrix(values, scales, self.activations, self.arena)
