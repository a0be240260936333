"""Lowered parts -> tensors of an unmodified GPT-2, in the layout of transformers.

LayerNorm subtracts a mean and divides by a deviation. Ballast of both signs fixes the second.
For the first, every writer puts minus the sum of what it writes into the `sink`, and every
reader subtracts what it would read of a common shift at `ref`, which nothing writes to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.conventions import INDICES
from tracr_lite.targets.architecture import Frame, Tensors
from tracr_lite.targets.ballast import even_columns_in
from tracr_lite.targets.blocks import HeadPart, Unit
from tracr_lite.targets.gpt2_neurons import neurons
from tracr_lite.targets.llama_neurons import power
from tracr_lite.targets.placing import PlacedHead, PlacedLayer
from tracr_lite.targets.rows import POSITION, Row, always
from tracr_lite.targets.stock_model import EOS, StockVocabulary
from tracr_lite.targets.traits import Traits

PENALTY, BOS_PENALTY = 512.0, 128.0
LATER = 130.0  # how much more a key scores than the one before, where the latest is meant
EPS = 1e-5
ROUNDING = 2.0**-18  # what LayerNorm and its mean leave, relative
RECENT = {"float32": 4096, "bfloat16": 0}  # positions in which the latest key is found
TRAITS = Traits(positions=True, gated=False, relative=False, noise=ROUNDING, recent=4096)


@dataclass(frozen=True)
class GPT2Architecture:
    """GPT-2: learned positions, LayerNorm, GELU."""

    group: int = 1
    traits: Traits = TRAITS
    name: Literal["gpt2"] = "gpt2"
    extra: int = 2  # sink and ref
    exact: bool = False

    def ballast_columns(self, width: int) -> int:
        """An even m, of a width m * 4^j."""
        return even_columns_in(width)

    def count(self, unit: Unit, bos: BasisDirection) -> int:
        """Neurons of a unit."""
        return len(neurons(unit, bos))

    def fits(self, part: HeadPart, head: int, positions: int) -> bool:
        """Whether a head of this size has an element for each penalty."""
        del positions
        return len(part.penalties) + (not part.counts_bos) + (part.recent is not None) <= head

    def shares(self, heads: list[PlacedHead], head: int, positions: int) -> bool:
        """No: every head has its own keys."""
        del head, positions
        return len(heads) == 1

    def tensors(
        self, frame: Frame, embedding: np.ndarray, output: list[tuple[int, Row]]
    ) -> Tensors:
        """All tensors, in the layout of transformers."""
        d = frame.shape.width
        positions = np.zeros((frame.positions, d))
        for p in range(1, frame.positions):
            at = frame.place.get(BasisDirection(INDICES, p - 1))
            if at is not None:
                positions[p, at] = 1.0
        if POSITION in frame.place:
            positions[:, frame.place[POSITION]] = np.arange(frame.positions) / _scale(frame)
        head = np.zeros((len(embedding), d), np.float32)
        for at, row in output:
            head[at] = _reader(frame, row)
        found = {
            "transformer.wte.weight": _sunk(frame, embedding, frame.ballast.value),
            "transformer.wpe.weight": _sunk(frame, positions, 0.0),
            "lm_head.weight": head,
        } | _norm(frame, "transformer.ln_f")
        for number, layer in enumerate(frame.layers):
            here = f"transformer.h.{number}"
            found |= _norm(frame, f"{here}.ln_1") | _norm(frame, f"{here}.ln_2")
            found |= {f"{here}.{k}": v for k, v in _attention(frame, layer.heads).items()}
            found |= {f"{here}.{k}": v for k, v in _mlp(frame, layer).items()}
        return found

    def config(self, frame: Frame, vocabulary: StockVocabulary) -> dict[str, Any]:
        """What `config.json` holds."""
        return {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "n_embd": frame.shape.width,
            "n_inner": frame.hidden,
            "n_layer": len(frame.layers),
            "n_head": frame.shape.heads,
            "n_positions": frame.positions,
            "vocab_size": vocabulary.size,
            "layer_norm_epsilon": EPS,
            "activation_function": "gelu_new",
            "tie_word_embeddings": False,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "bos_token_id": vocabulary.bos,
            "eos_token_id": EOS if vocabulary.end is None else vocabulary.end,
            "torch_dtype": self.traits.dtype,
        }


def _reader(frame: Frame, row: Row) -> np.ndarray:
    """What reads a row, whatever mean was subtracted; the constant is ballast."""
    found = frame.vector(row)
    found[frame.ballast.columns + 1] = -found[frame.ballast.columns :].sum()
    return found


def _writer(frame: Frame, row: Row) -> np.ndarray:
    """What writes a row and keeps the mean at 0."""
    found = frame.vector(row)
    found[frame.ballast.columns] = -found.sum()
    return found


def _sunk(frame: Frame, rows: np.ndarray, ballast: float) -> np.ndarray:
    """Embeddings, with their sum in the sink and their ballast."""
    found = rows.astype(np.float32)
    found[:, frame.ballast.columns] = -found.sum(axis=1)
    found[:, 0 : frame.ballast.columns : 2] = ballast
    found[:, 1 : frame.ballast.columns : 2] = -ballast
    return found


def _norm(frame: Frame, name: str) -> Tensors:
    gain = np.full(frame.shape.width, frame.ballast.gain, np.float32)
    gain[: frame.ballast.columns] = frame.ballast.gain_here
    return {f"{name}.weight": gain, f"{name}.bias": np.zeros_like(gain)}


def _mlp(frame: Frame, layer: PlacedLayer) -> Tensors:
    d, hidden = frame.shape.width, frame.hidden
    into, out = np.zeros((d, hidden), np.float32), np.zeros((hidden, d), np.float32)
    units = (unit for part in layer.mlps for unit in part.units)
    for at, neuron in enumerate(n for unit in units for n in neurons(unit, frame.bos)):
        into[:, at], out[at] = _reader(frame, neuron.read), _writer(frame, neuron.down)
    return {
        "mlp.c_fc.weight": into,
        "mlp.c_fc.bias": np.zeros(hidden, np.float32),
        "mlp.c_proj.weight": out,
        "mlp.c_proj.bias": np.zeros(d, np.float32),
    }


def _attention(frame: Frame, heads: tuple[PlacedHead, ...]) -> Tensors:
    d, size = frame.shape.width, frame.shape.head
    q, k, v, o = (np.zeros((d, d), np.float32) for _ in range(4))
    for head in heads:
        at = head.at
        mine = slice(at * size, (at + 1) * size)
        q[:, mine], k[:, mine] = _scores(frame, head.part)
        for place, (row, direction) in enumerate(head.values):
            v[:, at * size + place] = _reader(frame, row)
            o[at * size + place] = _writer(frame, {direction: 1.0})
    return {
        "attn.c_attn.weight": np.concatenate([q, k, v], axis=1),
        "attn.c_attn.bias": np.zeros(3 * d, np.float32),
        "attn.c_proj.weight": o,
        "attn.c_proj.bias": np.zeros(d, np.float32),
    }


def _scores(frame: Frame, part: HeadPart) -> tuple[np.ndarray, np.ndarray]:
    """Query and key columns: one element per penalty."""
    size = frame.shape.head
    root = float(np.sqrt(size))
    q = np.zeros((frame.shape.width, size), np.float32)
    k = np.zeros((frame.shape.width, size), np.float32)
    at, most = 0, 0.0
    if part.recent is not None:
        most = LATER * frame.positions
        q[:, 0] = LATER * root * _reader(frame, always())
        k[:, 0] = _scale(frame) * _reader(frame, part.recent)
        at = 1
    if not part.counts_bos:
        q[:, at] = -BOS_PENALTY * root * _reader(frame, always())
        k[:, at] = _reader(frame, {frame.bos: 1.0})
        at += 1
    for penalty in part.penalties:
        q[:, at] = -(PENALTY + most) * root * _reader(frame, penalty.query)
        k[:, at] = _reader(frame, penalty.key)
        at += 1
    return q, k


def _scale(frame: Frame) -> float:
    """A power of two above all positions, by which they are divided in their column."""
    return power(frame.positions)
