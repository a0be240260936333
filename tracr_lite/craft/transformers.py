"""Transformer blocks over named directions, in numpy: what a compiled model must compute.

Each block reads its directions from the residual stream and returns what it would add to it.
Magnitudes have shape [..., seq, dims]. Directions that the input lacks count as zero.

Source: the craft language of Lindner et al. 2023, arXiv:2301.05062, section 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np

from tracr_lite.craft import bases, vectorspace_fns
from tracr_lite.craft.bases import BasisDirection, VectorInBasis, VectorSpaceWithBasis
from tracr_lite.craft.vectorspace_fns import Linear, ScalarBilinear


def relu(x: VectorInBasis) -> VectorInBasis:
    """Sets negative magnitudes to zero."""
    return x.copy_with_new_magnitudes(np.maximum(x.magnitudes, 0))


class Block(ABC):
    """A part of a transformer that reads from a residual stream, and writes to it."""

    residual_space: VectorSpaceWithBasis

    @abstractmethod
    def apply(self, x: VectorInBasis) -> VectorInBasis:
        """`x`: magnitudes [..., seq, dims]. Returns magnitudes over `residual_space`."""


class AttentionHead(Block):
    """Softmax attention: `softmax_keys(w_qk(query, key))` averages `w_ov(value)`; no scaling.

    **Arguments:**
    - `w_qk`: the score; its left space is read at the query, its right space at the key.
    - `w_ov`: what each key position contributes.
    - `residual_space`: contains the spaces of both; by default the smallest such space.
    - `causal`: a position then sees itself and earlier ones only.

    **Raises:** `ValueError` if `residual_space` lacks a direction that is used.
    """

    def __init__(
        self,
        w_qk: ScalarBilinear,
        w_ov: Linear,
        residual_space: VectorSpaceWithBasis | None = None,
        causal: bool = False,
    ):
        self.w_qk = w_qk
        self.w_ov = w_ov
        self.causal = causal
        used = (w_qk.left_space, w_qk.right_space, w_ov.input_space, w_ov.output_space)
        self.residual_space = _residual_space(residual_space, used)

    def apply(self, x: VectorInBasis) -> VectorInBasis:
        left, right = self.w_qk.factors
        queries = x.project(self.w_qk.left_space).magnitudes @ left
        keys = x.project(self.w_qk.right_space).magnitudes @ right
        scores = queries @ np.swapaxes(keys, -1, -2)
        if self.causal:
            scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
        values = self.w_ov_residual(x)
        return values.copy_with_new_magnitudes(_softmax(scores) @ values.magnitudes)

    def w_ov_residual(self, x: VectorInBasis) -> VectorInBasis:
        """`w_ov`, acting on and giving vectors over `residual_space`."""
        return self.w_ov(x.project(self.w_ov.input_space)).project(self.residual_space)

    @property
    def num_heads(self) -> int:
        return 1

    def as_multi(self) -> MultiAttentionHead:
        return MultiAttentionHead([self])


class MultiAttentionHead(Block):
    """Several heads side by side; their outputs add up.

    **Arguments:** `sub_blocks`: heads, or groups of heads; kept as a tuple.
    """

    def __init__(self, sub_blocks: Sequence[AttentionHead | MultiAttentionHead]):
        self.sub_blocks = tuple(sub_blocks)
        self.residual_space = bases.join_vector_spaces(
            *(block.residual_space for block in self.sub_blocks)
        )

    def apply(self, x: VectorInBasis) -> VectorInBasis:
        return _sum_of_outputs(self.sub_blocks, x, self.residual_space)

    @property
    def num_heads(self) -> int:
        return sum(block.num_heads for block in self.sub_blocks)

    def heads(self) -> Iterable[AttentionHead]:
        """All single heads, in order."""
        for block in self.sub_blocks:
            if isinstance(block, AttentionHead):
                yield block
            else:
                yield from block.heads()

    def as_multi(self) -> MultiAttentionHead:
        return self


class MLP(Block):
    """`snd(relu(fst(x)))`; biases come from the `one` direction.

    **Arguments:** `fst`: residual stream to hidden units; `snd`: hidden units back to it;
    `residual_space`: contains what they read and write; by default the smallest such space.
    **Raises:** `ValueError` if hidden spaces differ, or `residual_space` lacks a direction.
    """

    def __init__(
        self, fst: Linear, snd: Linear, residual_space: VectorSpaceWithBasis | None = None
    ):
        if fst.output_space != snd.input_space:
            raise ValueError(
                f"fst writes hidden units {fst.output_space} but snd reads {snd.input_space}"
            )
        self.fst = fst
        self.snd = snd
        self.residual_space = _residual_space(
            residual_space, (fst.input_space, snd.output_space)
        )

    def apply(self, x: VectorInBasis) -> VectorInBasis:
        hidden = relu(self.fst(x.project(self.fst.input_space)))
        return self.snd(hidden).project(self.residual_space)

    @classmethod
    def combine_in_parallel(cls, mlps: Sequence[MLP]) -> MLP:
        """One MLP that computes the sum of all.

        Hidden units stay apart: if two MLPs use the same name, all get a prefix, `0.`, `1.`...
        """
        hidden = [mlp.fst.output_space for mlp in mlps]
        if bases.join_vector_spaces(*hidden).num_dims < sum(space.num_dims for space in hidden):
            mlps = [_with_prefix(mlp, f"{i}.") for i, mlp in enumerate(mlps)]
        return cls(
            Linear.combine_in_parallel([mlp.fst for mlp in mlps]),
            Linear.combine_in_parallel([mlp.snd for mlp in mlps]),
            bases.join_vector_spaces(*(mlp.residual_space for mlp in mlps)),
        )


class SeriesWithResiduals(Block):
    """Blocks one after the other, each adding its output to what it read.

    **Arguments:** `blocks`: kept as a tuple; the residual space is the join of all theirs.
    """

    def __init__(self, blocks: Sequence[MLP | AttentionHead | MultiAttentionHead]):
        self.blocks = tuple(blocks)
        self.residual_space = bases.join_vector_spaces(*(b.residual_space for b in self.blocks))

    def apply(self, x: VectorInBasis) -> VectorInBasis:
        stream = x.project(self.residual_space)
        for block in self.blocks:
            stream = stream + block.apply(stream).project(self.residual_space)
        return stream


def _residual_space(
    given: VectorSpaceWithBasis | None, used: Sequence[VectorSpaceWithBasis]
) -> VectorSpaceWithBasis:
    needed = bases.join_vector_spaces(*used)
    if given is None:
        return needed
    given.indices_of(needed)  # names what is missing
    return given


def _sum_of_outputs(
    blocks: Sequence[Block], x: VectorInBasis, space: VectorSpaceWithBasis
) -> VectorInBasis:
    zero = x.project(space) * 0.0
    return VectorInBasis.sum([zero, *(block.apply(x).project(space) for block in blocks)])


def _with_prefix(mlp: MLP, prefix: str) -> MLP:
    """The same function with other names for its hidden units."""
    old = mlp.fst.output_space.basis
    hidden = VectorSpaceWithBasis(
        [BasisDirection(prefix + direction.name, direction.value) for direction in old],
        _basis_is_sorted=True,  # a common prefix keeps the order
    )
    fst = vectorspace_fns.Linear(mlp.fst.input_space, hidden, mlp.fst.matrix)
    snd = vectorspace_fns.Linear(hidden, mlp.snd.output_space, mlp.snd.matrix)
    return MLP(fst, snd, mlp.residual_space)


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis; stable for large scores."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
