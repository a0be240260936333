"""A folder by PEFT: adapter_config.json and adapter_model.safetensors.

Its `lora_A` is our `b.T`, its `lora_B` our `a.T`; of embeddings too, whose module has no
`.weight` in the names. Modules that were trained whole have their weight under its own name.

Source: peft 0.21, utils/save_and_load.py.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (safetensors is typed in part only)

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from tracr_lite.lora.adapters import Adapter, factors
from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.files import on_device, read_tensors, write_tensors
from tracr_lite.lora.peft.config import CONFIG, alpha_of, read_config, write_config
from tracr_lite.lora.weight import LoraWeight

TENSORS = "adapter_model.safetensors"
PREFIX = "base_model.model."
FACTOR = re.compile(r"(.+)\.lora_(embedding_)?([AB])(?:\.default)?(?:\.weight)?")


def load_peft(folder: str | Path) -> Adapter:
    """The adapter in a folder, by the names of the modules: `model.layers.0.mlp.up_proj`.

    Weights are [in, out], as in x @ w. `to_llama` turns the names into those of our Llama.

    **Raises:** `LoraError` for what is damaged, or would mean something else than b @ a.
    """
    root = Path(folder)
    config = read_config(root)
    if not (root / TENSORS).exists() and (root / "adapter_model.bin").exists():
        raise LoraError(
            f"{root} has adapter_model.bin, a pickle, which could run code; save the adapter "
            "anew with safe_serialization=True"
        )
    pairs: dict[str, dict[str, np.ndarray]] = {}
    full: dict[str, Any] = {}
    for key, array in read_tensors(root / TENSORS)[0].items():
        name = key.removeprefix(PREFIX)
        match = FACTOR.fullmatch(name)
        if match:
            pairs.setdefault(match[1], {})[match[3]] = array
        elif "lora_" in name:
            raise LoraError(f"{root / TENSORS}: {key!r} is not understood")
        else:
            full[name] = on_device(array)
    weights = {module: _weight(module, pair, config) for module, pair in sorted(pairs.items())}
    if not weights and not full:
        raise LoraError(f"{root / TENSORS} has no tensors of an adapter")
    return Adapter(weights, full)


def _weight(module: str, pair: dict[str, np.ndarray], config: dict[str, Any]) -> LoraWeight:
    if pair.keys() != {"A", "B"}:
        raise LoraError(f"{module} has lora_{' and lora_'.join(sorted(pair))} only")
    one, two = pair["A"], pair["B"]
    if one.ndim != 2 or two.ndim != 2 or one.shape[0] != two.shape[1]:
        raise LoraError(
            f"{module}: lora_A {one.shape} and lora_B {two.shape} do not fit; they are "
            "(rank, in) and (out, rank)"
        )
    if not all(jnp.issubdtype(x.dtype, jnp.floating) for x in (one, two)):
        raise LoraError(f"{module}: lora_A {one.dtype} and lora_B {two.dtype} must be floats")
    a, b = np.ascontiguousarray(two.T), np.ascontiguousarray(one.T)
    return factors(on_device(a), on_device(b), alpha_of(config, module, one.shape[0]))


def save_peft(folder: str | Path, adapter: Adapter, base_model: str | None = None) -> None:
    """Writes a folder that PEFT loads: the inverse of `load_peft`.

    **Arguments:** `adapter`: by the names of modules, see `from_llama`; `base_model`: its name
    or path, for the configuration.
    **Raises:** `LoraError` for what PEFT has no place for.
    """
    tensors: dict[str, np.ndarray] = {}
    for module, weight in adapter.weights.items():
        if np.ndim(weight.a) != 2:
            raise LoraError(f"{module} has factors of {np.ndim(weight.a)} axes; PEFT wants 2")
        embeds = module.rpartition(".")[2] == "embed_tokens"
        names = (
            ("lora_embedding_A", "lora_embedding_B")
            if embeds
            else (
                "lora_A.weight",
                "lora_B.weight",
            )
        )
        for name, factor in zip(names, (weight.b, weight.a), strict=True):
            tensors[f"{PREFIX}{module}.{name}"] = np.ascontiguousarray(np.asarray(factor).T)
    for name, array in adapter.full.items():
        tensors[f"{PREFIX}{name}"] = np.ascontiguousarray(np.asarray(array))
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / CONFIG).write_text(write_config(adapter, base_model), encoding="utf-8")
    except OSError as error:
        raise LoraError(f"{root} cannot be written: {error}") from error
    write_tensors(root / TENSORS, tensors, {"format": "pt"})
