"""What this processor and its system allow: whether products can be made in AMX tiles.

AMX multiplies 16 rows of 64 bytes with as many columns by one instruction. Linux keeps its
registers for a process only if that has asked.
"""

# numba has few annotations.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false, reportUnknownArgumentType=false

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache
from typing import Any

from numba.core.registry import cpu_target

NEEDED = ("+amx-tile", "+amx-int8", "+amx-bf16", "+avx512f")
_ARCH_PRCTL = 158  # of x86-64
_ASK_FOR_STATE = 0x1023  # ARCH_REQ_XCOMP_PERM
_TILE_DATA = 18  # XFEATURE_XTILEDATA


@cache
def compiles_amx() -> bool:
    """Whether LLVM knows of AMX here: otherwise it stops the process at these instructions."""
    target: Any = cpu_target
    features = target.target_context.codegen().magic_tuple()[2].split(",")
    return all(each in features for each in NEEDED)


@cache
def has_amx() -> bool:
    """Whether AMX can be used; asks the system for its registers, for all threads.

    Source: Linux, Documentation/arch/x86/xstate.rst.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 1 << 32:
        return False
    if not compiles_amx():
        return False
    system = ctypes.CDLL(None, use_errno=True)
    return system.syscall(_ARCH_PRCTL, _ASK_FOR_STATE, _TILE_DATA) == 0
