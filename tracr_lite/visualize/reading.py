"""All that happens in a model on one input, as numpy arrays and values of RASP nodes.

Shapes: `steps` are the stream after the embeddings and after each half-layer, so
1 + 2 * layers; `seq` counts BOS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.circuits.ideal import own_columns
from tracr_lite.compiler.circuits.known import Known
from tracr_lite.compiler.circuits.node_values import UNKNOWN, node_values
from tracr_lite.compiler.circuits.reading import read_form
from tracr_lite.compiler.graph import evaluate_selector
from tracr_lite.compiler.trace_of import CompileTrace
from tracr_lite.visualize.errors import VisualizeError
from tracr_lite.visualize.words import BOS, value_text


@dataclass(frozen=True)
class Reading:
    """A model on an input.

    **Arguments:**
    - `tokens`: as the model reads them; `first`: how many of them are BOS, 0 or 1.
    - `decoded`: what the model answers, without BOS.
    - `stream`: the residual stream; `attention`: weights of each head, [query, key].
    """

    model: AssembledTransformerModel
    tokens: tuple[Any, ...]
    first: int
    decoded: tuple[Any, ...]
    stream: Float[np.ndarray, "steps seq d_model"]
    attention: Float[np.ndarray, "layers heads seq seq"]
    memory: dict[str, Any] = field(default_factory=dict[str, Any])  # what was found out so far
    _hidden: dict[int, np.ndarray] = field(default_factory=dict[int, np.ndarray])

    @property
    def trace(self) -> CompileTrace | None:
        """How the model was compiled; None if it was loaded or packed by hand."""
        return self.model.trace

    @property
    def xs(self) -> list[Any]:
        """The input without BOS."""
        return list(self.tokens[self.first :])

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return self.model.model_config.num_layers

    @cached_property
    def positions(self) -> list[str]:
        """The tokens as text, BOS short."""
        return [BOS] * self.first + [value_text(x, 12) for x in self.xs]

    @cached_property
    def values(self) -> dict[int, list[Any]]:
        """What the interpreter says about each node of the program, by number.

        **Raises:** `CircuitError` if the program raises on this input.
        """
        return {} if self.trace is None else node_values(self.trace, self.xs)

    @cached_property
    def held(self) -> dict[int, list[Any]]:
        """What the columns of each node say at the end; `UNCLEAR` where they say nothing."""
        found: dict[int, list[Any]] = {}
        if self.trace is None:
            return found
        final = self.stream[-1, self.first :]
        for form in self.trace.layers.blocks.forms:
            columns = self.trace.space.indices_of(own_columns(form))
            known = Known(self.trace.values.info[form.node])
            rows: list[list[float]] = final[:, columns].tolist()
            found.setdefault(form.node, [read_form(form, known, row) for row in rows])
        return found

    def selected(self, selector: int) -> Bool[np.ndarray, "seq seq"] | None:
        """Which keys a selector selects, [query, key] without BOS, says the interpreter.

        **Returns:** None where it reads values that no interpreter knows.
        """
        trace, values = self.trace, self.values
        assert trace is not None, "only programs have selectors"
        nodes, size = trace.values.nodes, len(self.xs)
        leaves = _leaves(nodes, selector)
        known: dict[int, np.ndarray] = {}
        for leaf in leaves:
            node: Any = nodes[leaf]
            keys, queries = values.get(node.keys), values.get(node.queries)
            if keys is None or queries is None or UNKNOWN in [*keys, *queries]:
                return None
            rows = [[_holds(node.predicate, k, q) for k in keys] for q in queries]
            known[leaf] = np.array(rows, bool).reshape(size, size)
        found = evaluate_selector(nodes, selector, known, _combined)
        return found & np.tri(size, dtype=bool) if trace.values.causal else found

    def hidden(self, layer: int) -> Float[np.ndarray, "seq hidden"]:
        """The neurons of a layer.

        **Raises:** `VisualizeError` for models with layer norm, which are never compiled.
        """
        config = self.model.model_config
        if config.layer_norm:
            raise VisualizeError("neurons are shown of models without layer norm only")
        if layer not in self._hidden:
            group = self.model.params[f"transformer/layer_{layer}/mlp/linear_1"]
            before = self.stream[2 * layer + 1].astype(np.float32) @ group["w"] + group["b"]
            self._hidden[layer] = np.asarray(config.activation_function(before))
        return self._hidden[layer]


def matrix(model: AssembledTransformerModel, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The weights [in, out] and the bias of a linear map."""
    group = model.params[name]
    return np.asarray(group["w"], float), np.asarray(group["b"], float)


def read(model: AssembledTransformerModel | Reading, xs: Sequence[Any] | None) -> Reading:
    """Runs a model on an input, given without BOS. A reading is handed back as it is.

    **Raises:** `InputError` as `model.apply`; `VisualizeError` for what is no model or input.
    """
    if isinstance(model, Reading):
        return model
    if not isinstance(model, AssembledTransformerModel):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise VisualizeError(f"a compiled model is needed; got {model!r}")
    if not isinstance(xs, Iterable):
        raise VisualizeError(f"the input is a sequence of tokens, without BOS; got {xs!r}")
    bos = None if model.input_encoder is None else model.input_encoder.bos_token
    first: list[Any] = [] if bos is None else [bos]
    tokens = (*first, *xs)
    if bos is not None and tokens[1:2] == (bos,):
        raise VisualizeError(f"the input is given without BOS here; leave out the {bos!r}")
    out = model.apply(tokens)
    stream = [np.asarray(x)[0] for x in (out.input_embeddings, *out.residuals)]
    scores = [np.asarray(x)[0] for x in out.attn_logits]
    shape = (0, model.model_config.num_heads, len(tokens), len(tokens))
    return Reading(
        model,
        tokens,
        len(first),
        tuple(out.decoded[len(first) :]),
        np.stack(stream).astype(float),
        _softmax(np.stack(scores)) if scores else np.zeros(shape),
    )


def _softmax(scores: np.ndarray) -> np.ndarray:
    scores = scores.astype(float)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def _leaves(nodes: Sequence[Any], selector: int) -> list[int]:
    """The Selects that a selector is made of."""
    found: dict[int, None] = {}
    stack, seen = [selector], set[int]()
    while stack:
        at = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        if hasattr(nodes[at], "predicate"):
            found[at] = None
        else:
            stack.extend(nodes[at].inputs)
    return list(found)


def _holds(predicate: Any, key: Any, query: Any) -> bool:
    return bool(predicate(key, query))


def _combined(op: str, inputs: list[np.ndarray]) -> np.ndarray:
    if op == "not":
        return ~inputs[0]
    pairs = np.logical_and if op == "and" else np.logical_or
    return pairs.reduce(inputs)
