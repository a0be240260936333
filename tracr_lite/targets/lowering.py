"""Values -> parts of a stock target. What is written in which form, the compiler decides."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracr_lite.compiler.graph import Source
from tracr_lite.compiler.lowering.forms import OneHot
from tracr_lite.compiler.lowering.lower import Lowering
from tracr_lite.targets.blocks import Part
from tracr_lite.targets.traits import Traits


@dataclass
class StockLowering(Lowering):
    """Lowers to the parts that both architectures share.

    **Arguments:** `traits`: what the architecture can do; `parts`: what has been written.
    """

    traits: Traits = field(kw_only=True)
    parts: list[Part] = field(default_factory=list[Part])

    def embedding(self, node: int, name: str) -> OneHot:
        """The tokens, and the indices where the architecture has positions."""
        kind = self.values.nodes[node]
        if kind == Source("indices") and not self.traits.positions:
            return self.wrote(self.writers.one_hot(self, node))
        return super().embedding(node, name)


def stock(lowering: Lowering) -> StockLowering:
    """The same lowering, which is known to be of a stock target."""
    assert isinstance(lowering, StockLowering), "stock writers are handed a stock lowering"
    return lowering
