"""Interventions: a model run with nodes of its program set to values, as the interpreter would.

    model.intervene({node: {2: "a"}}).apply(["BOS", "a", "b", "b"])

A model follows an intervention where its weights compute what the program means under it. They
were made for the values that can occur, alone and together, so this does not hold always. It is
looked at on each input: every column is compared with what the interpreter says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.circuits.changes import Wanted, at_length, cells_of, read_changes
from tracr_lite.compiler.circuits.errors import CircuitError, InterventionError
from tracr_lite.compiler.circuits.ideal import EMBEDDED, NOBODY, Ideal, ideal
from tracr_lite.compiler.circuits.node_values import node_values
from tracr_lite.compiler.circuits.overwriting import Cells, jitted_overwritten
from tracr_lite.compiler.circuits.simulating import streams
from tracr_lite.compiler.circuits.writers import Arrays, compiled_params
from tracr_lite.compiler.fitting import misfit
from tracr_lite.compiler.forward import bucket
from tracr_lite.compiler.outputs import AssembledTransformerModelOutput
from tracr_lite.compiler.trace_of import CompileTrace


class IntervenedOutput(AssembledTransformerModelOutput):
    """As `AssembledTransformerModelOutput`; streams show the values that were set.

    `outside`: why the model need not follow the intervention on this input; empty if it does.
    """

    outside: str = ""


class Intervention:
    """A model under an intervention; made by `model.intervene`.

    It is exact or refused: where it gives an answer, that is the interpreter's under the same
    intervention. That is so wherever (1) each component that needs the node reads its columns,
    and does not compute it anew from other nodes, and (2) all values that come about, alone and
    together at a position, and numbers of selected keys, are among those that the compiler
    inferred. Weights that were edited are run as they are; nothing is promised about them.
    """

    def __init__(self, model: AssembledTransformerModel, trace: CompileTrace, wanted: Wanted):
        self._model, self._trace, self._wanted = model, trace, wanted
        self._labels = trace.residual_labels

    def apply(self, tokens: Sequence[Any], *, strict: bool = True) -> IntervenedOutput:
        """Runs on one sequence, BOS first.

        **Arguments:** `strict`: refuses what the model need not follow; otherwise it is run,
        and `outside` of the output says why it may be anything.
        **Raises:** `InputError` as `model.apply`; `InterventionError` if the input has no such
        position, the program itself raises, the weights have other shapes than the model, or
        (if strict) do not follow.
        """
        assert self._model.input_encoder is not None, "compiled models have encoders"
        assert self._model.shape is not None, "compiled models have a shape"
        if why := misfit(self._model.params, self._model.shape):
            raise InterventionError(f"this model cannot be run: {why}")
        ids = self._model.input_encoder.encode(tokens)
        tokens = self._model.input_encoder.decode(ids)  # of the types that the program knows
        changes = at_length(self._wanted, len(tokens) - 1)
        cells = cells_of(self._trace, changes, len(tokens) - 1)
        found = self._run(ids, cells, tokens)
        found.outside = self._why_not(tokens, ids, changes, cells, found)
        if strict and found.outside:
            raise InterventionError(found.outside)
        return found

    def predict(self, tokens: Sequence[Any], *, strict: bool = True) -> list[Any]:
        """The decoded values of one sequence, without BOS. **Raises:** as `apply`."""
        return self.apply(tokens, strict=strict).decoded[1:]

    def evaluate(self, xs: Sequence[Any]) -> list[Any]:
        """What the interpreter says under the same intervention; `xs` without BOS.

        **Raises:** `CircuitError` if the program raises.
        """
        plain: list[Any] = [x.item() if isinstance(x, np.generic) else x for x in xs]
        values = node_values(self._trace, plain, at_length(self._wanted, len(plain)))
        return values[self._trace.graph.root]

    def _run(self, ids: list[int], cells: Cells, tokens: Sequence[Any]) -> IntervenedOutput:
        shape, encoder = self._model.shape, self._model.output_encoder
        assert shape is not None, "compiled models have a shape"
        assert shape.pad_token is not None, "compiled models have a padding token"
        size = bucket(len(ids), shape.positions)
        padded = np.full((1, size), shape.pad_token, np.int32)
        padded[0, : len(ids)] = ids
        held = cells.padded(size)
        params: Any = jax.device_put(self._model.params)  # pyright: ignore[reportUnknownMemberType]
        raw = jitted_overwritten(shape)(params, padded, held.chosen, held.values, held.slots)
        answers = np.asarray(raw.unembedded_output)[0, : len(ids)].tolist()
        decoded = answers if encoder is None else encoder.decode(answers)
        decoded[0] = tokens[0]
        found = IntervenedOutput.from_padded(raw, decoded, len(ids))
        assert isinstance(found, IntervenedOutput), "made by its own class"
        return found

    def _why_not(
        self,
        tokens: Sequence[Any],
        ids: list[int],
        changes: Wanted,
        cells: Cells,
        found: IntervenedOutput,
    ) -> str:
        """Why the model need not follow; empty if it does, or would if unedited."""
        try:
            values = node_values(self._trace, tokens[1:], changes)
        except CircuitError as error:
            return f"under this intervention {error}"
        right = ideal(self._trace, tokens, values)
        for node, position in right.outside:
            value = values[node][position]
            return (
                f"{self._label(node)} would be {value!r} at position {position}, which the "
                "compiler did not expect"
            )
        ran = [found.input_embeddings, *found.residuals]
        why = self._first_wrong(right, (np.asarray(x)[0] for x in ran))
        if not why:
            return ""
        config = self._model.model_config
        compiled = compiled_params(self._trace, config)
        if _same(compiled, self._model.params):
            return why
        return self._first_wrong(right, streams(compiled, config, ids, cells))

    def _label(self, node: int) -> str:
        return self._trace.layers.blocks.labels[node]

    def _first_wrong(self, right: Ideal, ran: Iterable[np.ndarray]) -> str:
        """The first node that is not what the interpreter says; empty if there is none."""
        for slot, stream in enumerate(ran, start=EMBEDDED):
            wrong = right.wrong(stream, slot)
            if wrong.any():
                columns = np.flatnonzero(wrong.any(axis=0)).tolist()
                column = min(columns, key=lambda at: int(right.nodes[at]))
                node = int(right.nodes[column])
                label = self._label(node) if node != NOBODY else self._labels[column]
                position = int(np.flatnonzero(wrong[:, column])[0]) - 1
                return (
                    f"the weights do not follow this intervention: {label} at position "
                    f"{position} is computed from nodes that you did not set, or from values "
                    "that the compiler did not expect together; set other nodes or values, or "
                    "use strict=False to run it all the same"
                )
        return ""


def _same(one: Arrays, two: Arrays) -> bool:
    return all(
        np.array_equal(array, two[module][leaf])
        for module, group in one.items()
        for leaf, array in group.items()
    )


def intervene(
    model: AssembledTransformerModel, trace: CompileTrace, changes: Mapping[Any, Any]
) -> Intervention:
    """The model with some nodes of its program set.

    **Arguments:** `changes`: from a node (its expression, its label, its name if no other node
    has it, or its place) to a value, for all positions, or to values by position; positions
    count the tokens after BOS from 0.
    **Raises:** `InterventionError` for what is no node, has no columns, or cannot be the value.
    """
    return Intervention(model, trace, read_changes(trace, changes))
