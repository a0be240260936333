"""`program.json`: what is known about an exported program, for other programs to read.

Places have the hook names of TransformerLens. Values are written with their types, as in
`rasp.json_values`.
"""

from __future__ import annotations

from typing import Any

from tracr_lite.rasp.json_values import to_json
from tracr_lite.rasp.listing import listing
from tracr_lite.targets.export import hugging_face
from tracr_lite.targets.stock_model import NodePlace, StockModel

FORMAT = "tracr_lite stock model, version 1"


def record_of(model: StockModel) -> bytes:
    """The bytes of the file."""
    known = model.vocabulary
    return hugging_face.to_json(
        {
            "format": FORMAT,
            "architecture": model.architecture,
            "dtype": model.dtype,
            "statement": model.statement,
            "max_seq_len": model.max_seq_len,
            "causal": model.causal,
            "program": listing(model.program),
            "vocabulary": {
                "inputs": [[to_json(x), at, known.texts[at]] for x, at in known.inputs],
                "outputs": [[to_json(x), at, known.texts[at]] for x, at in known.outputs],
                "bos": known.bos,
                "end": known.end,
                "number": known.number,
            },
            "nodes": [_node(each) for each in model.nodes],
        }
    )


def _node(place: NodePlace) -> dict[str, Any]:
    return {
        "label": place.label,
        "text": place.text,
        "heads": [
            {"layer": layer, "head": head, "hook": head_hook(layer, head)}
            for layer, head in place.heads
        ],
        "neurons": [
            {"layer": layer, "first": a, "stop": b, "hook": neuron_hook(layer, a, b)}
            for layer, a, b in place.neurons
        ],
        "columns": [
            {
                "column": column,
                "stands_for": stands_for,
                "hook": stream_hook(first),
                "until": None if until is None else stream_hook(until - 1),
            }
            for column, stands_for, first, until in place.columns
        ],
    }


def head_hook(layer: int, head: int) -> str:
    """Where the output of a head is."""
    return f"blocks.{layer}.attn.hook_z[:, :, {head}]"


def neuron_hook(layer: int, first: int, stop: int) -> str:
    """Where some neurons of an MLP are, behind their activation and gate."""
    return f"blocks.{layer}.mlp.hook_post[:, :, {first}:{stop}]"


def stream_hook(half_layer: int) -> str:
    """The residual stream after a half-layer: attention 2 i, MLP 2 i + 1, embedding -1."""
    if half_layer < 0:
        return "blocks.0.hook_resid_pre"
    return f"blocks.{half_layer // 2}.hook_resid_{'post' if half_layer % 2 else 'mid'}"
