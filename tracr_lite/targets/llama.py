"""Lowered parts -> tensors of an unmodified Llama, in the layout of transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.architecture import Frame, Tensors
from tracr_lite.targets.ballast import columns_in
from tracr_lite.targets.blocks import HeadPart, Unit
from tracr_lite.targets.llama_neurons import Neuron, neurons, power
from tracr_lite.targets.placing import PlacedHead, PlacedLayer
from tracr_lite.targets.rope import (
    THETA,
    frequencies,
    nearest_head,
    offset_head,
    slow_pairs,
)
from tracr_lite.targets.rows import Row, always, constant
from tracr_lite.targets.stock_model import EOS, StockVocabulary
from tracr_lite.targets.traits import Traits

PENALTY, BOS_PENALTY = 512.0, 128.0
HALF = 2.0**15  # what queries and keys are kept below: some runtimes hold them in float16
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
        slow, fast = len(part.penalties) + (not part.counts_bos), 0
        if part.offsets:
            found = offset_head(head, positions, self.theta)
            if found is None:
                return False
            fast = found.pairs
        if part.recent is not None:
            slow += 1
            if nearest_head(head, positions, self.theta) is None:
                return False
        return slow <= slow_pairs(head, positions, self.theta) and slow + fast <= head // 2

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
        for at, head in enumerate(heads):
            mine = slice(at * group * size, (at * group + 1) * size)
            shared = slice(at * size, (at + 1) * size)
            q[mine], k[shared] = _scores(frame, head.part, self.theta)
            for place, (row, direction) in enumerate(head.part.value[head.first : head.stop]):
                v[at * size + place] = frame.vector(row)
                o[frame.place[direction], at * group * size + place] = 1.0
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


def _scores(frame: Frame, part: HeadPart, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Query and key rows; pair i of a head is its elements i and i + size / 2."""
    size = frame.shape.head
    half, root = size // 2, float(np.sqrt(size))
    q = np.zeros((size, frame.shape.width), np.float32)
    k = np.zeros((size, frame.shape.width), np.float32)
    one, bos = frame.vector(always()), frame.vector({frame.bos: 1.0})
    last = half - 1  # the slowest pair
    penalty, bos_score = PENALTY, -BOS_PENALTY
    if part.offsets:
        bos_score = _offset_rows(frame, part, theta, q, k)
    if part.recent is not None:
        near = nearest_head(size, frame.positions, theta)
        assert near is not None, "the size of heads was chosen to fit"
        q[half + near.pair] = near.scale * root * one
        k[near.pair] = frame.vector(part.recent)
        penalty, bos_score = near.penalty, -near.bos
    if not part.counts_bos:
        q[last], k[last] = bos_score * root * one, bos
        last -= 1
    for each in part.penalties:
        q[last] = -penalty * root * frame.vector(each.query)
        k[last] = frame.vector(each.key)
        last -= 1
    split = power(float(np.abs(q).max(initial=0.0)) / HALF)
    return q / split, k * split


def _offset_rows(
    frame: Frame, part: HeadPart, theta: float, q: np.ndarray, k: np.ndarray
) -> float:
    """Fills the fast pairs, which tell distances apart; what BOS is to score."""
    size = frame.shape.head
    half, root = size // 2, float(np.sqrt(size))
    found = offset_head(size, frame.positions, theta)
    assert found is not None, "the size of heads was chosen to fit"
    for row, back in part.offsets:
        turn = frequencies(size, theta)[: found.pairs, None] * back
        chosen = found.scale * root * frame.vector(row)[None, :]
        q[: found.pairs] += np.cos(turn) * chosen
        q[half : half + found.pairs] -= np.sin(turn) * chosen
    k[: found.pairs] = frame.vector(constant(frame.bos))
    return found.bos
