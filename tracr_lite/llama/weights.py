"""The tensors of a Llama model: names, shapes, and the two kinds of numbers they come in.

Names and layout are those of llama2.c: every matrix is (out, in), y = W x, and what each layer
has is stacked over layers. Rotary positions turn neighbours (2i, 2i + 1) of a head, as in files
by Meta; Hugging Face folders, which turn halves, are permuted when read and written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import prod
from typing import TypeAlias

import ml_dtypes
import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import WeightsError

Shape: TypeAlias = tuple[int, ...]

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = (np.dtype(np.float32), np.dtype(np.float16), BFLOAT16)


@dataclass(frozen=True, eq=False)
class Quantized:
    """A tensor in Q8_0: integers, and one scale for each group of them.

    Groups run over the flattened matrix of each layer, row by row; mostly `group_size` divides
    a row, then `row_scales` has the scales in rows too.

    **Arguments:**
    - `values`: int8, with the shape of the tensor, `(layers, out, in)` or `(out, in)`.
    - `scales`: float32, `(layers, groups)` or `(groups,)`, groups = out * in / group_size.
    - `group_size`: numbers in a group.

    **Raises:** `WeightsError` if these do not fit together.
    """

    values: np.ndarray
    scales: np.ndarray
    group_size: int

    def __post_init__(self) -> None:
        if self.values.dtype != np.int8 or self.scales.dtype != np.float32:
            raise WeightsError(
                "Quantized wants int8 values and float32 scales; got "
                f"{self.values.dtype} and {self.scales.dtype}"
            )
        stack, matrix = self.values.shape[:-2], prod(self.values.shape[-2:])
        if self.group_size < 1 or matrix % self.group_size:
            raise WeightsError(
                f"{matrix} numbers cannot be cut into groups of {self.group_size}"
            )
        if self.scales.shape != (wanted := (*stack, matrix // self.group_size)):
            raise WeightsError(
                f"the scales of values {self.values.shape} in groups of {self.group_size} "
                f"have shape {wanted}; got {self.scales.shape}"
            )

    @property
    def shape(self) -> Shape:
        """The shape of the tensor."""
        return self.values.shape

    @property
    def nbytes(self) -> int:
        """Bytes of values and scales."""
        return self.values.nbytes + self.scales.nbytes

    @property
    def row_scales(self) -> np.ndarray:
        """The scales as `(..., out, in / group_size)`.

        **Raises:** `WeightsError` if a group reaches from one row into the next.
        """
        *outer, width = self.values.shape
        if width % self.group_size:
            raise WeightsError(
                f"groups of {self.group_size} reach across rows of {width}; use dequantize()"
            )
        return self.scales.reshape(*outer, width // self.group_size)

    def __getitem__(self, layer: int) -> Quantized:
        """The matrix of one layer."""
        if self.values.ndim < 3:
            raise WeightsError("only a tensor that is stacked over layers has layers")
        return Quantized(self.values[layer], self.scales[layer], self.group_size)

    def dequantize(self) -> np.ndarray:
        """The float32 products of integers and scales, with the shape of the tensor."""
        flat = self.values.reshape(*self.scales.shape, self.group_size)
        return (flat * self.scales[..., None]).reshape(self.shape)


Tensor: TypeAlias = np.ndarray | Quantized


@dataclass(frozen=True, eq=False)
class LlamaWeights:
    """All tensors of a model. The letters: V vocab, D dim, L layers, F hidden, K kv_dim.

    Each one is a numpy array of float32, float16 or bfloat16, perhaps a read-only view of a
    mapped file, or `Quantized`. `classifier` is None when it is the embedding.
    Source: llama2.c, run.c, `TransformerWeights` (350e04f).
    """

    token_embedding: Tensor  # (V, D)
    attention_norm: Tensor  # (L, D)
    wq: Tensor  # (L, D, D): all heads, one below the other
    wk: Tensor  # (L, K, D)
    wv: Tensor  # (L, K, D)
    wo: Tensor  # (L, D, D)
    ffn_norm: Tensor  # (L, D)
    w1: Tensor  # (L, F, D), the gate
    w2: Tensor  # (L, D, F), down
    w3: Tensor  # (L, F, D), up
    final_norm: Tensor  # (D,)
    classifier: Tensor | None = None  # (V, D)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name; without the classifier if it is shared."""
        pairs = ((name, getattr(self, name)) for name in NAMES)
        return {name: tensor for name, tensor in pairs if tensor is not None}


NAMES = tuple(each.name for each in fields(LlamaWeights))
NORMS = ("attention_norm", "ffn_norm", "final_norm")
WHOLE = ("token_embedding", "final_norm", "classifier")  # not stacked over layers


def layer_shapes(config: LlamaConfig) -> dict[str, Shape]:
    """The shape of each tensor of one layer, and of those outside of layers."""
    d, hidden, kv = config.dim, config.hidden_dim, config.kv_dim
    table, down, up = (config.vocab_size, d), (d, hidden), (hidden, d)
    shapes: dict[str, Shape] = {
        **{"token_embedding": table, "attention_norm": (d,)},
        **{"wq": (d, d), "wk": (kv, d), "wv": (kv, d), "wo": (d, d)},
        **{"ffn_norm": (d,), "w1": up, "w2": down, "w3": up},
        **{"final_norm": (d,), "classifier": table},
    }
    if config.shared_classifier:
        del shapes["classifier"]
    return shapes


def shapes(config: LlamaConfig) -> dict[str, Shape]:
    """The shape of each tensor, stacked over layers."""
    return {
        name: shape if name in WHOLE else (config.n_layers, *shape)
        for name, shape in layer_shapes(config).items()
    }


def each_tensor(config: LlamaConfig) -> Iterator[tuple[str, int]]:
    """Name and layer of each tensor of each layer; the layer is 0 for those outside."""
    for name in layer_shapes(config):
        for layer in range(1 if name in WHOLE else config.n_layers):
            yield name, layer


def check_weights(config: LlamaConfig, weights: LlamaWeights) -> None:
    """Raises `WeightsError` with every tensor whose shape or type `config` does not allow."""
    wanted, found = shapes(config), weights.tensors()
    problems = [f"{name} is missing" for name in wanted if name not in found]
    for name, tensor in found.items():
        if name not in wanted:
            problems.append(f"{name} is there, but the configuration says it is shared")
        elif tensor.shape != wanted[name]:
            problems.append(f"{name} has shape {tensor.shape} instead of {wanted[name]}")
        elif isinstance(tensor, Quantized) and name in NORMS:
            problems.append(f"{name} is quantized; norms never are")
        elif not isinstance(tensor, Quantized) and tensor.dtype not in FLOATS:
            problems.append(f"{name} is {tensor.dtype}, not float32, float16 or bfloat16")
    if problems:
        raise WeightsError("these weights are not those of the model: " + "; ".join(problems))


def to_float32(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor as float32; float32 itself is not copied. Always exact, but for
    the one rounding of a product in `Quantized.dequantize`."""
    if isinstance(tensor, Quantized):
        return tensor.dequantize()
    return np.asarray(tensor, dtype=np.float32)
