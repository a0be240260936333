"""What each head and neuron of one half-layer writes at one position, in double precision.

attention:  softmax(q k^T / sqrt(key_size)) v  W_h      for each head h
MLP:        relu(x w_i + b_i)  W_i                      for each neuron i
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from tracr_lite.compiler.lowering.forms import EMBEDDED
from tracr_lite.compiler.pack import HalfLayers, Head, Params, pack
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.craft.bases import VectorSpaceWithBasis
from tracr_lite.craft.conventions import INDICES, TOKENS
from tracr_lite.transformer.model import TransformerConfig

Arrays = Mapping[str, Mapping[str, np.ndarray]]
PROJECTIONS = ("query", "key", "value")


@dataclass(frozen=True)
class Writer:
    """Something that writes to the stream.

    **Arguments:** `kind`: `head`, `neuron`, `attention bias`, `MLP bias`, `token embedding` or
    `position embedding`; `layer`: of the first four; `number`: of a head or neuron.
    """

    kind: str
    layer: int | None = None
    number: int | None = None

    def __str__(self) -> str:
        where = "" if self.layer is None else f"layer {self.layer} "
        return where + self.kind + ("" if self.number is None else f" {self.number}")


@dataclass(frozen=True)
class HalfLayer:
    """One half-layer, or the embeddings (`slot` is `EMBEDDED`), of a transformer."""

    slot: int
    config: TransformerConfig

    def __str__(self) -> str:
        if self.slot == EMBEDDED:
            return "the embeddings"
        return f"the {'MLP' if self.slot % 2 else 'attention'} of layer {self.slot // 2}"

    @property
    def here(self) -> str:
        """The name under which its parameters are."""
        return f"transformer/layer_{self.slot // 2}/{'mlp' if self.slot % 2 else 'attn'}"

    def writers(self) -> list[Writer]:
        """All of them, in the order of `written`."""
        if self.slot == EMBEDDED:
            return [Writer("token embedding"), Writer("position embedding")]
        layer = self.slot // 2
        if self.slot % 2:
            neurons = range(self.config.mlp_hidden_size)
            return [*(Writer("neuron", layer, i) for i in neurons), Writer("MLP bias", layer)]
        heads = range(self.config.num_heads)
        return [*(Writer("head", layer, h) for h in heads), Writer("attention bias", layer)]

    def written(
        self,
        params: Arrays,
        ids: Sequence[int],
        stream: Float[np.ndarray, "seq d_model"],
        position: int,
        columns: np.ndarray,
    ) -> Float[np.ndarray, "writers columns"]:
        """What each writer adds to some columns at a position.

        **Arguments:** `ids`: of the tokens, BOS first; `stream`: before this half-layer.
        """
        with np.errstate(all="ignore"):  # weights may be anything
            if self.slot == EMBEDDED:
                token, at = params["token_embed"], params["pos_embed"]
                rows = token["embeddings"][ids[position]], at["embeddings"][position]
                return np.stack(rows).astype(float)[:, columns]
            run = self._neurons if self.slot % 2 else self._heads
            parts = {name: _arrays(params, f"{self.here}/{name}") for name in self._names()}
            out, bias = parts["linear_2" if self.slot % 2 else "linear"]
            lanes = run(parts, stream.astype(float), position)  # [writers, lanes]
            weights = out.reshape(*lanes.shape, -1)[:, :, columns]
            own = np.einsum("wl,wlc->wc", lanes, weights)
            return np.concatenate([own, bias[None, columns]])

    def _names(self) -> tuple[str, ...]:
        return ("linear_1", "linear_2") if self.slot % 2 else (*PROJECTIONS, "linear")

    def _neurons(
        self, parts: Mapping[str, tuple[np.ndarray, np.ndarray]], x: np.ndarray, position: int
    ) -> np.ndarray:
        weights, bias = parts["linear_1"]
        return np.maximum(x[position] @ weights + bias, 0.0)[:, None]

    def _heads(
        self, parts: Mapping[str, tuple[np.ndarray, np.ndarray]], x: np.ndarray, position: int
    ) -> np.ndarray:
        size = self.config.key_size
        seen = x[: position + 1] if self.config.causal else x
        found = {name: seen @ w + b for name, (w, b) in parts.items() if name != "linear"}
        keys, values = (found[n].reshape(len(seen), -1, size) for n in ("key", "value"))
        query = found["query"][position].reshape(-1, size)
        scores = np.einsum("hd,thd->ht", query, keys) / math.sqrt(size)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        return np.einsum("ht,thd->hd", weights, values)

    def changed(
        self, writer: Writer, new: Arrays, old: Arrays, rows: Sequence[int]
    ) -> list[str]:
        """The parameters of a writer that differ, by name.

        **Arguments:** `rows`: of the two embeddings, the token's id and the position.
        """
        return [
            f"{module}/{leaf}"
            for module, leaf, at in self._parts(writer, rows)
            if not np.array_equal(new[module][leaf][at], old[module][leaf][at], equal_nan=True)
        ]

    def _parts(self, writer: Writer, rows: Sequence[int]) -> list[tuple[str, str, Any]]:
        """(module, parameter, index) of all that belongs to a writer alone."""
        here, number = self.here, writer.number
        match writer.kind:
            case "head":
                assert number is not None
                lanes = slice(
                    number * self.config.key_size, (number + 1) * self.config.key_size
                )
                reads = [
                    (f"{here}/{name}", leaf, at)
                    for name in PROJECTIONS
                    for leaf, at in (("w", (slice(None), lanes)), ("b", lanes))
                ]
                return [*reads, (f"{here}/linear", "w", lanes)]
            case "neuron":
                reads = [(f"{here}/linear_1", "w", (slice(None), number))]
                return [
                    *reads,
                    (f"{here}/linear_1", "b", number),
                    (f"{here}/linear_2", "w", number),
                ]
            case "attention bias":
                return [(f"{here}/linear", "b", slice(None))]
            case "MLP bias":
                return [(f"{here}/linear_2", "b", slice(None))]
            case "token embedding":
                return [("token_embed", "embeddings", rows[0])]
            case _:
                return [("pos_embed", "embeddings", rows[1])]


def compiled_params(trace: CompileTrace, config: TransformerConfig) -> Params:
    """The parameters as they were compiled, whatever became of them since."""
    layers = [
        HalfLayers(
            tuple(Head(h.w_qk, h.w_ov) for h in layer.heads),
            tuple((m.fst, m.snd) for m in layer.mlps),
        )
        for layer in trace.layers.layers
    ]
    tokens, indices = (
        VectorSpaceWithBasis([d for d in trace.space.basis if d.name == name])
        for name in (TOKENS, INDICES)
    )
    return pack(layers, trace.space, config, tokens, indices).dense()


def _arrays(params: Arrays, name: str) -> tuple[np.ndarray, np.ndarray]:
    group = params[name]
    return np.asarray(group["w"], float), np.asarray(group["b"], float)
