"""What a model is read from: one tensor of one layer at a time, or all layers together."""

from __future__ import annotations

from math import prod
from typing import Protocol

import numpy as np

from tracr_lite.llama.formats.headers import Header
from tracr_lite.llama.formats.layouts import Run
from tracr_lite.llama.formats.mapped import Mapped
from tracr_lite.llama.weights import WHOLE, LlamaWeights, Quantized, Shape, Tensor

F32, INT8 = np.dtype("<f4"), np.dtype(np.int8)


class Source(Protocol):
    """Gives tensors by the names of `LlamaWeights`."""

    def layer(self, name: str, index: int) -> Tensor:
        """The tensor of one layer; `index` is 0 for those outside of layers."""
        ...

    def stacked(self, name: str) -> Tensor:
        """The tensor of all layers."""
        ...

    def dtype(self, name: str, index: int) -> np.dtype[np.generic] | None:
        """What the numbers of a tensor are; None if they are quantized."""
        ...

    def release(self) -> None:
        """Says that what was given so far has been used: pages of files may be dropped."""


class BinSource:
    """The tensors of a .bin file, as read-only views of it."""

    def __init__(self, file: Mapped, header: Header):
        self._file, self._group = file, header.group_size
        self._places = header.layout.places

    def layer(self, name: str, index: int) -> Tensor:
        """As in `Source`."""
        tensor = self.stacked(name)
        return tensor if self._places[name].layers is None else tensor[index]

    def stacked(self, name: str) -> Tensor:
        """As in `Source`."""
        place = self._places[name]
        if place.scales is None or self._group is None:
            return self._view(F32, place.shape, place.layers, place.numbers)
        values = self._view(INT8, place.shape, place.layers, place.numbers)
        groups = (prod(place.shape) // self._group,)
        scales = self._view(F32, groups, place.layers, place.scales)
        return Quantized(values, scales, self._group)

    def dtype(self, name: str, index: int) -> np.dtype[np.generic] | None:
        """As in `Source`."""
        return F32 if self._places[name].scales is None else None

    def _view(
        self, dtype: np.dtype[np.generic], shape: Shape, layers: int | None, run: Run
    ) -> np.ndarray:
        if layers is None:
            return self._file.view(dtype, shape, run.offset)
        return self._file.view(dtype, (layers, *shape), run.offset, run.stride)

    def release(self) -> None:
        """As in `Source`."""
        self._file.release()


class ArraySource:
    """Tensors in memory."""

    def __init__(self, weights: LlamaWeights):
        self._tensors = weights.tensors()

    def layer(self, name: str, index: int) -> Tensor:
        """As in `Source`."""
        tensor = self._tensors[name]
        return tensor if name in WHOLE else tensor[index]

    def stacked(self, name: str) -> Tensor:
        """As in `Source`."""
        return self._tensors[name]

    def dtype(self, name: str, index: int) -> np.dtype[np.generic] | None:
        """As in `Source`."""
        tensor = self._tensors[name]
        return None if isinstance(tensor, Quantized) else tensor.dtype

    def release(self) -> None:
        """As in `Source`."""
