"""Compiles RASP programs into transformers that compute exactly that.

`tracr_lite.rasp` is the language, `tracr_lite.compiler.lib` its library. JAX is loaded when
`compile_rasp_to_model` is first asked for.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracr_lite import rasp
    from tracr_lite.certifying.certify import certify
    from tracr_lite.certifying.checker import check_certificate
    from tracr_lite.certifying.surviving import survives
    from tracr_lite.compiler.compiling import compile_rasp_to_model
    from tracr_lite.compiler.saving.load import load
    from tracr_lite.mass.many import compile_many
    from tracr_lite.verifying.blaming import blame
    from tracr_lite.verifying.verification import verify

try:
    __version__ = version("tracr_lite")
except PackageNotFoundError:  # run from a folder that was never installed
    __version__ = "0+unknown"

__all__ = [
    "__version__",
    "blame",
    "certify",
    "check_certificate",
    "compile_many",
    "compile_rasp_to_model",
    "load",
    "rasp",
    "survives",
    "verify",
]

_HOMES = {  # imported only when asked for: they need JAX
    "blame": "tracr_lite.verifying.blaming",
    "certify": "tracr_lite.certifying.certify",
    "check_certificate": "tracr_lite.certifying.checker",
    "survives": "tracr_lite.certifying.surviving",
    "compile_many": "tracr_lite.mass.many",
    "compile_rasp_to_model": "tracr_lite.compiler.compiling",
    "load": "tracr_lite.compiler.saving.load",
    "verify": "tracr_lite.verifying.verification",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "rasp":
        return importlib.import_module("tracr_lite.rasp")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
