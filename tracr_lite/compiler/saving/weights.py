"""Parameters as one safetensors file and back, bit by bit.

    uint64 n | n bytes of JSON: name -> dtype, shape, data_offsets | float32 numbers

Names are those of Haiku, `module/leaf`, in alphabetical order: the bytes that the library
safetensors itself writes. Every size in a file is compared with the length of the file before
it is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from math import prod
from typing import Any, cast

import numpy as np

from tracr_lite.compiler.forward import Shape
from tracr_lite.compiler.saving.fields import Fields, counts, shown
from tracr_lite.compiler.saving.json_text import parse_object
from tracr_lite.errors import SavedModelError
from tracr_lite.transformer.shapes import param_shapes

Params = dict[str, dict[str, np.ndarray]]
Sizes = tuple[int, ...]

F32 = np.dtype("<f4")
MAX_HEADER = 100_000_000  # bytes that readers of safetensors accept
_ENTRY = ("dtype", "shape", "data_offsets")


def tensors_of(params: Any, shape: Shape) -> dict[str, np.ndarray]:
    """The arrays of a model by their names in the file, in its order.

    **Raises:** `SavedModelError` unless they are finite float32 arrays of the right shapes.
    """
    found: dict[str, np.ndarray] = {}
    for module, group in _items(params, "params"):
        for leaf, array in _items(group, f"params[{module!r}]"):
            found[f"{module}/{leaf}"] = _read(f"{module}/{leaf}", array)
    for name, array in found.items():
        if array.dtype.kind != "f" or array.dtype.itemsize != 4:
            raise SavedModelError(
                f"{name} is of dtype {array.dtype}; a saved model holds float32 only; convert "
                "it first"
            )
    _check_shapes({name: array.shape for name, array in found.items()}, shape)
    for name, array in found.items():
        _check_finite(name, array)
    return {name: np.ascontiguousarray(found[name], F32) for name in sorted(found)}


def _read(name: str, array: Any) -> np.ndarray:
    if isinstance(array, np.ma.MaskedArray):
        raise SavedModelError(f"{name} is a masked array; fill its gaps first")
    try:
        return np.asarray(array)
    except RuntimeError as error:  # of JAX
        raise SavedModelError(f"{name} cannot be read: {error}") from error


def header_of(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The bytes before the data of the tensors."""
    entries: dict[str, Any] = {}
    begin = 0
    for name, array in tensors.items():
        end = begin + array.nbytes
        entries[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > MAX_HEADER:
        raise SavedModelError(f"the names of its {len(entries)} arrays take {len(text)} bytes")
    text = text.ljust(-(-len(text) // 8) * 8)
    return len(text).to_bytes(8, "little") + text


def largest_file(shape: Shape) -> int:
    """Bytes that a file of weights of this shape cannot exceed."""
    config = shape.config
    none, one = (param_shapes(replace(config, num_layers=n), shape.d_model) for n in (0, 1))
    per_layer = _numbers(one) - _numbers(none)
    embedded = (shape.vocab_size + shape.positions) * shape.d_model
    numbers = _numbers(none) + config.num_layers * per_layer + embedded
    return 8 + MAX_HEADER + 4 * numbers


def _numbers(shapes: Mapping[str, Mapping[str, Sizes]]) -> int:
    return sum(prod(sizes) for group in shapes.values() for sizes in group.values())


def params_of(data: np.ndarray, shape: Shape) -> Params:
    """The parameters in the bytes of a file, as read-only views.

    **Arguments:** `data`: uint8, [bytes], read-only.
    **Raises:** `SavedModelError` if they are not those of a model of this shape, or not finite.
    """
    entries, numbers = _parse(data)
    _check_shapes({name: sizes for name, (sizes, _) in entries.items()}, shape)
    finite = _is_finite(numbers)
    params: Params = {}
    for module, group in shape.param_shapes.items():
        params[module] = {}
        for leaf in group:
            sizes, begin = entries[f"{module}/{leaf}"]
            array = numbers[begin : begin + prod(sizes)].reshape(sizes)
            if not finite:
                _check_finite(f"{module}/{leaf}", array)
            params[module][leaf] = array
    return params


def _parse(data: np.ndarray) -> tuple[dict[str, tuple[Sizes, int]], np.ndarray]:
    """Shape and first number of each tensor, and all numbers."""
    if len(data) < 8:
        raise SavedModelError(f"it has {len(data)} bytes, which is less than any header")
    length = int.from_bytes(data[:8].tobytes(), "little")
    if length > min(MAX_HEADER, len(data) - 8):
        raise SavedModelError(
            f"it claims a header of {length} bytes, and has {len(data)} in all; it is no "
            "safetensors file"
        )
    found = parse_object(data[8 : 8 + length].tobytes())
    found.pop("__metadata__", None)
    room = len(data) - 8 - length
    placed = [(name, *_entry(found[name], shown(name), room)) for name in found]
    reached = 0
    entries: dict[str, tuple[Sizes, int]] = {}
    for name, sizes, begin, end in sorted(placed, key=lambda each: each[2:]):
        if begin != reached:
            raise SavedModelError(
                f"{shown(name)} lies at bytes {begin} to {end}, where byte {reached} should "
                "come next: tensors overlap, or leave a gap"
            )
        entries[name] = sizes, begin // 4
        reached = end
    if reached != room:
        raise SavedModelError(f"its tensors take {reached} bytes, but there are {room}")
    numbers = data[8 + length :]
    if length % 4:  # no writer of today leaves it unaligned
        numbers = numbers.copy()
        numbers.flags.writeable = False
    return entries, numbers.view(F32)


def _entry(found: object, name: str, room: int) -> tuple[Sizes, int, int]:
    entry = Fields(found, name, _ENTRY)
    if entry.raw("dtype") != "F32":
        raise SavedModelError(f"{name} is of dtype {shown(entry.raw('dtype'))}; it must be F32")
    offsets = entry.counts("data_offsets", room)
    sizes = counts(entry.items("shape")[:9], entry.path("shape"), room)
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise SavedModelError(f"{name}.data_offsets is {shown(list(offsets))}")
    if len(sizes) > 8 or prod(sizes) * 4 != offsets[1] - offsets[0]:
        raise SavedModelError(
            f"{name} has {offsets[1] - offsets[0]} bytes, which do not fit its shape "
            f"{shown(list(sizes))}"
        )
    return sizes, *offsets


def _check_shapes(found: Mapping[str, Sizes], shape: Shape) -> None:
    layers = shape.config.num_layers
    if layers > len(found):  # so that no list grows beyond what is there
        raise SavedModelError(f"{len(found)} arrays are too few for {layers} layers")
    wanted = {
        f"{module}/{leaf}": sizes
        for module, group in shape.param_shapes.items()
        for leaf, sizes in group.items()
    }
    if missing := [name for name in wanted if name not in found]:
        raise SavedModelError(f"the array {_some(missing)} is missing")
    if unknown := [name for name in found if name not in wanted]:
        raise SavedModelError(f"the array {_some(unknown)} is not one of this model")
    for name, sizes in found.items():
        if sizes != wanted[name]:
            raise SavedModelError(
                f"{name} has the shape {list(sizes)}; the configuration asks for "
                f"{list(wanted[name])}"
            )


def _some(names: list[str]) -> str:
    more = f" (and {len(names) - 3} more)" if len(names) > 3 else ""
    return ", ".join(map(shown, islice(names, 3))) + more


def _is_finite(array: np.ndarray) -> bool:
    """Without a temporary array: NaN and infinities survive into min and max."""
    return array.size == 0 or bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _check_finite(name: str, array: np.ndarray) -> None:
    if not _is_finite(array):
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise SavedModelError(
            f"{name} holds {array[at]} at {list(at)}; the weights of a model are finite numbers"
        )


def _items(group: object, where: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(group, Mapping):
        raise SavedModelError(f"{where} is no mapping of names to arrays")
    yield from cast("Mapping[str, Any]", group).items()
