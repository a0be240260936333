"""Writes a Hugging Face folder: config.json, and one or more safetensors files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import CannotStore
from tracr_lite.llama.formats.aside import Writer
from tracr_lite.llama.formats.hf_config import write_config
from tracr_lite.llama.formats.hf_folder import CONFIG, INDEX, SINGLE
from tracr_lite.llama.formats.hf_names import hf_name, to_hf
from tracr_lite.llama.formats.json_files import JsonObject
from tracr_lite.llama.formats.numbers import Tick, float_chunks, where
from tracr_lite.llama.formats.source import Source
from tracr_lite.llama.formats.target import DTYPES, SHARD_BYTES, Target
from tracr_lite.llama.formats.tensor_files import Planned, file_order, write_header
from tracr_lite.llama.formats.write_bin import Errors
from tracr_lite.llama.weights import each_tensor, layer_shapes, to_float32

F32 = np.dtype(np.float32)


@dataclass(frozen=True)
class FolderPlan:
    """The tensors of each file, in order, and what their names are with us."""

    shards: Sequence[Sequence[Planned]]
    ours: Mapping[str, tuple[str, int]]  # their name -> our name and layer

    @property
    def names(self) -> list[str]:
        """The names of the files."""
        count = len(self.shards)
        if count == 1:
            return [SINGLE]
        return [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(each.nbytes for shard in self.shards for each in shard)

    @property
    def dtype(self) -> str:
        """What config.json says of the numbers: their type, or one that holds all types."""
        found = {each.dtype.name for shard in self.shards for each in shard}
        return found.pop() if len(found) == 1 else F32.name


def plan_folder(config: LlamaConfig, source: Source, target: Target) -> FolderPlan:
    """Decides what goes into which file."""
    shapes, ours = layer_shapes(config), dict[str, tuple[str, int]]()
    tensors: list[Planned] = []
    for name, layer in each_tensor(config):
        dtype = DTYPES[target.dtype] if target.dtype else source.dtype(name, layer) or F32
        theirs = hf_name(name, layer)
        ours[theirs] = name, layer
        tensors.append(Planned(theirs, dtype, shapes[name]))
    shards = _split(sorted(tensors, key=_natural), target.shard_bytes or SHARD_BYTES)
    return FolderPlan([file_order(shard) for shard in shards], ours)


def _natural(each: Planned) -> list[tuple[int, str]]:
    """Layer 2 before layer 10."""
    words = re.findall(r"\d+|\D+", each.name)
    return [(int(word) if word.isdecimal() else -1, word) for word in words]


def _split(tensors: Sequence[Planned], most: int) -> list[list[Planned]]:
    """Fills one file after the other; a tensor is never cut.

    One that is larger than a file has one of its own, before the file that is being filled, as
    huggingface_hub has it.
    """
    shards, rest, size = list[list[Planned]](), list[Planned](), 0
    for each in tensors:
        if each.nbytes > most:
            shards.append([each])
            continue
        if size + each.nbytes > most:
            shards.append(rest)
            rest, size = [], 0
        rest.append(each)
        size += each.nbytes
    return [*shards, rest] if rest else shards


def write_folder(
    folder: Path,
    config: LlamaConfig,
    source: Source,
    plan: FolderPlan,
    base: JsonObject | None,
    tick: Tick,
) -> Errors:
    """Writes all files into a folder that is empty.

    **Arguments:** `base`: a config.json whose entries about tokens and training are kept.
    **Returns:** the errors of the tensors that had to be rounded.
    **Raises:** `WeightsError` if a weight is not finite; `CannotStore` if it is too large for
    its new type.
    """
    errors: Errors = {}
    for file, shard in zip(plan.names, plan.shards, strict=True):
        head = write_header(shard)
        with Writer(folder / file, len(head) + sum(each.nbytes for each in shard)) as out:
            out.write_at(0, head)
            begin = len(head)
            for each in shard:
                name, layer = plan.ours[each.name]
                error = _write(out, begin, config, source, each.dtype, (name, layer), tick)
                if error is not None:
                    errors[name] = max(errors.get(name, 0.0), error)
                begin += each.nbytes
                source.release()
    if len(plan.shards) > 1:
        _write_whole(folder / INDEX, _index(plan))
    _write_whole(folder / CONFIG, write_config(config, plan.dtype, base))
    return errors


def _write_whole(path: Path, text: bytes) -> None:
    with Writer(path, len(text)) as out:
        out.write_at(0, text)


def _write(
    out: Writer,
    begin: int,
    config: LlamaConfig,
    source: Source,
    dtype: np.dtype[np.generic],
    which: tuple[str, int],
    tick: Tick,
) -> float | None:
    """Writes one tensor, and returns its largest error; None if its numbers can all be kept."""
    name, layer = which
    tensor = source.layer(name, layer)
    if name in ("wq", "wk"):
        tensor = to_hf(config, name, to_float32(tensor))
    worst = 0.0
    for first, numbers in float_chunks(name, layer, tensor):
        with np.errstate(over="ignore"):  # said in words below
            narrow = numbers.astype(dtype)
        again = narrow.astype(np.float32)
        if not np.isfinite(again).all():
            index = int(np.argmin(np.isfinite(again)))
            raise CannotStore(
                f"{where(name, layer)}: number {first + index} is {numbers[index]:g}, which is "
                f"too large for {dtype.name}; choose a type with a wider range"
            )
        worst = max(worst, float(np.abs(again - numbers).max()))
        out.write_at(begin + dtype.itemsize * first, narrow.view(np.uint8).data)
        tick(numbers.size)
    return worst if dtype not in (F32, source.dtype(name, layer)) else None


def _index(plan: FolderPlan) -> bytes:
    places = dict[str, str]()
    for file, shard in zip(plan.names, plan.shards, strict=True):
        places |= {each.name: file for each in shard}
    count = sum(prod(each.shape) for shard in plan.shards for each in shard)
    metadata = {"total_parameters": count, "total_size": plan.nbytes}
    text = {"metadata": metadata, "weight_map": places}
    return (json.dumps(text, indent=2, sort_keys=True) + "\n").encode()
