"""Merging an adapter into a model for speed, and getting the base back to the bit.

w + b a rounds, so subtracting b a again gives nearly w. The base is kept, or stored: `unmerge`
gives its very arrays, after it has made sure that they are the ones that were merged.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# (jax is typed in part only)

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from tracr_lite.lora.adapters import Adapter, attach, named
from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.files import read_tensors
from tracr_lite.lora.paths import path_name
from tracr_lite.lora.trees import merge_parameters


def merge_adapter(base: Any, adapter: Adapter) -> Any:
    """The base with an adapter in its weights: plain arrays. The base stays as it is."""
    return merge_parameters(attach(base, adapter), destructive=False)


def unmerge(merged: Any, adapter: Adapter, base: Any, *, check: bool = True) -> Any:
    """The parameters before `merge_adapter`, equal in every bit.

    **Arguments:**
    - `base`: the parameters before, or the path of a safetensors file that has them (those that
      the adapter changes, at least), under their names.
    - `check`: merge again, and compare all bits with `merged`. Where other hardware merged,
      they can differ in the last one.

    **Raises:** `LoraError` naming each parameter that is not that of the base with the adapter.
    """
    stored = read_tensors(base)[0] if isinstance(base, str | Path) else named(base)
    changed = adapter.weights.keys() | adapter.full.keys()
    missing = sorted(changed - stored.keys())
    if missing:
        raise LoraError(f"the stored base lacks {', '.join(missing)}")
    before = {name: stored[name] for name in changed}
    if check:
        _check(named(merged), stored, before, adapter)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: before.get(path_name(path), leaf), merged
    )


def _check(
    now: dict[str, Any], stored: dict[str, Any], before: dict[str, Any], adapter: Adapter
) -> None:
    after, changed = named(merge_adapter(before, adapter)), before.keys()
    others = [name for name in sorted(changed) if not _same_bits(after[name], now.get(name))]
    others += [
        name
        for name in sorted(now.keys() - changed)
        if name in stored and not _same_bits(stored[name], now[name])
    ]
    if others:
        raise LoraError(
            f"{', '.join(others)}: not what this adapter makes of this base; was something "
            "else merged, or the model trained on? check=False puts the base back anyway"
        )


def _same_bits(one: Any, two: Any) -> bool:
    if two is None:
        return False
    x, y = np.asarray(one), np.asarray(two)
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
