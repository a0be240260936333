"""A space of numbered directions, such as hidden units: its names are seldom needed."""

from __future__ import annotations

from functools import cached_property

from tracr_lite.craft.bases import BasisDirection, Name, VectorSpaceWithBasis


class NumberedSpace(VectorSpaceWithBasis):
    """The directions `name:0` to `name:size-1`, made when they are asked for."""

    def __init__(self, name: Name, size: int):
        self._name, self._size = name, size

    @cached_property
    def basis(self) -> tuple[BasisDirection, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(BasisDirection(self._name, at) for at in range(self._size))

    @property
    def num_dims(self) -> int:
        return self._size
