"""Lowered parts -> tensors of an unmodified Llama, in the layout of transformers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.architecture import Frame, Tensors
from tracr_lite.targets.ballast import columns_in
from tracr_lite.targets.blocks import HeadPart, Unit
from tracr_lite.targets.llama_heads import fit, scores
from tracr_lite.targets.llama_neurons import Neuron, neurons
from tracr_lite.targets.placing import PlacedHead, PlacedLayer
from tracr_lite.targets.rope import THETA
from tracr_lite.targets.rows import Row
from tracr_lite.targets.stock_model import EOS, StockVocabulary
from tracr_lite.targets.traits import Traits

EPS = 1e-5
RECENT = {"float32": 4096, "bfloat16": 128}  # positions in which the latest key is found
TRAITS = Traits(positions=False, gated=True, relative=True, noise=2.0**-22, recent=4096)


@dataclass(frozen=True)
class LlamaArchitecture:
    """Llama 2, and what of its shape can be chosen.

    **Arguments:** `theta`: base of the rotary frequencies; `group`: query heads per key head.
    """

    theta: float = THETA
    group: int = 1
    traits: Traits = TRAITS
    name: Literal["llama"] = "llama"
    extra: int = 0
    exact: bool = True

    def ballast_columns(self, width: int) -> int:
        """m of a width m * 4^j."""
        return columns_in(width)

    def count(self, unit: Unit, bos: BasisDirection) -> int:
        """Neurons of a unit."""
        return len(self._neurons(unit, bos))

    def fits(self, part: HeadPart, head: int, positions: int) -> bool:
        """Whether a head of this size has the pairs that the part needs."""
        return fit([part], head, positions, self.theta)

    def shares(self, heads: list[PlacedHead], head: int, positions: int) -> bool:
        """Whether there is room for the keys and the values of all of them."""
        rows = sum(len(each.values) for each in heads)
        return rows <= head and fit([each.part for each in heads], head, positions, self.theta)

    def tensors(
        self, frame: Frame, embedding: np.ndarray, output: list[tuple[int, Row]]
    ) -> Tensors:
        """All tensors, in the layout of transformers."""
        d, ballast = frame.shape.width, frame.ballast
        gain = np.full(d, ballast.gain, np.float32)
        gain[: ballast.columns] = ballast.gain_here
        embedding = embedding.astype(np.float32)
        embedding[:, : ballast.columns] = ballast.value
        head = np.zeros((len(embedding), d), np.float32)
        for at, row in output:
            head[at] = frame.vector(row)
        found = {
            "model.embed_tokens.weight": embedding,
            "model.norm.weight": gain,
            "lm_head.weight": head,
        }
        for number, layer in enumerate(frame.layers):
            here = f"model.layers.{number}"
            found[f"{here}.input_layernorm.weight"] = gain
            found[f"{here}.post_attention_layernorm.weight"] = gain
            for name, tensor in self._attention(frame, layer.heads).items():
                found[f"{here}.self_attn.{name}.weight"] = tensor
            for name, tensor in self._mlp(frame, layer).items():
                found[f"{here}.mlp.{name}.weight"] = tensor
        return found

    def _attention(self, frame: Frame, heads: tuple[PlacedHead, ...]) -> Tensors:
        shape, group = frame.shape, self.group
        d, size = shape.width, shape.head
        q, o = np.zeros((d, d), np.float32), np.zeros((d, d), np.float32)
        k, v = np.zeros((d // group, d), np.float32), np.zeros((d // group, d), np.float32)
        for at, members in groupby(heads, key=lambda head: head.at // group):
            used, first = list(members), at * size
            queries, keys = scores(frame, [head.part for head in used], self.theta)
            k[first : first + size] = keys
            for head, rows in zip(used, queries, strict=True):
                mine = head.at * size
                q[mine : mine + size] = rows
                for row, direction in head.values:
                    v[first] = frame.vector(row)
                    o[frame.place[direction], mine + first - at * size] = 1.0
                    first += 1
        return {"q_proj": q, "k_proj": k, "v_proj": v, "o_proj": o}

    def _neurons(self, unit: Unit, bos: BasisDirection) -> list[Neuron]:
        return neurons(unit, bos, bounded=self.traits.mode == "bounded")

    def _mlp(self, frame: Frame, layer: PlacedLayer) -> Tensors:
        d, hidden = frame.shape.width, frame.hidden
        gate, up = np.zeros((hidden, d), np.float32), np.zeros((hidden, d), np.float32)
        down = np.zeros((d, hidden), np.float32)
        units = (unit for part in layer.mlps for unit in part.units)
        found = (n for unit in units for n in self._neurons(unit, frame.bos))
        for at, neuron in enumerate(found):
            gate[at], up[at] = frame.vector(neuron.gate), frame.vector(neuron.up)
            down[:, at] = frame.vector(neuron.down)
        return {"gate_proj": gate, "up_proj": up, "down_proj": down}

    def config(self, frame: Frame, vocabulary: StockVocabulary) -> dict[str, Any]:
        """What `config.json` holds."""
        shape = frame.shape
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": shape.width,
            "intermediate_size": frame.hidden,
            "num_hidden_layers": len(frame.layers),
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads // self.group,
            "head_dim": shape.head,
            "vocab_size": vocabulary.size,
            "max_position_embeddings": frame.positions,
            "rms_norm_eps": EPS,
            "rope_theta": self.theta,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": False,
            "bos_token_id": vocabulary.bos,
            "eos_token_id": EOS if vocabulary.end is None else vocabulary.end,
            "torch_dtype": self.traits.dtype,
        }
