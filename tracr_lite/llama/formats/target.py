"""What a model is to be written as, and whether the format has a place for all of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType

from tracr_lite.llama.config import NORM_EPS, ROPE_THETA, LlamaConfig
from tracr_lite.llama.errors import CannotStore
from tracr_lite.llama.formats.headers import Header, write_header
from tracr_lite.llama.formats.layouts import BIN_FORMATS, QUANTIZED_FORMATS
from tracr_lite.llama.formats.quantize import GROUP_SIZE, choose_group_size
from tracr_lite.llama.weights import FLOATS

FORMATS = (*BIN_FORMATS, "hf")
DTYPES = {dtype.name: dtype for dtype in FLOATS}
SHORT = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
SHARD_BYTES = 5_000_000_000  # what transformers long used; every file system holds it


@dataclass(frozen=True)
class Target:
    """A format, and what can be chosen about it; None chooses what loses least.

    **Arguments:**
    - `format`: one of `FORMATS`.
    - `dtype`: for "hf": "float32", "float16" or "bfloat16". By default each tensor keeps its
      own; quantized ones become float32.
    - `group_size`: for "v2" and "v1-q80": where the back-off starts. By default the groups of
      a quantized source are kept, others start at 64.
    - `shard_bytes`: for "hf": most bytes of tensors in a file.

    **Raises:** `CannotStore` for a choice that the format does not have.
    """

    format: str
    dtype: str | None = None
    group_size: int | None = None
    shard_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise CannotStore(f"format {self.format!r} is not one of {', '.join(FORMATS)}")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise CannotStore(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")
        for name in ("group_size", "shard_bytes"):
            if not isinstance(value := getattr(self, name), (int, NoneType)):
                raise CannotStore(f"{name} is {value!r}, not an integer")
        if self.shard_bytes is not None and self.shard_bytes < 1:
            raise CannotStore(f"a shard of {self.shard_bytes} bytes holds nothing")
        for name in ("dtype", "shard_bytes"):
            if getattr(self, name) is not None and self.format != "hf":
                raise CannotStore(f"{name} can be chosen for hf only; {self._fixed}")
        if self.group_size is not None and self.format not in QUANTIZED_FORMATS:
            raise CannotStore(f"{self.format} has no groups; v2 and v1-q80 have")

    @property
    def _fixed(self) -> str:
        kind = "Q8_0" if self.format in QUANTIZED_FORMATS else "float32"
        return f"{self.format} is one file of {kind}"


def bin_header(config: LlamaConfig, target: Target, source_group: int | None) -> Header:
    """The header of a .bin file for a model.

    **Raises:** `CannotStore` that lists everything the format has no place for.
    """
    problems = _lost(config, target.format)
    header, group = None, None
    try:
        if target.format in QUANTIZED_FORMATS:
            given = (each for each in (target.group_size, source_group) if each is not None)
            group = choose_group_size(config, next(given, GROUP_SIZE))
        header = Header(target.format, config, group)
        write_header(header)
    except CannotStore as error:
        problems.append(str(error))
    if problems or header is None:
        raise CannotStore(f"{target.format} cannot store this model: " + "; ".join(problems))
    return header


def _lost(config: LlamaConfig, format: str) -> list[str]:
    """What no header of this format has a field for."""
    found: list[str] = []
    for name, fixed in (("rope_theta", ROPE_THETA), ("norm_eps", NORM_EPS)):
        if (value := getattr(config, name)) != fixed:
            found.append(
                f"{name} is {value:g}; no .bin file has a place for it, and programs that run "
                f"one compute with {fixed:g}"
            )
    if format == "v1-q80" and not config.shared_classifier:
        found.append("the classifier is not shared, and this format always drops it; v2 has it")
    return found
