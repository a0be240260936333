"""A compiled model in a line, and in a notebook: its sizes, and what each layer computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracr_lite.compiler.assembled import AssembledTransformerModel
    from tracr_lite.compiler.trace_of import NodePlace

STYLE = "padding:2px 8px;text-align:left;border:1px solid rgba(128,128,128,.4)"


def model_text(self: AssembledTransformerModel) -> str:
    """`repr` of a model: its sizes in one line; no weight is looked at."""
    config = self.model_config
    kind = "causal" if config.causal else "not causal"
    return (
        f"<{type(self).__name__}: {config.num_layers} layer(s), d_model "
        f"{len(self.residual_labels):,}, {config.num_heads} head(s) of size "
        f"{config.key_size:,}, {config.mlp_hidden_size:,} neurons a layer, {kind}>"
    )


def model_html(model: AssembledTransformerModel) -> str:
    """Two tables; the second only for models with a program."""
    config = model.model_config
    arrays = [array for group in model.params.values() for array in group.values()]
    sizes = {
        "layers": config.num_layers,
        "d_model": len(model.residual_labels),
        "heads": config.num_heads,
        "key size": config.key_size,
        "mlp hidden": config.mlp_hidden_size,
        "parameters": sum(int(array.size) for array in arrays),
    }
    kind = "causal" if config.causal else "not causal"
    head = f"<p>A transformer that was compiled, {kind}</p>"
    table = _table(list(sizes), [[f"{size:,}" for size in sizes.values()]])
    known = model.trace is not None or model.saved is not None
    layers = _layers(model.nodes, _selectors(model), config.num_layers) if known else ""
    return f"<div>{head}{table}{layers}</div>"


def _selectors(model: AssembledTransformerModel) -> dict[tuple[int, int], str]:
    """What each head (layer, head) implements, if the program is known."""
    if model.trace is None:
        return {}
    labels = model.trace.layers.blocks.labels
    return {
        (number, at): labels[head.selector]
        for number, layer in enumerate(model.trace.layers.layers)
        for at, head in enumerate(layer.heads)
    }


def _layers(
    nodes: Mapping[str, NodePlace], selectors: Mapping[tuple[int, int], str], count: int
) -> str:
    """A row for each layer: its heads, and its neurons by node."""
    rows: list[list[str]] = []
    for layer in range(count):
        heads: dict[int, list[str]] = {}
        neurons: list[str] = []
        for label, place in nodes.items():
            for at, head in place.heads:
                if at == layer:
                    heads.setdefault(head, []).append(label)
            neurons += [f"{label} ({len(span):,})" for at, span in place.neurons if at == layer]
        texts = [
            f"{head}: {' and '.join(labels)}{_by(selectors.get((layer, head)))}"
            for head, labels in sorted(heads.items())
        ]
        rows.append([str(layer), ", ".join(texts) or "none", ", ".join(neurons) or "none"])
    return _table(["layer", "heads", "neurons"], rows)


def _by(selector: str | None) -> str:
    return "" if selector is None else f" by {selector}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["".join(f'<th style="{STYLE}">{escape(text)}</th>' for text in heads)]
    lines += [
        "".join(f'<td style="{STYLE}">{escape(text)}</td>' for text in row) for row in rows
    ]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
