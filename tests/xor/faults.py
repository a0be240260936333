"""Runs one action again and again, and lets one call to the system after the other fail.

Usage: python -m tests.xor.faults FOLDER ACTION ERRNO. Prints JSON: how many calls failed, and
whatever was wrong after one of them. This is a process as audit hooks cannot be removed.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from tests.xor.trees import grow, nearly, noise, read
from tracr_lite.xor import XorError, decode, encode, verify
from tracr_lite.xor.store import INSIDE

CALLS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.scandir", "os.listdir"}
OLD = {"m": b"what was there before", "sub/n": None}  # None: the right one
MOST = 500  # calls; no action here makes so many


class Fault:
    """Lets the call number `left` below `root` fail."""

    def __init__(self, root, code):
        self.root, self.code, self.left, self.hit = str(root), code, 0, ""
        self.sync, os.fsync = os.fsync, self.fsync
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if self.left and event in CALLS and str(args[0]).startswith(self.root):
            self.count(f"{event} {args[0]}")

    def fsync(self, handle):
        if self.left:
            self.count("fsync")
        self.sync(handle)

    def count(self, call):
        self.left -= 1
        if not self.left:
            self.hit = call
            raise OSError(self.code, os.strerror(self.code))


class Bench:
    """The folders, and what has to be true of them."""

    def __init__(self, root):
        self.root = root
        base = {"m": noise(3000), "sub/n": noise(500), "gone": b"1"}
        target = {name: nearly(data) for name, data in base.items() if name != "gone"}
        self.given = (grow(root / "t", target | {"new": b"", "hollow/": b""}), root / "b")
        grow(root / "b", base)
        encode(root / "r", *self.given)
        self.target, self.release = read(root / "t"), read(root / "r")

    def prepare(self, action):
        for name in ("d", "s", f".d{INSIDE}", f".s{INSIDE}"):
            shutil.rmtree(self.root / name, ignore_errors=True)
        if action == "decode again":
            grow(self.root / "d", {n: old or self.target[n] for n, old in OLD.items()})
        if action == "encode again":
            encode(self.root / "s", *self.given)
            (self.root / "s/m").write_bytes(b"damaged")

    def run(self, action):
        if action.startswith("decode"):
            decode(self.root / "d", self.root / "r", self.root / "b", jobs=1)
        elif action.startswith("encode"):
            encode(self.root / "s", *self.given, jobs=1)
        else:
            verify(self.root / "t", self.root / "r", jobs=1)

    def problems(self, action, refused):
        """What is wrong with what is left, and with the run after it."""
        left = {n: d for n, d in (read(self.root / "d") or {}).items() if not n.endswith("/")}
        for name, data in left.items():
            if data not in (self.target.get(name), OLD.get(name)):
                yield f"{name} is wrong"
        if action == "verify" and not refused:
            yield "not noticed"
        if action.startswith("encode") and refused:
            yield from self.half_release()
        self.run(action)
        if action.startswith("decode") and read(self.root / "d") != self.target:
            yield "the next run does not finish it"
        if action.startswith("encode") and read(self.root / "s") != self.release:
            yield "the next run does not finish it"
        yield from (f"{path} is left" for path in self.root.glob(f".*{INSIDE}"))

    def half_release(self):
        try:
            decode(self.root / "e", self.root / "s", self.root / "b")
        except XorError:
            return
        if read(self.root / "e") != self.target:
            yield "a half release looks right"


def attempt(bench, fault, action, number):
    bench.prepare(action)
    fault.left, fault.hit, refused = number, "", False
    try:
        bench.run(action)
    except XorError:
        refused = True
    fault.left = 0
    if fault.hit:
        return [f"{action}, {fault.hit}: {each}" for each in bench.problems(action, refused)]
    return None


def main(folder, action, code):
    bench, found = Bench(Path(folder)), []
    fault = Fault(folder, int(code))
    for number in range(1, MOST):
        if (problems := attempt(bench, fault, action, number)) is None:
            print(json.dumps({"calls": number - 1, "problems": found}))
            return
        found += problems
    raise AssertionError("no end of calls")


if __name__ == "__main__":
    main(*sys.argv[1:])
