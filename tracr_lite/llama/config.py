"""The hyperparameters of a Llama model."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields

from tracr_lite.llama.errors import ConfigError

ROPE_THETA, NORM_EPS = 10000.0, 1e-5  # what llama2.c computes with; no .bin stores them


@dataclass(frozen=True)
class LlamaConfig:
    """Sizes and constants of a Llama model, with the names of llama2.c.

    **Arguments:**
    - `dim`: width of the residual stream; `hidden_dim`: width of the feed-forward layers.
    - `n_heads` query heads share `n_kv_heads` key and value heads (fewer: grouped queries).
    - `vocab_size`: number of tokens, always positive; `seq_len`: longest context in tokens.
    - `shared_classifier`: whether the embedding serves as the output matrix too.
    - `rope_theta`: base of the rotary frequencies; `norm_eps`: added inside RMSNorm.

    **Raises:** `ConfigError` that lists all that is wrong.
    Source: llama2.c, run.c, `Config` (350e04f).
    """

    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    seq_len: int
    shared_classifier: bool
    rope_theta: float = ROPE_THETA
    norm_eps: float = NORM_EPS

    def __post_init__(self) -> None:
        if problems := _problems(self):
            raise ConfigError("not a Llama model: " + "; ".join(problems))

    @property
    def head_size(self) -> int:
        """Width of one head."""
        return self.dim // self.n_heads

    @property
    def kv_dim(self) -> int:
        """Width of all key heads together, and of all value heads."""
        return self.head_size * self.n_kv_heads

    @property
    def kv_repeat(self) -> int:
        """How many query heads share one key and value head."""
        return self.n_heads // self.n_kv_heads


SIZES = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")


def _problems(config: LlamaConfig) -> list[str]:
    found = [
        f"{name} is {value!r}, not a positive integer"
        for name in SIZES
        if type(value := getattr(config, name)) is not int or value < 1
    ]
    found += [
        f"{each.name} is {value!r}, not a positive number"
        for each in fields(LlamaConfig)
        if each.type == "float" and not _positive(value := getattr(config, each.name))
    ]
    if type(config.shared_classifier) is not bool:
        found.append(f"shared_classifier is {config.shared_classifier!r}, not True or False")
    return found or _misfits(config)


def _positive(value: object) -> bool:
    """Whether it is a number that a float can hold; integers in JSON may be of any length."""
    return type(value) in (int, float) and 0 < value <= sys.float_info.max  # type: ignore[operator]


def _misfits(config: LlamaConfig) -> list[str]:
    """What is wrong with sizes that are all positive."""
    found: list[str] = []
    if config.dim % config.n_heads:
        found.append(f"dim {config.dim} is not a multiple of n_heads {config.n_heads}")
    elif config.head_size % 2:
        found.append(
            f"the head size {config.head_size} (dim / n_heads) is odd; rotary positions "
            "turn pairs of numbers"
        )
    if config.n_heads % config.n_kv_heads:
        found.append(
            f"n_heads {config.n_heads} is not a multiple of n_kv_heads {config.n_kv_heads}"
        )
    return found
