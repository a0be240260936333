"""A certificate: what is claimed about a model, and the numbers that prove it."""

from __future__ import annotations

from dataclasses import dataclass

from tracr_lite.certifying.claims import Claims


@dataclass(frozen=True)
class NodeBound:
    """One node of the residual stream.

    **Arguments:**
    - `error`: bound on how far a column is off, where `margin` is least.
    - `tolerance`: how far it may be off there. `margin`: tolerance minus error.
    - `reason`: why there is no bound, if there is none; then `error` is infinite.
    """

    name: str
    error: float
    tolerance: float
    margin: float
    reason: str = ""


@dataclass(frozen=True)
class Certificate:
    """That a model equals its program for all inputs up to `claims.max_seq_len` tokens.

    **Arguments:**
    - `dtype`: the arithmetic it is about. `nodes`: in the order of the network, the answer
      last.
    - `problems`: what is not covered, or is wrong: name and reason.
    """

    dtype: str
    claims: Claims
    nodes: tuple[NodeBound, ...]
    problems: tuple[tuple[str, str], ...]

    @property
    def holds(self) -> bool:
        """Whether everything is covered and every margin is positive."""
        return not self.problems and all(node.margin > 0.0 for node in self.nodes)

    def why_not(self) -> list[str]:
        """The reasons, a line each; none if it holds."""
        lines = [f"{name}: {reason}" for name, reason in self.problems]
        for node in self.nodes:
            if not node.margin > 0.0:
                why = node.reason or (
                    f"may be off by {node.error:.3g}, but only {node.tolerance:.3g} "
                    "is tolerated"
                )
                lines.append(f"{node.name}: {why}")
        return lines

    def to_json(self) -> str:
        """As text; `Certificate.from_json` reads it."""
        from tracr_lite.certifying.text import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Certificate:
        """From text. **Raises:** `CertifyError` if it is no certificate."""
        from tracr_lite.certifying.text import from_json

        return from_json(text)
