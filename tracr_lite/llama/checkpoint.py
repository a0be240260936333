"""Reading a checkpoint of any known format: mapped, checked, and under one set of names."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import CheckpointError, LlamaError
from tracr_lite.llama.formats.headers import Header, read_header
from tracr_lite.llama.formats.hf_config import read_config
from tracr_lite.llama.formats.hf_folder import CONFIG, open_folder
from tracr_lite.llama.formats.json_files import JsonObject, read_object
from tracr_lite.llama.formats.layouts import HEADER, ROPE
from tracr_lite.llama.formats.mapped import Mapped
from tracr_lite.llama.formats.numbers import Tick, check_tensor, no_tick, where
from tracr_lite.llama.formats.rope import largest_difference
from tracr_lite.llama.formats.source import BinSource, Source
from tracr_lite.llama.weights import LlamaWeights, Quantized, each_tensor, shapes

ROPE_TOLERANCE = 1e-3  # beyond what ways of computing cos and sin in float32 differ by


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model as it lies in a file or folder. Nothing is read before it is used.

    **Arguments:**
    - `format`: "v0", "v1", "v2", "v1-q80" or "hf".
    - `source`: gives the tensors one by one; `weights` has all of them.
    - `paths`: the files that hold tensors.
    - `group_size`: of a quantized format.
    - `rope_tables`: cos and sin of a v0 file, (seq_len, head_size / 2) each. Programs compute
      them anew; they are kept for writing v0 again.
    - `hf_config`: the config.json of a folder.
    - `notes`: what a user should know, one sentence each.
    """

    config: LlamaConfig
    format: str
    source: Source
    paths: tuple[Path, ...]
    group_size: int | None = None
    rope_tables: tuple[np.ndarray, np.ndarray] | None = None
    hf_config: JsonObject | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def weights(self) -> LlamaWeights:
        """All tensors, stacked over layers: views of a .bin file, copies for a folder."""
        return LlamaWeights(**{name: self.source.stacked(name) for name in shapes(self.config)})

    def check_numbers(self, tick: Tick = no_tick) -> None:
        """Reads all numbers once. Raises `WeightsError` at the first that is not finite."""
        for name, layer in each_tensor(self.config):
            check_tensor(name, layer, self.source.layer(name, layer), tick)
            self.source.release()


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Opens a checkpoint; the format is found out.

    Sizes are compared with those of the files, as integers of any length, before anything is
    mapped or allocated. The scales of quantized files are read, as a version number that is
    wrong shows only there. Other numbers are not: see `Checkpoint.check_numbers`.

    **Arguments:** `path`: a .bin file, or a Hugging Face folder with safetensors.
    **Raises:** `CheckpointError`: path and reason.
    """
    path = Path(path)
    with _about(path):
        if path.is_dir():
            return _load_folder(path)
        if not path.exists():
            raise CheckpointError("it does not exist")
        if not path.is_file():
            raise CheckpointError("it is neither a file nor a folder")
        return _load_bin(path)


@contextmanager
def _about(path: Path) -> Generator[None]:
    """Says of which file an error is."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except LlamaError as error:
        raise CheckpointError(f"cannot read {str(path)!r}: {error}") from error


def _load_bin(path: Path) -> Checkpoint:
    file = Mapped(path)
    header = read_header(file.head(HEADER), file.size)
    source = BinSource(file, header)
    tables, notes = None, ()
    if header.format == "v0":
        cos, sin = (source.stacked(name) for name in ROPE)
        tables = (np.asarray(cos), np.asarray(sin))
        notes = _rope_notes(header.config, tables)
    _check_scales(header, source)
    return Checkpoint(
        header.config, header.format, source, (path,), header.group_size, tables, None, notes
    )


def _rope_notes(config: LlamaConfig, tables: tuple[np.ndarray, np.ndarray]) -> tuple[str, ...]:
    worst = largest_difference(config, tables)
    if worst <= ROPE_TOLERANCE:
        return ()
    return (
        f"the rotary tables in this file differ by up to {worst:.3g} from those of rope_theta "
        f"{config.rope_theta:g}; they are not used, as run.c does not use them either",
    )


def _check_scales(header: Header, source: BinSource) -> None:
    for name in header.layout.places:
        if name in ROPE or not isinstance(tensor := source.stacked(name), Quantized):
            continue
        for layer, scales in enumerate(np.atleast_2d(tensor.scales)):
            bad = ~(np.isfinite(scales) & (scales >= 0))
            if bad.any():
                raise CheckpointError(
                    f"{where(name, layer)}: a scale is {scales[bad][0]:g}. The file is "
                    "damaged, or its version number is wrong: v2 and v1-q80 have the same size"
                )


def _load_folder(folder: Path) -> Checkpoint:
    found = read_object(folder / CONFIG)
    config, notes = read_config(found)
    source, paths = open_folder(folder, config)
    return Checkpoint(config, "hf", source, tuple(paths), hf_config=found, notes=notes)
