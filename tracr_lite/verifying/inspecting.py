"""Compares the stream of a model with what the interpreter says that it should hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.circuits.ideal import NOBODY, ideal, own_columns
from tracr_lite.compiler.circuits.known import Known
from tracr_lite.compiler.circuits.node_values import node_values
from tracr_lite.compiler.circuits.reading import read_form
from tracr_lite.compiler.circuits.writers import Arrays, HalfLayer, Writer, compiled_params
from tracr_lite.compiler.compiling import compile_rasp_to_model
from tracr_lite.compiler.lowering.forms import EMBEDDED
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.transformer.encoder import CategoricalEncoder
from tracr_lite.verifying.errors import VerifyError
from tracr_lite.verifying.fault import BOS, Blame, Culprit, WrongColumn
from tracr_lite.verifying.judging import Judge


def trace_like(model: AssembledTransformerModel, program: Any) -> CompileTrace:
    """How a model was compiled; `program`, if given, is compiled as the model was.

    **Raises:** `VerifyError` if there is no program, or its model has other parameters.
    """
    if program is None and model.trace is not None:
        return model.trace
    encoder = model.input_encoder
    if program is None or not isinstance(encoder, CategoricalEncoder):
        raise VerifyError(
            "this model does not know its program; give it: blame(model, program)"
        )
    bos, pad = encoder.bos_token, encoder.pad_token
    if bos is None or pad is None or encoder.max_seq_len is None:
        raise VerifyError("this model was not compiled from a program: nothing can be blamed")
    made = compile_rasp_to_model(
        program,
        [d.value for d in encoder.basis if d.value not in (bos, pad)],
        encoder.max_seq_len,
        causal=model.model_config.causal,
        compiler_bos=bos,
        compiler_pad=pad,
    )
    if made.residual_labels != model.residual_labels or _sizes(made) != _sizes(model):
        raise VerifyError("the program given compiles to another model: other columns or sizes")
    assert made.trace is not None, "compiled models have a trace"
    return made.trace


def _sizes(model: AssembledTransformerModel) -> dict[str, tuple[int, ...]]:
    return {
        f"{module}/{leaf}": tuple(array.shape)
        for module, group in model.params.items()
        for leaf, array in group.items()
    }


class Inspection:
    """One input on its way through a model, half-layer by half-layer.

    **Arguments:** `xs`: without BOS.
    **Raises:** `CircuitError` if the program raises on it; `InputError` as `apply`.
    """

    def __init__(self, model: AssembledTransformerModel, trace: CompileTrace, xs: list[Any]):
        assert model.input_encoder is not None, "compiled models have encoders"
        self._ids: list[int] = model.input_encoder.encode([model.input_encoder.bos_token, *xs])
        tokens = model.input_encoder.decode(self._ids)  # of the types that the program knows
        self._model, self._trace, self._xs = model, trace, tokens[1:]
        out = model.apply(tokens)
        self._found = out.decoded[1:]
        self._streams = [np.asarray(x)[0] for x in (out.input_embeddings, *out.residuals)]
        self._values = node_values(trace, tokens[1:])
        self._ideal = ideal(trace, tokens, self._values)

    def first_fault(self) -> Blame | None:
        """The first place where the stream, or else the answer, is wrong."""
        for node, position in self._ideal.outside:
            return self._wrong_value(node, position, None, "inferring values, without this one")
        for slot, stream in enumerate(self._streams, start=EMBEDDED):
            wrong = self._ideal.wrong(stream, slot)
            if wrong.any():
                return self._wrong_columns(slot, wrong)
        root = self._trace.graph.root
        judge = Judge(self._model.output_encoder)
        for position in judge.differing(self._values[root], self._found):
            return self._wrong_value(
                root, position, self._found[position], "reading the answer"
            )
        return None

    def _wrong_value(self, node: int, position: int, found: Any, place: str) -> Blame:
        label, expected = self._label(node), self._values[node][position]
        return Blame(tuple(self._xs), label, position, expected, found, (), place, (), ())

    def _label(self, node: int) -> str:
        return self._trace.layers.blocks.labels[node]

    def _wrong_columns(self, slot: int, wrong: np.ndarray) -> Blame:
        """What is wrong after a half-layer that had read what was right."""
        columns = np.flatnonzero(wrong.any(axis=0))
        owners = self._ideal.nodes[columns]
        node = int(min(owners[owners != NOBODY], default=NOBODY))
        columns = columns[owners == node] if node != NOBODY else columns[:1]
        places = np.flatnonzero(wrong[:, columns].any(axis=1))
        position = int(min(places, key=lambda at: (at == 0, at)))  # BOS is the last resort
        columns = columns[wrong[position, columns]]
        half = HalfLayer(slot, self._model.model_config)
        held: list[float] = self._streams[slot + 1][position].tolist()
        right: list[float] = self._ideal.after(slot)[position].tolist()
        labels = self._trace.residual_labels
        shown = [WrongColumn(labels[i], right[i], held[i]) for i in map(int, columns)]
        found = Blame(
            tokens=tuple(self._xs),
            node=shown[0].label if node == NOBODY else self._label(node),
            position=position - 1,
            expected=None,
            found=None,
            columns=tuple(shown),
            place=str(half),
            culprits=tuple(self._culprits(half, position, columns)),
            compiled=() if node == NOBODY else tuple(self._compiled(node, slot)),
        )
        form = self._ideal.forms.get(int(columns[0]))
        if form is None or form.slot > slot or found.position == BOS:
            return found  # nothing that stands for a value
        own = map(int, self._trace.space.indices_of(own_columns(form)))
        known = Known(self._trace.values.info[node])
        read = read_form(form, known, [held[i] for i in own])
        return replace(found, expected=self._values[node][found.position], found=read)

    def _compiled(self, node: int, slot: int) -> Iterator[str]:
        """The heads or neurons that were compiled to write a node in a half-layer."""
        place = self._trace.nodes[self._label(node)]
        for layer, head in place.heads:
            if slot == 2 * layer:
                yield str(Writer("head", layer, head))
        for layer, own in place.neurons:
            if slot == 2 * layer + 1:
                yield f"layer {layer} neurons {own.start}-{own.stop - 1}"

    def _culprits(
        self, half: HalfLayer, position: int, columns: np.ndarray
    ) -> Sequence[Culprit]:
        """What adds something else to the columns than it was compiled to add, worst first."""
        old = compiled_params(self._trace, self._model.model_config)
        new: Any = self._model.params
        before = self._streams[max(half.slot, 0)]  # the stream that the half-layer reads
        arguments = (self._ids, before, position, columns)
        off = np.abs(half.written(new, *arguments) - half.written(old, *arguments))
        worst = np.nan_to_num(off.max(axis=1), nan=np.inf, posinf=np.inf)
        rows = (self._ids[position], position)
        found = [
            Culprit(writer, amount, tuple(half.changed(writer, new, old, rows)))
            for writer, amount in zip(half.writers(), worst.tolist(), strict=True)
            if amount > 0
        ]
        found = found or list(self._padding(old))
        return sorted(found, key=lambda culprit: -culprit.off)

    def _padding(self, old: Arrays) -> Iterator[Culprit]:
        """Changed embeddings of padding: what is not finite there gets past the mask."""
        shape, new = self._model.shape, self._model.params
        assert shape is not None, "compiled models have a shape"
        assert shape.pad_token is not None, "compiled models have a padding token"
        for name, kind, rows in (
            ("token_embed", "token embedding", [shape.pad_token]),
            ("pos_embed", "position embedding", range(len(self._ids), shape.positions)),
        ):
            now, then = (
                np.asarray(params[name]["embeddings"], float)[list(rows)]
                for params in (new, old)
            )
            off = np.nan_to_num(np.abs(now - then), nan=np.inf, posinf=np.inf)
            if off.any():
                yield Culprit(Writer(kind), float(off.max()), (f"{name}/embeddings",))
