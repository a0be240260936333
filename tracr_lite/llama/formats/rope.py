"""The rotary tables that v0 files carry.

    angle[p, i] = p * theta^(-2i / head_size)     p < seq_len, i < head_size / 2

llama2.c writes those of PyTorch's float32 cos and sin, which only PyTorch has bit for bit.
Here frequencies and angles take the same roundings to float32 as there; cos and sin are rounded
from float64: mostly equal, else one unit in the last place (6e-8) apart.
"""

from __future__ import annotations

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import LlamaError

MAX_POSITIONS = 1 << 24  # float32 holds every integer up to here, and positions are float32
MAX_BYTES = 1 << 30  # both tables; two million positions of heads of 128
BLOCK = 1 << 20  # angles computed at a time


def check_positions(config: LlamaConfig) -> None:
    """Raises `LlamaError` if tables for all positions make no sense.

    No size of a file tells whether its seq_len is right, but for v0; a damaged one is found
    here, before anything of its size is allocated.
    """
    size = 4 * config.seq_len * config.head_size
    if config.seq_len > MAX_POSITIONS or size > MAX_BYTES:
        raise LlamaError(
            f"seq_len is {config.seq_len}: rotary tables for so many positions would have "
            f"{size} bytes. At most {MAX_POSITIONS} positions and {MAX_BYTES} bytes are "
            "supported. Is that number damaged? Else write the model again with a smaller one"
        )


def angles(config: LlamaConfig, start: int, stop: int) -> np.ndarray:
    """The angles of positions `start` to `stop - 1`: float32, in radians."""
    exponents = np.arange(0, config.head_size, 2, dtype=np.float32) / np.float32(
        config.head_size
    )
    powers = (config.rope_theta ** exponents.astype(np.float64)).astype(np.float32)
    return np.arange(start, stop, dtype=np.float32)[:, None] * (np.float32(1) / powers)


def rope_tables(config: LlamaConfig, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of `angles`, float32."""
    cos = np.empty((stop - start, config.head_size // 2), np.float32)
    sin, rows = np.empty_like(cos), max(1, BLOCK // config.head_size)
    for first in range(start, stop, rows):
        turned = angles(config, first, min(first + rows, stop)).astype(np.float64)
        part = slice(first - start, first - start + len(turned))
        cos[part], sin[part] = np.cos(turned), np.sin(turned)
    return cos, sin


def largest_difference(config: LlamaConfig, tables: tuple[np.ndarray, np.ndarray]) -> float:
    """How far `tables` are from those of `config` anywhere; NaN if they hold one.

    An angle may be off by an ulp of its frequency, position * 6e-8 relative: other ways to
    compute the frequencies are allowed for, by subtracting that.
    """
    worst = 0.0
    rows = max(1, (1 << 20) // config.head_size)
    for start in range(0, config.seq_len, rows):
        stop = min(config.seq_len, start + rows)
        slack = 4 * np.finfo(np.float32).eps * np.arange(start, stop)[:, None]
        for mine, theirs in zip(rope_tables(config, start, stop), tables, strict=True):
            gap = np.abs(mine.astype(np.float64) - theirs[start:stop]) - slack
            worst = float(np.fmax(worst, gap.max())) if np.isfinite(gap).all() else np.nan
            if np.isnan(worst):
                return worst
    return worst
