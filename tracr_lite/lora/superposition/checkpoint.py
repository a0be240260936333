"""The state of a training in one safetensors file, so that it can go on where it stopped."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax and safetensors are typed in part only)

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.files import read_tensors, write_tensors

FORMAT = "tracr_lite.superposition"


def save_state(
    path: Path, state: Any, losses: np.ndarray, done: int, training: Any, digest: str
) -> None:
    """Writes matrices, optimiser, losses and number of steps; whole or not at all."""
    leaves = jax.tree_util.tree_leaves(state)
    tensors = {f"leaf.{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    tensors["losses"] = losses
    metadata = {
        "format": FORMAT,
        "training": json.dumps(dataclasses.asdict(training), sort_keys=True),
        "problem": digest,
        "done": str(done),
    }
    write_tensors(path, {n: np.ascontiguousarray(x) for n, x in tensors.items()}, metadata)


def load_state(
    path: Path, like: Any, training: Any, digest: str
) -> tuple[Any, np.ndarray, int]:
    """The state, the losses and the number of steps done.

    **Arguments:** `like`: a state of the same training.
    **Raises:** `LoraError` if the file is damaged, or of another training or problem.
    """
    tensors, metadata = read_tensors(path)
    wanted = json.dumps(dataclasses.asdict(training), sort_keys=True)
    if metadata.get("format") != FORMAT:
        raise LoraError(f"{path} is no checkpoint of a compression")
    if metadata.get("training") != wanted:
        raise LoraError(
            f"{path} belongs to another training: {metadata.get('training')} instead of "
            f"{wanted}; choose another file, or delete it"
        )
    if metadata.get("problem") != digest:
        raise LoraError(f"{path} belongs to another model or other inputs")
    leaves, tree = jax.tree_util.tree_flatten(like)
    found = [tensors.get(f"leaf.{i}") for i in range(len(leaves))]
    losses, done = tensors.get("losses"), metadata.get("done", "")
    fits = all(
        x is not None and x.shape == np.shape(y) for x, y in zip(found, leaves, strict=True)
    )
    if not fits or losses is None or not done.isdecimal():
        raise LoraError(f"{path} is incomplete; delete it to start again")
    state = jax.tree_util.tree_unflatten(tree, [jnp.asarray(x) for x in found])
    return state, losses, int(done)
