"""Knowing that a model is right: `verify` compares it with its program, input by input.

Where they differ, `blame` tells which part of the model is at fault. JAX is loaded when one of
them is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracr_lite.verifying.errors import VerifyError as VerifyError

if TYPE_CHECKING:
    from tracr_lite.verifying.blaming import blame as blame
    from tracr_lite.verifying.fault import Blame as Blame
    from tracr_lite.verifying.fault import Culprit as Culprit
    from tracr_lite.verifying.fault import WrongColumn as WrongColumn
    from tracr_lite.verifying.report import Extreme as Extreme
    from tracr_lite.verifying.report import Failure as Failure
    from tracr_lite.verifying.report import Report as Report
    from tracr_lite.verifying.verification import verify as verify

_HOMES = {
    "blame": "blaming",
    "verify": "verification",
    **dict.fromkeys(("Blame", "Culprit", "WrongColumn"), "fault"),
    **dict.fromkeys(("Extreme", "Failure", "Report"), "report"),
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
