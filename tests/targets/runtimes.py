"""Runs stock models in the runtimes that are there: numpy, our own Llama, transformers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.targets.stock_model import LOGIT, StockModel

Logits = Callable[[Sequence[int]], np.ndarray]


def transformers_of(
    model: StockModel, attention: str = "sdpa", dtype: str = "float32"
) -> Logits:
    """The logits of Hugging Face transformers."""
    import torch
    import transformers

    names = {
        "llama": ("LlamaConfig", "LlamaForCausalLM"),
        "gpt2": ("GPT2Config", "GPT2LMHeadModel"),
    }
    config_class, network_class = (getattr(transformers, n) for n in names[model.architecture])
    config = {k: v for k, v in model.config.items() if k != "torch_dtype"}
    net = network_class(config_class(**config, attn_implementation=attention))
    state = {name: torch.from_numpy(np.array(t)) for name, t in model.tensors.items()}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert all("rotary" in m or "attn.bias" in m or m == "lm_head.weight" for m in missing), (
        missing
    )
    net = net.to(getattr(torch, dtype)).eval()

    def logits(ids: Sequence[int]) -> np.ndarray:
        with torch.no_grad():
            return net(torch.tensor([list(ids)])).logits[0].float().numpy()

    return logits


NAMES = {
    "wq": "self_attn.q_proj",
    "wk": "self_attn.k_proj",
    "wv": "self_attn.v_proj",
    "wo": "self_attn.o_proj",
    "w1": "mlp.gate_proj",
    "w2": "mlp.down_proj",
    "w3": "mlp.up_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
WHOLE = {
    "token_embedding": "model.embed_tokens",
    "final_norm": "model.norm",
    "classifier": "lm_head",
}


class _Tensors:
    """The tensors of a stock model, as our own Llama asks for them."""

    def __init__(self, model: StockModel):
        self.model = model

    def layer(self, name: str, layer: int) -> np.ndarray:
        if name in WHOLE:
            return self.model.tensors[f"{WHOLE[name]}.weight"]
        found = self.model.tensors[f"model.layers.{layer}.{NAMES[name]}.weight"]
        return self._pairs_together(found) if name in ("wq", "wk") else found

    def _pairs_together(self, rows: np.ndarray) -> np.ndarray:
        size = self.model.config["head_dim"]
        split = rows.reshape(-1, 2, size // 2, rows.shape[1])
        return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(rows.shape)

    def release(self) -> None:
        pass


def our_llama(model: StockModel) -> Logits:
    """The logits of `tracr_lite.llama`."""
    from tracr_lite.llama.params import load_params
    from tracr_lite.llama.runtime import Llama

    c = model.config
    config = LlamaConfig(
        c["hidden_size"],
        c["intermediate_size"],
        c["num_hidden_layers"],
        c["num_attention_heads"],
        c["num_key_value_heads"],
        c["vocab_size"],
        c["max_position_embeddings"],
        False,
        c["rope_theta"],
        c["rms_norm_eps"],
    )
    runtime = Llama(config, load_params(config, _Tensors(model)))
    return runtime.logits


def same(want: Any, got: Any) -> bool:
    """Equal, or numbers that agree to 1e-5 relative."""
    if isinstance(want, float) and isinstance(got, int | float):
        return abs(want - got) <= 1e-5 * abs(want) or want == got
    return want == got


def inputs(vocab: Sequence[Any], length: int, count: int, seed: int) -> list[list[Any]]:
    """All-equal, full-length and random inputs."""
    rng = random.Random(seed)
    tokens = sorted(vocab, key=repr)
    found = [[tokens[0]] * length, [tokens[-1]] * length, [rng.choice(tokens)]]
    while len(found) < count:
        size = length if len(found) % 2 else rng.randint(1, length)
        found.append([rng.choice(tokens) for _ in range(size)])
    return found[:count]


def wrong(
    model: StockModel, logits: Logits, evaluate: Callable[[Any], Any], given: list[list[Any]]
) -> tuple[int, int, float]:
    """(wrong positions, positions, largest error of a categorical logit)."""
    bad = total = 0
    error = 0.0
    ids = [at for _, at in model.vocabulary.outputs]
    for xs in given:
        try:
            want = evaluate(xs)
        except Exception:
            continue  # the evaluator raises: anything is allowed
        rows = logits(model.encode(xs))[1:]
        got = model.decode(rows)
        total += len(want)
        bad += sum(not same(w, g) for w, g in zip(want, got, strict=True))
        if not model.numeric:
            hot = rows[np.arange(len(rows)), [id_of(model, w) for w in want]]
            cold = np.sort(rows[:, ids], axis=1)[:, :-1]
            error = max(
                error, float(np.abs(hot - LOGIT).max()), float(np.abs(cold).max(initial=0))
            )
    return bad, total, error


def id_of(model: StockModel, value: Any) -> int:
    """The id of an output value."""
    return next(at for known, at in model.vocabulary.outputs if known == value)
