"""A transformer with the weights of a program, and how it is run on values."""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, SupportsIndex

import jax.numpy as jnp
import numpy as np

from tracr_lite.compiler.batched import Batched, checked_ids, listed, plain_ids
from tracr_lite.compiler.forward import Shape, bucket
from tracr_lite.compiler.model_html import model_html, model_text
from tracr_lite.compiler.modules import ModelForward as ModelForward
from tracr_lite.compiler.outputs import AssembledTransformerModelOutput
from tracr_lite.compiler.running import Memory, OnDevice
from tracr_lite.craft import bases
from tracr_lite.craft.bases import VectorSpaceWithBasis
from tracr_lite.craft.transformers import SeriesWithResiduals
from tracr_lite.errors import NO_FUNCTIONS, SavedModelError
from tracr_lite.transformer import encoder, model
from tracr_lite.transformer.pruning import Pruned

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from tracr_lite.compiler.circuits.circuit import Circuit
    from tracr_lite.compiler.circuits.intervening import Intervention
    from tracr_lite.compiler.description import Description
    from tracr_lite.compiler.graph import Graph
    from tracr_lite.compiler.trace_of import CompileTrace, NodePlace
    from tracr_lite.rasp import rasp


@dataclass
class AssembledTransformerModel:
    """A transformer with weights that compute a known program.

    **Arguments:**
    - `forward`: `forward(params, token_ids)`; may be jitted, vmapped and differentiated.
    - `get_compiled_model`: builds the Haiku model, for use inside of `hk.transform`.
    - `params`: Haiku parameters, weights as [input, output]; the arrays are read-only.
    - `residual_labels`: what each column of the residual stream stands for.
    - `input_encoder`, `output_encoder`: between values and what the model reads and writes.
    - `shape`: sizes and the output columns. `space`: the residual stream as a vector space.
    - `trace`: how the program was compiled, if it was; `saved`: what its file said, if any.
    """

    forward: ModelForward
    get_compiled_model: Callable[[], model.CompiledTransformerModel]
    params: Any
    model_config: model.TransformerConfig
    residual_labels: list[str]
    input_encoder: encoder.Encoder | None = None
    output_encoder: encoder.Encoder | None = None
    shape: Shape | None = None
    space: VectorSpaceWithBasis | None = None
    trace: CompileTrace | None = None
    saved: Description | None = None
    _memory: Memory = field(default_factory=Memory, repr=False, compare=False)
    _repr_html_ = model_html  # for notebooks: layers and sizes
    __repr__ = model_text  # its weights would fill pages

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Pickles and copies make the forward function again from the shape, if it has one."""
        if self.shape is None or self.forward is not self.shape.forward:
            return super().__reduce_ex__(protocol)
        made = ("forward", "get_compiled_model", "_memory")
        return _from_shape, ({k: v for k, v in vars(self).items() if k not in made},)

    def apply(self, tokens: Sequence[bases.Value]) -> AssembledTransformerModelOutput:
        """Runs on one sequence, BOS first; large models without their zeros.

        **Returns:** `decoded` values, one per token (the first is BOS), and all activations.
        **Raises:** `InputError` naming token, position and limit; `ParameterError` if `params`
        do not fit.
        """
        ids = self._encode(tokens)
        raw = self._run(checked_ids(np.asarray([ids], np.int32), self._table()[0]))
        decoded = self._decode(np.asarray(raw.unembedded_output)[0, : len(ids)], tokens)
        return AssembledTransformerModelOutput.from_padded(raw, decoded, len(ids))

    @property
    def graph(self) -> Graph:
        """The traced program. **Raises:** `ValueError` if packed by hand, or loaded."""
        return self._compiled().graph

    @property
    def craft_model(self) -> SeriesWithResiduals:
        """The model as a series of craft blocks. **Raises:** as `graph`."""
        return self._compiled().craft_model

    @property
    def nodes(self) -> dict[str, NodePlace]:
        """Residual columns, heads and neurons of every RASP node, by label.

        **Raises:** `ValueError` if the model was packed by hand.
        """
        if self.trace is None and self.saved is not None:
            return dict(self.saved.nodes)
        return self._compiled().nodes

    @property
    def description(self) -> Description | None:
        """The program in words: its text, labels and places; None if packed by hand."""
        if self.trace is None:
            return self.saved
        from tracr_lite.compiler.description import describe

        return describe(self.trace)

    def save(self, folder: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """Writes weights and JSON to a folder; see `tracr_lite.compiler.saving.save`."""
        from tracr_lite.compiler.saving.save import save

        return save(self, folder, overwrite=overwrite)

    def circuit(self) -> Circuit:
        """What reads what, by RASP node, component and column. **Raises:** as `graph`."""
        from tracr_lite.compiler.circuits.build import circuit_of

        return circuit_of(self, self._compiled())

    def intervene(self, changes: Mapping[Any, Any]) -> Intervention:
        """The model with nodes set to values; see `circuits.intervening`."""
        from tracr_lite.compiler.circuits.intervening import intervene

        return intervene(self, self._compiled(), changes)

    def node(self, expr: rasp.RASPExpr) -> NodePlace:
        """Where an expression of the compiled program is.

        **Raises:** `KeyError` if it is none.
        """
        return self.nodes[self._compiled().label_of(expr)]

    @property
    def unembedding(self) -> tuple[np.ndarray, list[str]]:
        """The matrix [d_model, outputs] whose product is decoded, and a label per output."""
        if self.shape is None:
            raise ValueError("this model was not made by assemble_craft_model")
        matrix = self.shape.unembedding()
        return matrix, [self.residual_labels[i] for i in self.shape.readout.columns]

    def _compiled(self) -> CompileTrace:
        if self.trace is None and self.saved is not None:
            raise SavedModelError(NO_FUNCTIONS)
        if self.trace is None:
            raise ValueError("this model was packed by hand: it has no program")
        return self.trace

    def predict(self, tokens: Sequence[bases.Value]) -> list[Any]:
        """The decoded values of one sequence, without BOS."""
        return self.apply_batch([tokens])[0][1:]

    def apply_batch(self, batch: Iterable[Sequence[bases.Value]]) -> list[list[Any]]:
        """Decoded values of many sequences, each as `apply(...).decoded`.

        Sequences of like length run together, padded, in chunks that keep memory bounded, and
        through the parts of the parameters that are not zero (`pruned`).

        **Raises:** `InputError` as `apply`, with the number of the sequence.
        """
        return self._batched().values(batch)

    def apply_ids(self, ids: np.ndarray) -> np.ndarray:
        """As `apply_batch` without encoders: token ids [batch, seq] to answers [batch, seq].

        Answers are ids of output values, or numbers, NaN for None. BOS comes first in each row;
        rows are filled up with the id of `compiler_pad`, and answers there mean nothing.

        **Raises:** `InputError` if `ids` is not such an array, or has too many columns.
        """
        return self._batched().answers(ids)

    def _encode(self, tokens: Sequence[bases.Value]) -> list[Any]:
        encoder, given = self.input_encoder, list(listed(tokens, "the input"))
        return plain_ids(given) if encoder is None else encoder.encode(given)

    def _decode(self, answers: np.ndarray, tokens: Sequence[bases.Value]) -> list[Any]:
        decoded: list[Any] = answers.tolist()
        if self.output_encoder is not None:
            decoded = self.output_encoder.decode(decoded)
        if self.input_encoder is not None and self.input_encoder.bos_token is not None:
            decoded[0] = self.input_encoder.bos_token
        return decoded

    def _table(self) -> tuple[int, int]:
        """Numbers of token ids and of positions."""
        if self.shape is not None:
            return self.shape.vocab_size, self.shape.positions
        tables = self.params["token_embed"], self.params["pos_embed"]
        tokens, positions = (int(table["embeddings"].shape[0]) for table in tables)
        return tokens, positions

    def _pad_id(self) -> int:
        return 0 if self.shape is None else self.shape.pad_token or 0

    def _run(self, ids: np.ndarray) -> Any:
        """Runs padded token ids through the jitted forward."""
        if self.shape is None:
            return self.forward(self.params, jnp.asarray(ids))
        size = bucket(ids.shape[1], self.shape.positions)
        if self.shape.pad_token is None:
            size = ids.shape[1]
        if size > ids.shape[1]:
            padding = np.full((len(ids), size - ids.shape[1]), self._pad_id(), np.int32)
            ids = np.concatenate([ids, padding], axis=1)
        return self._on_device().activations(self.shape)(ids)

    def _on_device(self) -> OnDevice:
        shape = self.shape  # whose forward it is that runs
        config = self.model_config if shape is None else shape.config
        return self._memory.of(self.params, config, shape)

    def pruned(self) -> Pruned | None:
        """What is left of `params` without heads, lanes, neurons and rows that are all zero.

        `shape.answer(pruned, token_ids)` computes the answers from it, and nothing else.

        **Returns:** numpy arrays, or None if the parameters hold more than weights of a
        compiled model (biases, or numbers that are not finite).
        """
        return self._on_device().pruned()

    def _batched(self) -> Batched:
        """Runs the pruned parameters if there are any, else all of them."""
        shape, device = self.shape, self._on_device()
        pruned = None if shape is None else device.pruned()
        encoders = self.input_encoder, self.output_encoder
        pad = None if shape is None else shape.pad_token
        if shape is None or pruned is None:
            config, (_, positions) = self.model_config, self._table()
            heads = config.num_heads * max(config.key_size, positions)
            width = max(len(self.residual_labels), config.mlp_hidden_size, heads, 1)
            sizes = (*self._table(), width, pad, *encoders)
            return Batched(lambda ids: self._run(ids).unembedded_output.T, *sizes)
        return Batched(device.answers(shape), *self._table(), pruned.width, pad, *encoders)


def _from_shape(state: dict[str, Any]) -> AssembledTransformerModel:
    """A model again from its picklable parts: the forward pass is that of its shape."""
    shape: Shape = state["shape"]
    forward = shape.forward
    return AssembledTransformerModel(forward, shape.model, **state)
