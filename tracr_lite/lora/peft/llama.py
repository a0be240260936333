"""Between the modules of a Hugging Face Llama and the parameters of ours.

Ours are (out, in), so `b` is on the side of the output here, and some are joined: one matrix
has the rows of queries, keys and values. Joined adapters lie side by side: each has columns of
`b` that reach its own rows only,

    wqkv:  b = [B_q 0 0; 0 B_k 0; 0 0 B_v]     a = [A_q; A_k; A_v]

and rows of queries and keys are permuted, as the weights are (see `llama.formats.hf_names`).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax and numpy are typed in part only)

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.formats.hf_names import from_hf, hf_name, to_hf
from tracr_lite.llama.weights import layer_shapes
from tracr_lite.lora.adapters import Adapter, factors
from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.weight import LoraWeight

JOINED = {"wqkv": ("wq", "wk", "wv"), "wo": ("wo",), "w13": ("w1", "w3"), "w2": ("w2",)}
NORMS = ("attention_norm", "ffn_norm")
EMBEDDING = "model.embed_tokens"


def to_llama(adapter: Adapter, config: LlamaConfig) -> Adapter:
    """An adapter by modules, from `load_peft`, as one for `tracr_lite.llama` parameters.

    **Raises:** `LoraError` listing modules that the model has not, or that cannot be adapted.
    """
    rest = dict(adapter.weights)
    weights: dict[str, LoraWeight] = {}
    for name, parts in _places(config).items():
        there = [(part, layer, rest.pop(_module(part, layer), None)) for part, layer in parts]
        if any(weight is not None for _, _, weight in there):
            weights[name] = _joined(there, config)
    outside = {EMBEDDING: "embedding"} if not config.shared_classifier else {}
    for module, name in outside.items():
        if (weight := rest.pop(module, None)) is not None:
            weights[name] = weight
    wholes = {_full_name(name): name for name in _wholes(config)}
    found = {n: x for n, x in adapter.full.items() if not _is_base(n, x, config)}
    full = {wholes[n]: x for n, x in found.items() if n in wholes}
    problems = [*rest, *(n for n in found if n not in wholes)]
    if problems:
        raise LoraError(_refusal(problems, config))
    return Adapter(weights, full)


def from_llama(adapter: Adapter, config: LlamaConfig) -> Adapter:
    """An adapter for `tracr_lite.llama` parameters as one by modules, for `save_peft`.

    Of joined matrices each module gets the columns of `b` that reach its rows.

    **Raises:** `LoraError` listing parameters that PEFT has no module for.
    """
    places, wholes = _places(config), _wholes(config)
    weights: dict[str, LoraWeight] = {}
    problems = [name for name in adapter.full if name not in wholes]
    for name, weight in adapter.weights.items():
        if name in places:
            weights |= _taken_apart(weight, places[name], config)
        elif name == "embedding" and not config.shared_classifier:
            weights[EMBEDDING] = weight
        else:
            problems.append(name)
    if problems:
        raise LoraError(_refusal(problems, config))
    return Adapter(weights, {_full_name(name): x for name, x in adapter.full.items()})


def _is_base(name: str, array: Any, config: LlamaConfig) -> bool:
    """PEFT saves frozen matrices of the vocabulary too, as they might have been resized."""
    frozen = {f"{module}.base_layer.weight" for module in (EMBEDDING, "lm_head")}
    return name in frozen and np.shape(array) == (config.vocab_size, config.dim)


def _places(config: LlamaConfig) -> dict[str, list[tuple[str, int]]]:
    """Name of a matrix of ours -> the tensors in it, with their layers."""
    places = {
        f"layers/{i}/{name}": [(part, i) for part in parts]
        for i in range(config.n_layers)
        for name, parts in JOINED.items()
    }
    if not config.shared_classifier:
        places["classifier"] = [("classifier", 0)]
    return places


def _wholes(config: LlamaConfig) -> list[str]:
    """What can be trained whole: the names that are the same tensor in both."""
    names = [f"layers/{i}/{norm}" for i in range(config.n_layers) for norm in NORMS]
    return [
        *names,
        "final_norm",
        *(["classifier", "embedding"] if not config.shared_classifier else []),
    ]


def _module(part: str, layer: int) -> str:
    return hf_name(part, layer).removesuffix(".weight")


def _full_name(name: str) -> str:
    """`layers/0/attention_norm` -> `model.layers.0.input_layernorm.weight`."""
    *inside, last = name.split("/")
    return hf_name(
        {"embedding": "token_embedding"}.get(last, last), int(inside[1]) if inside else 0
    )


def _refusal(names: list[str], config: LlamaConfig) -> str:
    text = f"there is no counterpart for {', '.join(sorted(names))}"
    if config.shared_classifier and any("embed" in name for name in names):
        text += (
            "; this model has one matrix for embedding and output, which PEFT adapts as the "
            "embedding only: merge the adapter instead"
        )
    return text


def _joined(there: list[tuple[str, int, Any]], config: LlamaConfig) -> LoraWeight:
    """The factors of several modules as those of one matrix."""
    shapes = layer_shapes(config)
    weights = [weight for _, _, weight in there if weight is not None]
    total = sum(weight.rank for weight in weights)
    scales = {weight.get_scale() for weight in weights}
    common = scales.pop() if len(scales) == 1 else None
    b = np.zeros((sum(shapes[part][0] for part, _, _ in there), total), _dtype(weights))
    row = column = 0
    for part, layer, weight in there:
        outs, ins = shapes[part]
        if weight is not None:
            if weight.a.shape[1] != outs or weight.b.shape[0] != ins:
                raise LoraError(
                    f"{_module(part, layer)}: an adapter from {weight.b.shape[0]} to "
                    f"{weight.a.shape[1]} for a matrix from {ins} to {outs}"
                )
            own = from_hf(config, part, np.asarray(weight.a).T)
            scale = 1.0 if common is not None else weight.get_scale()
            b[row : row + outs, column : column + weight.rank] = scale * own
            column += weight.rank
        row += outs
    a = np.concatenate([np.asarray(weight.b).T for weight in weights])
    alpha = total * (1.0 if common is None else common)
    if len(weights) == 1:
        alpha = weights[0].alpha
    return factors(jnp.asarray(a), jnp.asarray(b), float(alpha))


def _dtype(weights: list[LoraWeight]) -> Any:
    return jnp.result_type(*(weight.a.dtype for weight in weights))


def _taken_apart(
    weight: LoraWeight, parts: list[tuple[str, int]], config: LlamaConfig
) -> dict[str, LoraWeight]:
    """The factors for each module; columns that reach only others are left out."""
    shapes, row = layer_shapes(config), 0
    b, a = np.asarray(weight.b), np.asarray(weight.a)
    used = b.any(axis=0)
    found: dict[str, LoraWeight] = {}
    for part, layer in parts:
        own = b[row : row + shapes[part][0]]
        row += shapes[part][0]
        kept = own.any(axis=0) | ~used
        if kept.any():
            outs = to_hf(config, part, own[:, kept])
            alpha = weight.alpha if kept.all() else weight.get_scale() * int(kept.sum())
            found[_module(part, layer)] = factors(
                jnp.asarray(outs.T), jnp.asarray(a[kept].T), alpha
            )
    return found
