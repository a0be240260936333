"""What the figures were measured on."""

# pyright: reportUnknownMemberType=false
# (jax is typed in part only)

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, cast

import haiku
import jax
import numpy as np


def describe() -> str:
    """Processor, cores, memory, system, versions and devices, in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = cast(list[Any], jax.devices())
    devices = ", ".join(sorted({str(device.device_kind) for device in found}))
    parts = [
        _processor(),
        f"{cores} cores",
        *([] if (memory := _memory()) is None else [f"{memory / 2**30:.0f} GiB"]),
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"jax {jax.__version__} ({devices})",
        f"haiku {haiku.__version__}",
        f"numpy {np.__version__}",
    ]
    return ", ".join(parts)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    """Bytes of main memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
