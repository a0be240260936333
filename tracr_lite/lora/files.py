"""Adapters as files: one safetensors file, with the names of the parameters.

`NAME.a` and `NAME.b` are the factors, `NAME.full` is a whole array. The header has the alphas,
and if the base was given, a digest of each array that the adapter changes.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (safetensors is typed in part only)

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tracr_lite.lora.adapters import Adapter, factors, named
from tracr_lite.lora.errors import LoraError
from tracr_lite.lora.weight import LoraWeight

FORMAT = "tracr_lite.lora"
VERSION = "1"


def save_adapter(path: str | Path, adapter: Adapter, base: Any = None) -> None:
    """Writes an adapter to a file, whole or not at all.

    **Arguments:** `base`: the plain parameters that it was made for; with them, `load_adapter`
    can tell whether it is put on others.
    **Raises:** `LoraError` if the adapter changes what the base does not have.
    """
    tensors: dict[str, np.ndarray] = {}
    for name, weight in adapter.weights.items():
        tensors[f"{name}.a"], tensors[f"{name}.b"] = _array(weight.a), _array(weight.b)
    tensors |= {f"{name}.full": _array(array) for name, array in adapter.full.items()}
    alphas = {name: weight.alpha for name, weight in adapter.weights.items()}
    metadata = {"format": FORMAT, "version": VERSION, "alphas": json.dumps(alphas)}
    if base is not None:
        metadata["base"] = json.dumps(digests(base, adapter))
    metadata["contents"] = _contents(tensors, metadata)
    write_tensors(Path(path), tensors, metadata)


def write_tensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """A safetensors file, whole or not at all. **Raises:** `LoraError` if it cannot be."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors, aside, metadata)
        os.replace(aside, path)
    except (SafetensorError, OSError) as error:
        raise LoraError(f"{path} cannot be written: {error}") from error
    finally:
        aside.unlink(missing_ok=True)


def _array(x: Any) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(x))


def _contents(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    """SHA-256 of all that is in a file."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    told = sorted((key, text) for key, text in metadata.items() if key != "contents")
    digest.update(json.dumps(told).encode())
    return digest.hexdigest()


def digests(base: Any, adapter: Adapter) -> dict[str, str]:
    """Name -> SHA-256 of shape, type and bytes, for all that the adapter changes."""
    there = named(base)
    found: dict[str, str] = {}
    for name in (*adapter.weights, *adapter.full):
        if name not in there:
            raise LoraError(f"the base has no parameter {name!r}")
        if isinstance(there[name], LoraWeight):
            raise LoraError(f"{name!r} has an adapter; give the base without it (detach)")
        array = _array(there[name])
        digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
        found[name] = digest.hexdigest()
    return found


def load_adapter(path: str | Path, base: Any = None) -> Adapter:
    """Reads an adapter.

    **Arguments:** `base`: check that it was made for these parameters, bit by bit.
    **Raises:** `LoraError` if the file is damaged, not an adapter, or made for another base.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        raise LoraError(
            f"{path} is no adapter of this program (format {metadata.get('format')!r}, "
            f"version {metadata.get('version')!r}); folders by PEFT are read with load_peft"
        )
    adapter = _adapter(path, tensors, _table(path, metadata, "alphas"))
    if metadata.get("contents") != _contents(tensors, metadata):
        raise LoraError(f"{path} is damaged: it does not hold what was written to it")
    if base is not None:
        _check_base(path, digests(base, adapter), _table(path, metadata, "base"))
    return adapter


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """All arrays of a safetensors file, and its metadata. **Raises:** `LoraError`."""
    try:
        with safe_open(path, "numpy") as file:
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
            return tensors, cast(dict[str, str], file.metadata() or {})
    except FileNotFoundError as error:
        raise LoraError(f"there is no file {path}") from error
    except (SafetensorError, OSError) as error:
        raise LoraError(f"{path} cannot be read as safetensors: {error}") from error


def on_device(x: np.ndarray) -> Any:
    """A JAX array, unless JAX would round it: 64 bits stay with numpy, unless JAX allows
    them."""
    array = jnp.asarray(x)
    return array if array.dtype == x.dtype else x


def _table(path: str | Path, metadata: dict[str, str], key: str) -> dict[str, Any]:
    if key not in metadata:
        raise LoraError(f"{path} has no {key!r} in its header")
    try:
        found = json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise LoraError(f"{key!r} in the header of {path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise LoraError(f"{key!r} in the header of {path} is no table")
    return cast(dict[str, Any], found)


def _adapter(
    path: str | Path, tensors: dict[str, np.ndarray], alphas: dict[str, Any]
) -> Adapter:
    weights: dict[str, LoraWeight] = {}
    rest = dict(tensors)
    for name, alpha in alphas.items():
        parts = rest.pop(f"{name}.a", None), rest.pop(f"{name}.b", None)
        if parts[0] is None or parts[1] is None:
            raise LoraError(f"{path} lacks a factor of {name!r}")
        weights[name] = factors(on_device(parts[0]), on_device(parts[1]), alpha)
    full = {
        name.removesuffix(".full"): on_device(x)
        for name, x in rest.items()
        if name.endswith(".full")
    }
    strange = [name for name in rest if not name.endswith(".full")]
    if strange:
        raise LoraError(f"{path} has arrays without alpha: {', '.join(strange)}")
    return Adapter(weights, full)


def _check_base(path: str | Path, found: dict[str, str], wanted: dict[str, Any]) -> None:
    others = [name for name in found if found[name] != wanted.get(name)]
    if others:
        raise LoraError(
            f"{path} was made for other values of {', '.join(others)}; leave out base to put "
            "it on these anyway"
        )
