"""The first compile of a process, which finds nothing warm."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import time
import haiku, jax
from tracr_lite.compiler import lib, compile_rasp_to_model
from tracr_lite.rasp import rasp
started = time.process_time()
compile_rasp_to_model(lib.make_reverse(rasp.tokens), set("abcd"), 5)
print(time.process_time() - started)
"""


def compile_once() -> float:
    """CPU seconds of the first compile of `reverse`, n = 5, in a process of its own.

    Importing jax and haiku is not counted; what the compiler loads when first used is.
    """
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
