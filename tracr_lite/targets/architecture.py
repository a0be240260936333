"""What assembling asks of an architecture: sizes, tensors and a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets.ballast import Ballast
from tracr_lite.targets.blocks import HeadPart, Unit
from tracr_lite.targets.placing import PlacedHead, PlacedLayer, Shape
from tracr_lite.targets.rows import ONE_COLUMN, Row
from tracr_lite.targets.stock_model import Architecture as Name
from tracr_lite.targets.stock_model import StockVocabulary
from tracr_lite.targets.traits import Traits

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Frame:
    """What every matrix is written in.

    **Arguments:**
    - `place`: of each column; `bos`: the column of BOS.
    - `layers`: what each layer computes; `hidden`: neurons of the widest, in whole groups.
    - `positions`: longest sequence, with BOS.
    - `freed`: half-layer after which another column has the place of this one.
    """

    shape: Shape
    ballast: Ballast
    place: dict[BasisDirection, int]
    bos: BasisDirection
    layers: tuple[PlacedLayer, ...]
    hidden: int
    positions: int
    freed: dict[BasisDirection, int]

    def vector(self, row: Row) -> np.ndarray:
        """Coefficients of a row over the residual columns; the constant is column 0."""
        found = np.zeros(self.shape.width, np.float32)
        for direction, coef in row.items():
            found[0 if direction == ONE_COLUMN else self.place[direction]] += coef
        return found


class Architecture(Protocol):
    """An architecture, and how it is to be shaped."""

    @property
    def name(self) -> Name:
        """As in `StockModel`."""
        ...

    @property
    def traits(self) -> Traits:
        """What blocks may rely on."""
        ...

    @property
    def group(self) -> int:
        """Query heads per key head."""
        ...

    @property
    def exact(self) -> bool:
        """Whether norms are bit-exact, so that what is subtracted is gone."""
        ...

    def fits(self, part: HeadPart, head: int, positions: int) -> bool:
        """Whether a head of this size can score what the part asks for."""
        ...

    def shares(self, heads: list[PlacedHead], head: int, positions: int) -> bool:
        """Whether heads that fit can do with the keys and the values of one."""
        ...

    def ballast_columns(self, width: int) -> int:
        """Columns of a width that hold no content, apart from `extra`."""
        ...

    @property
    def extra(self) -> int:
        """Further columns that it keeps for itself, behind the ballast."""
        ...

    def count(self, unit: Unit, bos: BasisDirection) -> int:
        """Neurons that the unit takes."""
        ...

    def tensors(
        self, frame: Frame, embedding: np.ndarray, output: list[tuple[int, Row]]
    ) -> Tensors:
        """All tensors. `embedding`: (ids, columns); `output`: what the logit of an id reads."""
        ...

    def config(self, frame: Frame, vocabulary: StockVocabulary) -> dict[str, Any]:
        """What `config.json` holds."""
        ...
