"""A process that runs encode or decode in children and kills them at given moments.

Reads lines of JSON: {"do": "decode", "args": [...], "options": {...}, "kill_after": seconds or
null}; answers each with the seconds it took and the exit code, negative for a signal. Importing
once and forking makes hundreds of kills affordable.
"""

import json
import os
import signal
import sys
import time

from tracr_lite.xor import FilesNotRight, XorError, decode, encode

DO = {"decode": decode, "encode": encode}


def child(order):
    try:
        DO[order["do"]](*order["args"], **order["options"])
    except FilesNotRight:
        return 1
    except XorError:
        return 2
    return 0


def run(order):
    start = time.perf_counter()
    if not (pid := os.fork()):
        code = 3
        try:
            code = child(order)
        finally:
            os._exit(code)
    if order["kill_after"] is not None:
        time.sleep(order["kill_after"])
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return {"seconds": time.perf_counter() - start, "code": os.waitstatus_to_exitcode(status)}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
