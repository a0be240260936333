"""What a block was written from, for those who want to check it afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tracr_lite.compiler.lowering.forms import Number, View
from tracr_lite.compiler.lowering.match import Match
from tracr_lite.compiler.lowering.mlp_inputs import Inputs
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.craft.entries import Entries


@dataclass(frozen=True)
class WrittenTable:
    """An MLP block: it writes `code[inputs.output]` into `dirs`; without `code`, a copy."""

    inputs: Inputs
    dirs: tuple[BasisDirection, ...]
    entries: Entries | None

    @property
    def code(self) -> Float[np.ndarray, "outputs dirs"] | None:
        return None if self.entries is None else self.entries.dense()


@dataclass(frozen=True)
class WrittenHead:
    """A head: what it matches, whether BOS counts, and the columns it writes.

    `value`: what it reads where it looks; a count reads nothing but BOS.
    """

    matches: tuple[Match, ...]
    counts_bos: bool
    dirs: list[BasisDirection]
    value: View | Number | None


Written = WrittenTable | WrittenHead
