"""What `blame` says: where a model first goes wrong, and what writes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tracr_lite.compiler.circuits.writers import Writer

BOS = -1  # the position before the first token


@dataclass(frozen=True)
class Culprit:
    """What writes wrongly.

    **Arguments:** `writer`: a head, a neuron, a bias or an embedding; `off`: how far what it
    adds is from what it was compiled to add; `weights`: its parameters that were changed.
    """

    writer: Writer
    off: float
    weights: tuple[str, ...]

    def __str__(self) -> str:
        changed = f", changed: {', '.join(self.weights)}" if self.weights else ""
        return f"{self.writer} (off by {self.off:.3g}{changed})"


@dataclass(frozen=True)
class WrongColumn:
    """A residual column, what it should hold, and what it holds."""

    label: str
    expected: float
    found: float

    def __str__(self) -> str:
        found, expected = self.found, self.expected
        digits = 9 if f"{found:.4g}" == f"{expected:.4g}" else 4
        return f"{self.label} is {found:.{digits}g} and should be {expected:.{digits}g}"


@dataclass(frozen=True)
class Blame:
    """The first place where a model leaves its program.

    **Arguments:**
    - `tokens`: the input, without BOS. `position`: of it; `BOS` (-1) is before the first token.
    - `node`: label of the node whose columns are wrong; `expected`: its value there, by the
      interpreter; `found`: what the columns say. At BOS, and in columns that are not written
      yet, there is no value: both are None.
    - `columns`: those of the node that are wrong there.
    - `place`: the half-layer that left them so, the embeddings, or the output.
    - `culprits`: what writes wrongly, worst first; none if all weights are as compiled.
    - `compiled`: the heads and neurons that were compiled to write the node there.
    """

    tokens: tuple[Any, ...]
    node: str
    position: int
    expected: Any
    found: Any
    columns: tuple[WrongColumn, ...]
    place: str
    culprits: tuple[Culprit, ...]
    compiled: tuple[str, ...]

    def __str__(self) -> str:
        where = "at BOS" if self.position == BOS else f"at position {self.position}"
        lines = [f"{self.node} is wrong after {self.place}, {where} of {list(self.tokens)!r}"]
        if self.expected is not None or self.found is not None:
            lines.append(f"  it should be {self.expected!r}, and reads as {self.found!r}")
        lines += [f"  column {column}" for column in self.columns[:6]]
        lines += [f"  written by {culprit}" for culprit in self.culprits[:6]]
        if len(self.culprits) > 6:
            lines.append(f"  and by {len(self.culprits) - 6} more")
        if not self.culprits:
            own = ", ".join(self.compiled) or "nothing"
            lines.append(f"  the weights there are those compiled; what writes it: {own}")
        return "\n".join(lines)
