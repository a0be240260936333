"""Where each tensor lies in a .bin file of llama2.c, for all four formats.

    v0      28 bytes of header, float32
    v1      256 bytes of header, float32, norms first
    v2      256 bytes of header, norms in float32, matrices in Q8_0: for each layer the
            integers of a matrix, then its scales
    v1-q80  historical: as v2, but first the integers of all matrices, then all scales;
            the classifier is always shared

All numbers are little-endian. Nothing is aligned. Sizes are Python integers: they cannot
overflow. Source: llama2.c, export.py and run.c (350e04f), and its history for v1-q80.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.weights import NORMS, WHOLE, Shape, layer_shapes

V0_HEADER, HEADER = 28, 256  # bytes
ROPE = ("rope_cos", "rope_sin")  # (seq_len, head_size / 2), in v0 only
QUANTIZED_FORMATS = ("v2", "v1-q80")
BIN_FORMATS = ("v0", "v1", *QUANTIZED_FORMATS)
MATRICES = ("token_embedding", "wq", "wk", "wv", "wo", "w1", "w2", "w3", "classifier")
V0_ORDER = (
    *("token_embedding", "attention_norm", "wq", "wk", "wv", "wo", "ffn_norm"),
    *("w1", "w2", "w3", "final_norm", *ROPE, "classifier"),
)


@dataclass(frozen=True)
class Run:
    """Layer i starts at byte `offset + i * stride`."""

    offset: int
    stride: int


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: its numbers, and its scales if it is quantized."""

    shape: Shape  # of one layer
    layers: int | None  # None: outside of layers
    numbers: Run
    scales: Run | None = None


@dataclass(frozen=True)
class Layout:
    """The places of all tensors, in the order of the file, and its exact size in bytes."""

    places: dict[str, Place]
    size: int


def layout(format: str, config: LlamaConfig, group_size: int | None) -> Layout:
    """The layout of a format. `group_size`: for the quantized ones, dividing every matrix."""
    parts = _Parts(config)
    if format == "v0":
        return parts.floats(V0_HEADER, V0_ORDER)
    if format == "v1":
        return parts.floats(HEADER, (*NORMS, *MATRICES))
    assert group_size is not None
    norms = parts.floats(HEADER, NORMS)
    place = parts.interleaved if format == "v2" else parts.apart
    matrices = place(norms.size, group_size)
    return Layout(norms.places | matrices.places, matrices.size)


class _Parts:
    """Puts the tensors of one configuration one after the other."""

    def __init__(self, config: LlamaConfig):
        table = (config.seq_len, config.head_size // 2)
        self.shapes = layer_shapes(config) | dict.fromkeys(ROPE, table)
        self.layers = config.n_layers

    def floats(self, start: int, names: Sequence[str]) -> Layout:
        """All in float32."""
        places: dict[str, Place] = {}
        start = self._runs(places, start, names, lambda count: 4 * count)
        return Layout(places, start)

    def interleaved(self, start: int, group: int) -> Layout:
        """Integers and scales by turns."""
        places: dict[str, Place] = {}
        size = self._runs(places, start, MATRICES, lambda n: n + 4 * (n // group))
        return Layout({name: _scaled(place) for name, place in places.items()}, size)

    def apart(self, start: int, group: int) -> Layout:
        """All integers, then all scales."""
        values: dict[str, Place] = {}
        scales: dict[str, Place] = {}
        start = self._runs(values, start, MATRICES, lambda count: count)
        start = self._runs(scales, start, MATRICES, lambda count: 4 * (count // group))
        places = {
            name: Place(place.shape, place.layers, place.numbers, scales[name].numbers)
            for name, place in values.items()
        }
        return Layout(places, start)

    def _runs(
        self,
        into: dict[str, Place],
        start: int,
        names: Sequence[str],
        size: Callable[[int], int],
    ) -> int:
        for name in names:
            if (shape := self.shapes.get(name)) is None:  # a shared classifier
                continue
            layers = None if name in (*WHOLE, *ROPE) else self.layers
            stride = size(prod(shape))
            into[name] = Place(shape, layers, Run(start, stride))
            start += stride * (layers or 1)
        return start


def _scaled(place: Place) -> Place:
    """With the scales of each layer right after its integers."""
    first = place.numbers.offset + prod(place.shape)
    return Place(place.shape, place.layers, place.numbers, Run(first, place.numbers.stride))
