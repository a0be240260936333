"""The headers of .bin files: which of the four formats it is, and what it claims to hold."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod

from tracr_lite.llama.config import SIZES, LlamaConfig
from tracr_lite.llama.errors import CannotStore, CheckpointError, ConfigError
from tracr_lite.llama.formats.layouts import (
    HEADER,
    MATRICES,
    QUANTIZED_FORMATS,
    V0_HEADER,
    Layout,
    layout,
)
from tracr_lite.llama.weights import layer_shapes

MAGIC = struct.pack("<I", 0x616B3432)  # on disk "24ka"
SHARED, GROUP, PADDING = 36, 37, 41  # offsets in a header of 256 bytes
INT32 = 1 << 31
OTHERS = {  # first bytes of files that are something else -> what they are
    b"GGUF": "a GGUF file of llama.cpp; convert from the folder it was made of",
    b"PK\x03\x04": "a zip archive, perhaps a .pt file; loading one can run code. Save the "
    "model as safetensors with the program that made it",
    b"\x80\x02": "a pickle; loading one can run code. Save the model as safetensors",
}


@dataclass(frozen=True)
class Header:
    """What the first bytes of a .bin file say."""

    format: str
    config: LlamaConfig
    group_size: int | None = None

    @property
    def layout(self) -> Layout:
        """Where the tensors lie."""
        return layout(self.format, self.config, self.group_size)


def read_header(head: bytes, size: int) -> Header:
    """Reads the first 256 bytes of a file of `size` bytes; the size has to fit exactly.

    **Raises:** `CheckpointError` with the reason.
    """
    if len(head) < V0_HEADER:
        raise CheckpointError(f"it has {size} bytes, which is less than any header")
    if kind := _other(head):
        raise CheckpointError(f"this is {kind}")
    try:
        header = _versioned(head) if head.startswith(MAGIC) else _v0(head)
    except ConfigError as error:
        raise CheckpointError(f"its header makes no sense: {error}{_hint(head)}") from error
    if size != (wanted := header.layout.size):
        less = (
            "is cut short" if size < wanted else "has bytes at the end that belong to nothing"
        )
        more = _hint(head) or _forgotten_classifier(header, size - wanted)
        raise CheckpointError(
            f"it has {size} bytes, but a {header.format} file with this header has {wanted}: "
            f"it {less}, or its header is damaged{more}"
        )
    return header


def _other(head: bytes) -> str | None:
    """Which kind of file it is instead.

    A v0 file of dim 640 begins like a pickle. The third byte tells them apart: it is zero in
    every dim below 65536, and never an operation of a pickle.
    """
    return next(
        (what for key, what in OTHERS.items() if head.startswith(key) and head[2]), None
    )


def _hint(head: bytes) -> str:
    """What else a file with nonsense in the place of a header may be."""
    (length,) = struct.unpack("<Q", head[:8])
    if head[8:9] == b"{" and length < 1 << 32:
        return ". (It looks like a safetensors file; give the folder with its config.json)"
    if head.startswith(MAGIC) and head[31:32] >= b"\x80":  # the sign of vocab_size
        return (
            ". (The exporter of llama2.c writes a negative vocab_size when it has written the "
            "same model as v0 before; export it again, alone)"
        )
    if head[:1] == b"{":
        return ". (It looks like JSON; give the folder it is in)"
    longest, score, first = struct.unpack("<Ifi", head[:12])
    if score == 0 and 0 < first <= longest < 1 << 16:
        return ". (It looks like a tokenizer.bin; name it with -z, beside the model)"
    (dim,) = struct.unpack(">i", head[:4])
    if not head.startswith(MAGIC) and 0 < dim < 1 << 16 and head[:2] == b"\0\0":
        return ". (The numbers make sense in big-endian order; convert it on such a machine)"
    return ""


def _forgotten_classifier(header: Header, rest: int) -> str:
    """What `rest` bytes behind a v0 file may be."""
    config = header.config
    if header.format != "v0" or rest != 4 * config.vocab_size * config.dim:
        return ""
    return (
        ". (The rest has the size of a classifier. The exporter of llama2.c claims a shared "
        "one when it writes the same model a second time; export it again, alone)"
    )


def _v0(head: bytes) -> Header:
    if head.startswith(MAGIC[::-1]):
        raise CheckpointError(
            "its numbers are in big-endian order; llama2.c's files are little-endian. Export "
            "it again on a little-endian machine"
        )
    *sizes, vocab, length = struct.unpack("<7i", head[:V0_HEADER])
    return Header("v0", _config([*sizes, abs(vocab), length], shared=vocab > 0))


def _config(sizes: list[int], shared: bool) -> LlamaConfig:
    return LlamaConfig(**dict(zip(SIZES, sizes, strict=True)), shared_classifier=shared)


def _versioned(head: bytes) -> Header:
    if len(head) < HEADER:
        raise CheckpointError(f"it is cut short: {len(head)} of {HEADER} bytes of header")
    version, *sizes = struct.unpack("<8i", head[4:SHARED])
    shared, group = struct.unpack("<Bi", head[SHARED:PADDING])
    if version not in (1, 2):
        raise CheckpointError(f"it is version {version} of the format; 1 and 2 are known")
    if shared not in (0, 1):
        raise CheckpointError(f"its classifier flag (byte {SHARED}) is {shared}, not 0 or 1")
    if any(head[PADDING:HEADER]):
        raise CheckpointError(f"bytes {PADDING} to {HEADER - 1} of its header are not zero")
    config = _config(sizes, shared == 1)
    if version == 1 and group == 0:
        return Header("v1", config)
    _check_groups(config, group)
    if version == 1 and not shared:
        raise CheckpointError(
            "it is a historical v1 file (Q8_0) that claims a classifier of its own, which that "
            "format never contains; make a v2 file from the original model"
        )
    return Header("v2" if version == 2 else "v1-q80", config, group)


def _check_groups(config: LlamaConfig, group: int) -> None:
    if group < 1:
        raise CheckpointError(f"its group size (byte {GROUP}) is {group}; at least 1 is needed")
    for name, shape in layer_shapes(config).items():
        if name in MATRICES and prod(shape) % group:
            raise CheckpointError(
                f"its group size {group} does not divide the {prod(shape)} numbers of {name}"
            )


def write_header(header: Header) -> bytes:
    """The first bytes of a file. Raises `CannotStore` if a number does not fit."""
    config = header.config
    sizes = [int(getattr(config, name)) for name in SIZES]
    for name, value in zip(SIZES, sizes, strict=True):
        if value >= INT32:
            raise CannotStore(f"{name} is {value}; a .bin file has 32 bits for it, with a sign")
    if header.format == "v0":
        sizes[5] *= 1 if config.shared_classifier else -1
        return struct.pack("<7i", *sizes)
    version = 2 if header.format == "v2" else 1
    group = header.group_size if header.format in QUANTIZED_FORMATS else 0
    start = MAGIC + struct.pack("<8iBi", version, *sizes, config.shared_classifier, group)
    return start.ljust(HEADER, b"\0")
