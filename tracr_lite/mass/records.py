"""A sample as JSON: its program, its labels, and how its model is run; all but the weights."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, cast

from tracr_lite.compiler.graph import Graph, Source
from tracr_lite.compiler.trace_of import NodePlace
from tracr_lite.mass.errors import DatasetError
from tracr_lite.mass.program_text import ReadProgram, read_program
from tracr_lite.rasp.json_values import from_json, to_json
from tracr_lite.sampling import SampledProgram
from tracr_lite.transformer.sparse_params import Params, Shapes

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel


@dataclass(frozen=True, eq=False)
class Sample:
    """A program, its weights, and where in them each part of the program is.

    **Arguments:**
    - `index`: its position in the data set. `draw`: the number it was drawn by.
    - `text`: the program as Python source, which also names vocabulary, length and causality.
    - `params`: as of the compiled model: Haiku names, [input, output], float32, read-only.
    - `residual_labels`: what each column of the residual stream stands for.
    - `nodes`: residual columns, heads and neurons of each RASP node, as `model.nodes`.
    - `record`: the whole JSON record; docs/datasets.md describes it.
    """

    index: int
    draw: int
    text: str
    vocab: tuple[Any, ...]
    max_seq_len: int
    causal: bool
    config: dict[str, Any]
    residual_labels: list[str]
    nodes: dict[str, NodePlace]
    params: Params
    record: dict[str, Any]

    def program(self) -> ReadProgram:
        """The program; its text is read, not run. **Raises:** `DatasetError`."""
        return read_program(self.text)

    def model(self) -> AssembledTransformerModel:
        """The stored weights as a model that can be applied; it has no trace. Needs JAX."""
        from tracr_lite.mass.rebuilding import rebuild  # it needs JAX

        return rebuild(self)


def record_of(
    sample: SampledProgram, model: AssembledTransformerModel, shapes: Shapes, draw: int
) -> str:
    """One line of JSON; `index` is added when it is written. `shapes`: of the parameters."""
    graph, config = model.graph, model.model_config
    options = {f.name: getattr(config, f.name) for f in fields(config)}
    options["activation_function"] = config.activation_function.__name__
    record = {
        "draw": draw,
        "program": sample.text,
        "vocab": [to_json(token) for token in sample.vocab],
        "max_seq_len": sample.max_seq_len,
        "causal": sample.causal,
        "config": options,
        "residual_labels": model.residual_labels,
        "nodes": {label: _node(graph, label, place) for label, place in model.nodes.items()},
        "input": _input(model),
        "output": _output(model),
        "shapes": {
            f"{module}/{leaf}": list(sizes)
            for module, group in shapes.items()
            for leaf, sizes in group.items()
        },
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _node(graph: Graph, label: str, place: NodePlace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if label in graph.labels:  # else the compiler added it
        at = graph.labels.index(label)
        node = graph.nodes[at]
        kind = node.kind if isinstance(node, Source) else type(node).__name__.lower()
        found = {"kind": kind, "reads": [graph.labels[i] for i in graph.inputs(at)]}
    return found | {
        "columns": list(place.columns),
        "heads": [list(head) for head in place.heads],
        "neurons": [[layer, span.start, span.stop] for layer, span in place.neurons],
    }


def _input(model: AssembledTransformerModel) -> dict[str, Any]:
    encoder: Any = model.input_encoder
    return {
        "tokens": [to_json(direction.value) for direction in encoder.basis],
        "bos": encoder.bos_token,
        "pad": encoder.pad_token,
    }


def _output(model: AssembledTransformerModel) -> dict[str, Any]:
    assert model.shape is not None
    readout, encoder = model.shape.readout, cast(Any, model.output_encoder)
    if readout.categorical:
        values = [direction.value for direction in encoder.basis]
        return {
            "kind": "categorical",
            "columns": list(readout.columns),
            "values": [to_json(value) for value in values],
        }
    return {
        "kind": "numerical",
        "columns": list(readout.columns),
        "numbers": list(readout.numbers),
        "none_flags": list(readout.flags),
        "values": list(encoder.values),
        "tolerance": None if math.isinf(encoder.tolerance) else encoder.tolerance,
    }


def read_record(line: bytes, params: Params) -> Sample:
    """The sample of a line. **Raises:** `DatasetError` if no `record_of` wrote it."""
    try:
        record: dict[str, Any] = json.loads(line)
        labels: list[str] = record["residual_labels"]
        return Sample(
            index=record["index"],
            draw=record["draw"],
            text=record["program"],
            vocab=tuple(from_json(token) for token in record["vocab"]),
            max_seq_len=record["max_seq_len"],
            causal=record["causal"],
            config=record["config"],
            residual_labels=labels,
            nodes={label: _place(label, n, labels) for label, n in record["nodes"].items()},
            params=params,
            record=record,
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DatasetError(f"the record is unusable: {type(error).__name__} {error}") from error


def _place(label: str, node: dict[str, Any], labels: list[str]) -> NodePlace:
    columns: tuple[int, ...] = tuple(node["columns"])
    return NodePlace(
        label,
        columns,
        tuple(labels[column] for column in columns),
        tuple((layer, head) for layer, head in node["heads"]),
        tuple((layer, range(start, stop)) for layer, start, stop in node["neurons"]),
    )
