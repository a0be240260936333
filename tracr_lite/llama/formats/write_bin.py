"""Writes a .bin file, one chunk of a tensor after the other, in constant memory."""

from __future__ import annotations

from math import prod

import numpy as np

from tracr_lite.llama.errors import CannotStore, WeightsError
from tracr_lite.llama.formats.aside import Writer
from tracr_lite.llama.formats.headers import Header, write_header
from tracr_lite.llama.formats.layouts import ROPE, Place
from tracr_lite.llama.formats.numbers import Tick, flat, float_chunks, ranges, where
from tracr_lite.llama.formats.quantize import dequantize_groups, quantize_groups
from tracr_lite.llama.formats.rope import rope_tables
from tracr_lite.llama.formats.source import F32, Source
from tracr_lite.llama.weights import Quantized, Tensor

Errors = dict[str, float]  # name of a tensor -> largest |w - what was written for it|
Tables = tuple[np.ndarray, np.ndarray]


def write_bin(
    out: Writer, header: Header, source: Source, tables: Tables | None, tick: Tick
) -> Errors:
    """Writes all bytes of a file whose size is that of the header's layout.

    **Arguments:** `tables`: cos and sin for v0; computed if None.
    **Returns:** the errors of the tensors that had to be quantized.
    **Raises:** `WeightsError` if a weight is not finite; `CannotStore` if it is so large that
    integer times scale is not.
    """
    out.write_at(0, write_header(header))
    errors: Errors = {}
    for name, place in header.layout.places.items():
        if name in ROPE:
            _write_table(out, header, place, name, tables, tick)
            continue
        for layer in range(place.layers or 1):
            tensor = source.layer(name, layer)
            if place.scales is None:
                _write_floats(out, place, name, layer, tensor, tick)
            elif isinstance(tensor, Quantized) and tensor.group_size == header.group_size:
                _copy(out, place, name, layer, tensor, tick)
            else:
                error = _quantize(out, header, name, layer, tensor, tick)
                errors[name] = max(errors.get(name, 0.0), error)
            source.release()
    return errors


def _write_floats(
    out: Writer, place: Place, name: str, layer: int, tensor: Tensor, tick: Tick
) -> None:
    start = place.numbers.offset + layer * place.numbers.stride
    for first, numbers in float_chunks(name, layer, tensor):
        out.write_at(start + 4 * first, _bytes(numbers))
        tick(numbers.size)


def _quantize(
    out: Writer, header: Header, name: str, layer: int, tensor: Tensor, tick: Tick
) -> float:
    """Writes integers and scales, and returns the largest error."""
    group, place, worst = header.group_size, header.layout.places[name], 0.0
    assert group is not None
    for first, numbers in float_chunks(name, layer, tensor, group):
        values, scales = quantize_groups(numbers, group)
        _write_groups(out, place, layer, first, values, scales)
        with np.errstate(over="ignore"):  # said in words below
            gaps = np.abs(dequantize_groups(values, scales) - numbers)
        if not np.isfinite(gaps).all():
            raise CannotStore(f"{where(name, layer)}: {np.abs(numbers).max():g} is too large")
        worst = max(worst, float(gaps.max()))
        tick(numbers.size)
    return worst


def _copy(
    out: Writer, place: Place, name: str, layer: int, tensor: Quantized, tick: Tick
) -> None:
    """Writes integers and scales as they are: quantizing again could change them."""
    values, scales, group = flat(tensor.values), flat(tensor.scales), tensor.group_size
    for start, stop in ranges(values.size, group):
        chunk = scales[start // group : stop // group]
        if not np.isfinite(chunk).all():
            raise WeightsError(f"{where(name, layer)}: a scale is not finite")
        _write_groups(out, place, layer, start, values[start:stop], chunk)
        tick(stop - start)


def _write_groups(
    out: Writer, place: Place, layer: int, first: int, values: np.ndarray, scales: np.ndarray
) -> None:
    """Some groups of a layer, of which `first` is the index of the first number."""
    assert place.scales is not None
    group = values.size // scales.size
    out.write_at(place.numbers.offset + layer * place.numbers.stride + first, _bytes(values))
    start = place.scales.offset + layer * place.scales.stride
    out.write_at(start + 4 * (first // group), _bytes(scales))


def _write_table(
    out: Writer, header: Header, place: Place, name: str, tables: Tables | None, tick: Tick
) -> None:
    which, width = ROPE.index(name), place.shape[1]
    for first, last in ranges(prod(place.shape), width):
        start, stop = first // width, last // width
        found = tables or rope_tables(header.config, start, stop)
        rows = found[which][start:stop] if tables else found[which]
        out.write_at(place.numbers.offset + 4 * first, _bytes(rows))
        tick(last - first)


def _bytes(array: np.ndarray) -> memoryview:
    """The bytes of float32 or int8 numbers, little-endian."""
    wide = np.ascontiguousarray(array, dtype=F32 if array.dtype != np.int8 else None)
    return wide.reshape(-1).view(np.uint8).data
