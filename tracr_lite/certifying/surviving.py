"""Whether a model survives in a narrow format: proved, or tried input by input."""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import jax
import jax.numpy as jnp

from tracr_lite.certifying.certificate import Certificate
from tracr_lite.certifying.certify import bits_needed, certify
from tracr_lite.certifying.rounding import FORMATS
from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.verifying.report import Report
from tracr_lite.verifying.verification import verify

CERTIFIED: Final = "certified"
RIGHT: Final = "right on every input"
RIGHT_SO_FAR: Final = "right on every input that was tried"
FAILS: Final = "fails"


@dataclass(frozen=True)
class Survival:
    """What becomes of a model in a format.

    **Arguments:**
    - `certificate`: its bounds, whether it holds or not.
    - `report`: if it does not hold, of the model run in the format; its smallest failing input
      is the witness that the model does not survive.
    - `needs`: if it does not hold, for each node without a margin the bits of the significand
      with which it would have one (None: not even float32 has them).
    """

    dtype: str
    certificate: Certificate
    report: Report | None
    needs: dict[str, int | None]

    @property
    def verdict(self) -> str:
        """`CERTIFIED`, `RIGHT` (all inputs were run), `RIGHT_SO_FAR`, or `FAILS`."""
        if self.report is None:
            return CERTIFIED
        if self.report.mismatches:
            return FAILS
        whole = self.report.exhaustive and self.report.agrees
        return RIGHT if whole else RIGHT_SO_FAR

    @property
    def survives(self) -> bool | None:
        """None if it is neither proved, nor tried on all inputs, nor seen to fail."""
        return {CERTIFIED: True, RIGHT: True, FAILS: False}.get(self.verdict)

    def lines(self) -> list[str]:
        """What there is to say beside the certificate."""
        if self.report is None:
            return []
        bits = FORMATS[self.dtype].bits
        found = [
            f"{node} needs {'more than 24' if need is None else need} bits; "
            f"{self.dtype} has {bits}"
            for node, need in self.needs.items()
        ]
        tried = f"run in {self.dtype}: {self.verdict} ({self.report.tried:,} tried)"
        witness = self.report.smallest
        return [*found, tried, *([] if witness is None else [f"  {witness}"])]


def survives(
    model: AssembledTransformerModel, dtype: str, program: Any = None, *, budget: int = 20_000
) -> Survival:
    """Whether a model is right with weights and stream stored in a narrow format.

    If the certificate holds, it is. If not, the model is run in the format: on all inputs, if
    there are no more than `budget`, else on a sample of that many.

    **Arguments:** as `certify`; `dtype`: `bfloat16` or `float16`.
    **Raises:** `CertifyError` as `certify`; `VerifyError` as `verify`.
    """
    certificate = certify(model, dtype, program)
    if certificate.holds:
        return Survival(dtype, certificate, None, {})
    report = verify(
        stored_in(model, dtype), program, budget=budget, samples=budget, progress=False
    )
    bits, needs = FORMATS[dtype].bits, bits_needed(model, program=program)
    short = {node: need for node, need in needs.items() if need is None or need > bits}
    return Survival(dtype, certificate, report, short)


def stored_in(model: AssembledTransformerModel, dtype: str) -> AssembledTransformerModel:
    """The model with its weights in another format, in which it then runs."""

    def cast(weight: Any) -> Any:
        return jnp.asarray(weight, dtype)

    return replace(model, params=jax.tree_util.tree_map(cast, model.params))
