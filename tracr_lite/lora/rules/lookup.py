"""Reading rows, columns or layers: slice, dynamic_slice, split, gather.

A layer of a stack stays low-rank. A lookup of rows, as in an embedding, gives activations: the
rows of `w` plus the rows of one factor times the other.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (jax is typed in part only)

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from tracr_lite.lora.implicit import RANK, Implicit
from tracr_lite.lora.interpreter import Equation, rule
from tracr_lite.lora.letters import Letters, arrange


@rule("slice")
def slice_(equation: Equation, x: Implicit) -> Any:
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"] or (1,) * len(starts)
    return _sliced(x, equation.bind(x.w), starts, limits, strides)


def _sliced(
    x: Implicit, w: Any, starts: Sequence[int], limits: Sequence[int], strides: Sequence[int]
) -> Any:
    def change(factor: Any, letters: Letters) -> tuple[Any, Letters]:
        cut = tuple(
            slice(None) if n == RANK else slice(starts[n], limits[n], strides[n])
            for n in letters
        )
        return factor[cut], letters

    return _cut(x.along(change).replace(w=w), x.shape)


def _cut(x: Implicit, before: tuple[int, ...]) -> Any:
    """Marks a weight that has lost rows or columns; a single row or column is dense."""
    lost = [i for i in x.exclusive() if i != RANK and x.shape[i] != before[i]]
    if any(x.shape[i] <= 1 for i in lost):
        return x.dense()
    return x.replace(part=True) if lost else x


@rule("reduce_sum")
def reduce_sum(equation: Equation, x: Implicit) -> Any:
    """Over rows or columns: that of one factor. Layers are laid side by side in the rank."""
    axes: tuple[int, ...] = equation.params["axes"]
    shared = [i for i in axes if i in x.first_axes and i in x.second_axes]
    times = math.prod(n for i, n in enumerate(x.shape) if i in axes and i not in x.exclusive())
    place = {n: i for i, n in enumerate(n for n in range(len(x.shape)) if n not in axes)}

    def change(factor: Any, letters: Letters) -> tuple[Any, Letters]:
        gone = tuple(i for i, n in enumerate(letters) if n in axes and n not in shared)
        factor, letters = (
            factor.sum(gone),
            tuple(n for i, n in enumerate(letters) if i not in gone),
        )
        kept = [n for n in letters if n in place]
        factor = arrange(factor, letters, (*kept, *shared, RANK), {})
        factor = factor.reshape(*factor.shape[: len(kept)], -1)
        return factor, (*(place[n] for n in kept), RANK)

    summed = x.along(change).replace(w=equation.bind(x.w), alpha=times * x.alpha)
    return summed.dense() if {*axes} & x.exclusive() else summed


@rule("rev")
def rev(equation: Equation, x: Implicit) -> Implicit:
    dimensions = equation.params["dimensions"]

    def change(factor: Any, letters: Letters) -> tuple[Any, Letters]:
        return lax.rev(factor, [i for i, n in enumerate(letters) if n in dimensions]), letters

    return x.along(change).replace(w=equation.bind(x.w))


@rule("split")
def split(equation: Equation, x: Implicit) -> list[Any]:
    axis, start, parts = equation.params["axis"], 0, list[Any]()
    for w in equation.run(x.w):
        starts, limits = [0] * len(x.shape), list(x.shape)
        starts[axis], limits[axis] = start, start + w.shape[axis]
        parts.append(_sliced(x, w, starts, limits, [1] * len(starts)))
        start = limits[axis]
    return parts


@rule("dynamic_slice")
def dynamic_slice(equation: Equation, x: Any, *starts: Any) -> Any:
    if not isinstance(x, Implicit) or any(isinstance(n, Implicit) for n in starts):
        return NotImplemented
    sizes = equation.params["slice_sizes"]

    def change(factor: Any, letters: Letters) -> tuple[Any, Letters]:
        rank = x.rank
        where = [jnp.zeros_like(starts[0]) if n == RANK else starts[n] for n in letters]
        size = [rank if n == RANK else sizes[n] for n in letters]
        return lax.dynamic_slice(factor, where, size), letters

    return _cut(x.along(change).replace(w=equation.bind(x.w, *starts)), x.shape)


@rule("gather")
def gather(equation: Equation, x: Any, indices: Any) -> Any:
    """Each factor is read at the indices of its own axes.

    An index that leaves the array fills a row of `w`, and zeroes the row of the factor.
    """
    if not isinstance(x, Implicit) or isinstance(indices, Implicit):
        return NotImplemented
    reading = _Reading(equation.params, indices, len(x.shape))
    fills = equation.params["mode"] == lax.GatherScatterMode.FILL_OR_DROP
    if fills and not reading.indexed <= {*x.first_axes, *x.second_axes}:
        return NotImplemented  # an axis that no factor has can still be left
    read = x.along(reading.of).replace(w=equation.bind(x.w, indices))
    sizes = equation.params["slice_sizes"]
    cut = {i for i, n in enumerate(x.shape) if sizes[i] != n} | reading.gone
    return read.dense() if cut & x.exclusive() else read


class _Reading:
    """A gather, for the factors of what it reads."""

    def __init__(self, params: Any, indices: Any, ndim: int):
        numbers = params["dimension_numbers"]
        self.params, self.indices = params, indices
        self.indexed = {*numbers.start_index_map}
        self.batching = dict(
            zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
        )
        self.gone = {*numbers.collapsed_slice_dims, *self.batching}
        result = range(indices.ndim - 1 + len(numbers.offset_dims))
        self.batch = [i for i in result if i not in numbers.offset_dims]
        kept = [i for i in range(ndim) if i not in self.gone]
        self.place = dict(zip(kept, numbers.offset_dims, strict=True))
        self.place |= {i: self.batch[at] for i, at in self.batching.items()}

    def of(self, factor: Any, letters: Letters) -> tuple[Any, Letters]:
        """A factor at the indices, and its letters in the result."""
        if not self.indexed & {*letters}:
            return factor, tuple(n if n == RANK else self.place[n] for n in letters)
        axes = (*sorted(n for n in letters if n != RANK), RANK)
        factor = arrange(factor, letters, axes, {})
        numbers = self.params["dimension_numbers"]
        columns = [i for i, n in enumerate(numbers.start_index_map) if n in axes]
        offset = [n for n in axes if n not in self.gone]
        batch = len(self.batch)
        own = lax.GatherDimensionNumbers(
            offset_dims=tuple(range(batch, batch + len(offset))),
            collapsed_slice_dims=_places(axes, numbers.collapsed_slice_dims),
            start_index_map=tuple(axes.index(numbers.start_index_map[i]) for i in columns),
            operand_batching_dims=_places(axes, self.batching),
            start_indices_batching_dims=tuple(
                at for n, at in self.batching.items() if n in axes
            ),
        )
        sizes = (*(self.params["slice_sizes"][n] for n in axes[:-1]), factor.shape[-1])
        mode = self.params["mode"]
        fill = 0 if mode == lax.GatherScatterMode.FILL_OR_DROP else None
        index = self.indices[..., jnp.array(columns)]
        read = lax.gather(factor, index, own, sizes, mode=mode, fill_value=fill)
        names = (RANK if n == RANK else self.place[n] for n in offset)
        return read, (*self.batch, *names)


def _places(axes: Letters, wanted: Iterable[int]) -> Letters:
    return tuple(axes.index(n) for n in wanted if n in axes)
