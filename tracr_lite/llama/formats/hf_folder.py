"""A Hugging Face Llama folder: its files, and the tensors in them under our names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import cast

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import CheckpointError
from tracr_lite.llama.formats.hf_names import IGNORED, from_hf, hf_name
from tracr_lite.llama.formats.json_files import read_object
from tracr_lite.llama.formats.tensor_files import DTYPES, TensorFile
from tracr_lite.llama.weights import WHOLE, Shape, layer_shapes

CONFIG, SINGLE = "config.json", "model.safetensors"
INDEX = "model.safetensors.index.json"
SHOWN = 5  # names in a message
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth")


class FolderSource:
    """The tensors of a folder, as views of its files; queries and keys as permuted copies."""

    def __init__(self, config: LlamaConfig, files: Mapping[str, TensorFile]):
        self._config, self._files = config, files

    def layer(self, name: str, index: int) -> np.ndarray:
        """As in `Source`."""
        full = hf_name(name, index)
        return from_hf(self._config, name, self._files[full].view(full))

    def stacked(self, name: str) -> np.ndarray:
        """As in `Source`; what is stacked over layers is copied."""
        if name in WHOLE:
            return self.layer(name, 0)
        layers = range(self._config.n_layers)
        dtypes = {self.dtype(name, index) for index in layers}
        dtype = dtypes.pop() if len(dtypes) == 1 else np.dtype(np.float32)  # holds them all
        shape = layer_shapes(self._config)[name]
        out = np.empty((len(layers), *shape), dtype)
        for index in layers:
            out[index] = self.layer(name, index)
        return out

    def dtype(self, name: str, index: int) -> np.dtype[np.generic]:
        """As in `Source`."""
        full = hf_name(name, index)
        return DTYPES[self._files[full].entries[full].code]

    def release(self) -> None:
        """As in `Source`."""
        for each in self.files:
            each.file.release()

    @property
    def files(self) -> list[TensorFile]:
        """Each file once, by name."""
        return sorted({id(f): f for f in self._files.values()}.values(), key=lambda f: f.name)


def open_folder(folder: Path, config: LlamaConfig) -> tuple[FolderSource, list[Path]]:
    """Maps the files of a folder, and checks that they hold the tensors of `config`.

    **Returns:** the tensors, and the files that hold them.
    **Raises:** `CheckpointError` that lists what is missing, of another shape, or too much.
    """
    files, paths = _tensor_files(folder)
    found = {name: file for name, file in files.items() if not IGNORED.fullmatch(name)}
    # a wrong number of layers is noticed before names are made for them
    shapes = layer_shapes(config)
    inside = sum(name not in WHOLE for name in shapes)
    limit = inside * (len(found) + 1)
    wanted = dict(islice(_names(config, shapes), limit + len(WHOLE)))
    _check_shared(config, found)
    problems = _problems(wanted, found)
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise CheckpointError(
            "the tensors are not those of config.json: " + "; ".join(problems[:SHOWN]) + more
        )
    return FolderSource(config, found), paths


def _names(config: LlamaConfig, shapes: Mapping[str, Shape]) -> Iterator[tuple[str, Shape]]:
    for name in WHOLE:
        if name in shapes:
            yield hf_name(name, 0), shapes[name]
    for layer in range(config.n_layers):
        for name, shape in shapes.items():
            if name not in WHOLE:
                yield hf_name(name, layer), shape


def _problems(wanted: Mapping[str, Shape], found: Mapping[str, TensorFile]) -> list[str]:
    problems = [f"{name!r} is missing" for name in wanted if name not in found]
    for name, file in found.items():
        entry = file.entries[name]
        if name not in wanted:
            problems.append(f"{name!r} has no place in a Llama of these sizes")
        elif entry.shape != wanted[name]:
            problems.append(
                f"{name!r} has shape {list(entry.shape)} instead of {list(wanted[name])}"
            )
        elif entry.code not in DTYPES:
            problems.append(f"{name!r} is {entry.code}; {', '.join(DTYPES)} can be read")
    return problems


def _check_shared(config: LlamaConfig, found: dict[str, TensorFile]) -> None:
    """Takes out a classifier that repeats the embedding; one that differs is refused."""
    ours, theirs = hf_name("classifier", 0), hf_name("token_embedding", 0)
    if not config.shared_classifier or ours not in found:
        return
    file = found.pop(ours)
    if theirs not in found:  # safetensors' save_model keeps the first name of the two
        file.entries[theirs] = file.entries[ours]
        found[theirs] = file
        return
    one, two = file.entries[ours], found[theirs].entries[theirs]
    same = (one.code, one.shape) == (two.code, two.shape) and one.code in DTYPES
    if not same or not _same_bits(file.view(ours), found[theirs].view(theirs)):
        raise CheckpointError(
            f"config.json says tie_word_embeddings, but {ours!r} and {theirs!r} differ; set it "
            f"to false if {ours!r} is meant"
        )


def _same_bits(one: np.ndarray, two: np.ndarray) -> bool:
    """Row by row: a table of all comparisons would be as large as the model."""
    kind = np.dtype(f"u{one.dtype.itemsize}")
    return all((a.view(kind) == b.view(kind)).all() for a, b in zip(one, two, strict=True))


def _tensor_files(folder: Path) -> tuple[dict[str, TensorFile], list[Path]]:
    """Which file has each tensor, and the paths of the files."""
    if (folder / SINGLE).exists():
        file = TensorFile(folder / SINGLE)
        return dict.fromkeys(file.entries, file), [folder / SINGLE]
    if not (folder / INDEX).exists():
        pickles = [name for name in PICKLES if (folder / name).exists()]
        hint = f"; loading {pickles[0]} can run code, so it is not read" if pickles else ""
        raise CheckpointError(f"it contains neither {SINGLE} nor {INDEX}{hint}")
    weight_map = read_object(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{INDEX} has no weight_map")
    places = cast(dict[str, object], weight_map)
    names = sorted({_shard_name(value) for value in places.values()})
    shards = {name: TensorFile(folder / name) for name in names}
    found: dict[str, TensorFile] = {}
    for shard in shards.values():
        for name in shard.entries:
            if places.get(name) != shard.name:
                raise CheckpointError(
                    f"{shard.name} holds {name!r}, which {INDEX} places in {places.get(name)!r}"
                )
            found[name] = shard
    if missing := sorted(places.keys() - found.keys()):
        raise CheckpointError(
            f"{places[missing[0]]} does not hold {missing[0]!r}, as {INDEX} says it does"
        )
    return found, [folder / name for name in names]


def _shard_name(value: object) -> str:
    """A name of a file in the same folder. Raises `CheckpointError` for any other."""
    if not isinstance(value, str) or not value.endswith(".safetensors"):
        raise CheckpointError(f"{INDEX} names {value!r}, which is no safetensors file")
    if PurePosixPath(value).name != value or "\\" in value or "\0" in value:
        raise CheckpointError(f"{INDEX} names {value!r}, which is outside of the folder")
    if any("\ud800" <= each <= "\udfff" for each in value):
        raise CheckpointError(f"{INDEX} names {value!r}, which has half a surrogate pair in it")
    return value
