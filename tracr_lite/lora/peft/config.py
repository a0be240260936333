"""adapter_config.json: what of it is understood, and what is refused.

Source: peft 0.21, tuners/lora/config.py and utils/other.py.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from tracr_lite.lora.adapters import Adapter
from tracr_lite.lora.errors import LoraError

CONFIG = "adapter_config.json"
UNDERSTOOD = {"r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "peft_type"}
NO_MATTER = {  # how it was trained, or what the tensors in the file say themselves
    *("auto_mapping", "base_model_name_or_path", "eva_config", "exclude_modules"),
    *("fan_in_fan_out", "inference_mode", "layers_pattern", "layers_to_transform"),
    *("lora_dropout", "megatron_core", "modules_to_save", "peft_version"),
    *("qalora_group_size", "revision", "runtime_config", "target_modules", "task_type"),
}
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")  # starts that edit the weights


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration.

    **Raises:** `LoraError` listing everything that would change what the tensors mean.
    """
    path = folder / CONFIG
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise LoraError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise LoraError(f"{path} is no object")
    config = cast(dict[str, Any], found)
    problems = [
        f"{key} is {config[key]!r}, which is not supported"
        for key in sorted(
            config.keys() - UNDERSTOOD - NO_MATTER - {"bias", "init_lora_weights"}
        )
        if config[key]
    ]
    if config.get("peft_type") != "LORA":
        problems.append(f"peft_type is {config.get('peft_type')!r}, not 'LORA'")
    if config.get("bias", "none") != "none":
        problems.append(f"bias is {config['bias']!r}; only 'none' is supported")
    start = config.get("init_lora_weights", True)
    if isinstance(start, str) and start.startswith(CHANGES_BASE):
        problems.append(
            f"init_lora_weights is {start!r}, so the adapter belongs to a changed base; save "
            "it with path_initial_model_for_weight_conversion"
        )
    if problems:
        raise LoraError("\n  - ".join([f"{path} is not understood", *problems]))
    return config


def alpha_of(config: Mapping[str, Any], module: str, rank: int) -> float:
    """The alpha of a module, so that alpha / rank is the scale that PEFT uses.

    **Raises:** `LoraError` if the configuration says something else than `rank`.
    """
    said = _of_module(config, "rank_pattern", module, config.get("r", rank))
    if said != rank:
        raise LoraError(f"{module} has rank {rank}, but {CONFIG} says {said!r}")
    alpha = _of_module(config, "alpha_pattern", module, config.get("lora_alpha", 8))
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise LoraError(f"{CONFIG}: the alpha of {module} is {alpha!r}, not a number")
    return alpha * math.sqrt(rank) if config.get("use_rslora") else alpha


def _of_module(config: Mapping[str, Any], key: str, module: str, default: object) -> object:
    """The first value of a table of patterns that fits a module."""
    patterns: object = config.get(key) or {}
    if not isinstance(patterns, dict):
        raise LoraError(f"{CONFIG}: {key} is {patterns!r}, no table")
    for pattern, value in cast(dict[str, object], patterns).items():
        try:
            fits = re.match(rf"(.*\.)?({pattern})$", module)
        except re.error as error:
            raise LoraError(f"{CONFIG}: {pattern!r} is no regular expression") from error
        if fits:
            return value
    return default


def write_config(adapter: Adapter, base_model: str | None) -> str:
    """The text of a configuration for the modules of an adapter."""
    ranks, alphas = adapter.ranks, {name: w.alpha for name, w in adapter.weights.items()}
    rank = max(ranks.values(), default=1, key=list(ranks.values()).count)
    alpha = max(alphas.values(), default=1, key=list(alphas.values()).count)
    config = {
        "alpha_pattern": {re.escape(n): a for n, a in alphas.items() if a != alpha},
        "base_model_name_or_path": base_model,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "modules_to_save": sorted({n.rpartition(".")[0] for n in adapter.full}) or None,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": {re.escape(n): r for n, r in ranks.items() if r != rank},
        "target_modules": sorted(ranks),
        "task_type": "CAUSAL_LM",
        "use_rslora": False,
    }
    return json.dumps(config, indent=2, sort_keys=True) + "\n"
