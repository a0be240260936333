"""Lowered parts -> tensors of an unmodified Llama, in the layout of transformers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.ballast import Ballast
from tracr_lite.targets.blocks import HeadPart
from tracr_lite.targets.llama_neurons import Neuron, neurons
from tracr_lite.targets.placing import PlacedHead, PlacedLayer, Shape
from tracr_lite.targets.rope import frequencies, offset_head, slow_pairs
from tracr_lite.targets.rows import ONE_COLUMN, Row, always, constant

PENALTY, BOS_PENALTY = 512.0, 128.0
Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Frame:
    """What every matrix is written in: sizes, and the place of each column."""

    shape: Shape
    place: dict[BasisDirection, int]
    bos: BasisDirection
    positions: int
    theta: float
    group: int

    def vector(self, row: Row) -> np.ndarray:
        """Coefficients of a row over the residual columns; the constant is column 0."""
        found = np.zeros(self.shape.width, np.float32)
        for direction, coef in row.items():
            found[0 if direction == ONE_COLUMN else self.place[direction]] += coef
        return found


def fits(part: HeadPart, head: int, positions: int, theta: float) -> bool:
    """Whether a head of this size has the pairs that the part needs."""
    if part.offset is not None:
        return offset_head(head, positions, theta) is not None
    needed = len(part.penalties) + (not part.counts_bos)
    return needed <= slow_pairs(head, positions, theta)


def tensors_of(
    frame: Frame,
    layers: tuple[PlacedLayer, ...],
    embedding: np.ndarray,
    output: list[tuple[int, Row]],
    ballast: Ballast,
) -> Tensors:
    """All tensors. `embedding`: (ids, columns); `output`: what the logit of an id reads."""
    d = frame.shape.width
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
    hidden = hidden_size(frame, layers)
    for number, layer in enumerate(layers):
        here = f"model.layers.{number}"
        found[f"{here}.input_layernorm.weight"] = gain
        found[f"{here}.post_attention_layernorm.weight"] = gain
        for name, tensor in _attention(frame, layer.heads).items():
            found[f"{here}.self_attn.{name}.weight"] = tensor
        for name, tensor in _mlp(frame, layer, hidden).items():
            found[f"{here}.mlp.{name}.weight"] = tensor
    return found


def hidden_size(frame: Frame, layers: tuple[PlacedLayer, ...]) -> int:
    """Neurons of the widest layer, in whole groups of 64."""
    most = max(len(list(neurons_of(frame, layer))) for layer in layers)
    return max(64, -(-most // 64) * 64)


def neurons_of(frame: Frame, layer: PlacedLayer) -> Iterator[Neuron]:
    """The neurons of a layer, in their order."""
    for part in layer.mlps:
        for unit in part.units:
            yield from neurons(unit, frame.bos)


def _mlp(frame: Frame, layer: PlacedLayer, hidden: int) -> Tensors:
    d = frame.shape.width
    gate, up = np.zeros((hidden, d), np.float32), np.zeros((hidden, d), np.float32)
    down = np.zeros((d, hidden), np.float32)
    for at, neuron in enumerate(neurons_of(frame, layer)):
        gate[at], up[at] = frame.vector(neuron.gate), frame.vector(neuron.up)
        down[:, at] = frame.vector(neuron.down)
    return {"gate_proj": gate, "up_proj": up, "down_proj": down}


def _attention(frame: Frame, heads: tuple[PlacedHead, ...]) -> Tensors:
    shape, group = frame.shape, frame.group
    d, size = shape.width, shape.head
    q, o = np.zeros((d, d), np.float32), np.zeros((d, d), np.float32)
    k, v = np.zeros((d // group, d), np.float32), np.zeros((d // group, d), np.float32)
    for at, head in enumerate(heads):
        mine = slice(at * group * size, (at * group + 1) * size)
        shared = slice(at * size, (at + 1) * size)
        q[mine], k[shared] = _scores(frame, head.part)
        for place, (row, direction) in enumerate(head.part.value[head.first : head.stop]):
            v[at * size + place] = frame.vector(row)
            o[frame.place[direction], at * group * size + place] = 1.0
    return {"q_proj": q, "k_proj": k, "v_proj": v, "o_proj": o}


def _scores(frame: Frame, part: HeadPart) -> tuple[np.ndarray, np.ndarray]:
    """Query and key rows; pair i of a head is its elements i and i + size / 2."""
    size = frame.shape.head
    half, root = size // 2, float(np.sqrt(size))
    q = np.zeros((size, frame.shape.width), np.float32)
    k = np.zeros((size, frame.shape.width), np.float32)
    one, bos = frame.vector(always()), frame.vector({frame.bos: 1.0})
    last = half - 1  # the slowest pair
    if part.offset is not None:
        found = offset_head(size, frame.positions, frame.theta)
        assert found is not None, "the size of heads was chosen to fit"
        turn = frequencies(size, frame.theta)[: found.pairs] * part.offset
        for at, angle in enumerate(turn.tolist()):
            q[at] = found.scale * root * np.cos(angle) * one
            q[at + half] = -found.scale * root * np.sin(angle) * one
            k[at] = frame.vector(constant(frame.bos))
        q[last], k[last] = found.bos * root * one, bos
        return q, k
    if not part.counts_bos:
        q[last], k[last] = -BOS_PENALTY * root * one, bos
        last -= 1
    for penalty in part.penalties:
        q[last] = -PENALTY * root * frame.vector(penalty.query)
        k[last] = frame.vector(penalty.key)
        last -= 1
    return q, k
