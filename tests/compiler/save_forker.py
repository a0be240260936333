"""Saves models in child processes, and kills these at a moment or before a file operation.

Reads lines of JSON: {"model": folder to load and save, "goal": ..., "overwrite": bool,
"exchange": bool, "kill_after": seconds or null, "kill_at": number or null}; answers each with
the exit code, negative for a signal, 1 for a refusal, and the seconds it took. Importing once
and forking makes hundreds of kills affordable.
"""

import json
import os
import signal
import sys
import time
import warnings

import tracr_lite
from tracr_lite.compiler.saving import aside
from tracr_lite.errors import SavedModelError

COUNTED = (
    "open",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "ctypes.dlsym",
    "fcntl.flock",
)


def die_at(number):
    """Kills this process before file operation `number`."""
    left = number

    def hook(event, args):
        nonlocal left
        if event in COUNTED:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def child(order, model):
    if not order["exchange"]:
        aside.exchange = lambda one, two: False
    if order["kill_at"] is not None:
        die_at(order["kill_at"])
    try:
        model.save(order["goal"], overwrite=order["overwrite"])
    except SavedModelError:
        return 1
    return 0


def run(order):
    model = tracr_lite.load(order["model"])
    start = time.perf_counter()
    if not (pid := os.fork()):
        code = 3
        try:
            code = child(order, model)
        finally:
            os._exit(code)
    if order["kill_after"] is not None:
        time.sleep(order["kill_after"])
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.perf_counter() - start}


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # no thread of JAX holds anything that saving needs
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
