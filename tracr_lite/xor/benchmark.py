"""`python -m tracr_lite.xor.benchmark`: speed per CPU second, size and memory.

The data: random weights, and the same with small changes, in three kinds of numbers. The
existing script's way is written down here anew, as the measure: blocks of 4096 bytes, each made
a numpy array, XORed and written; gzip by the standard module, level 9. No sums, no sync.
(Source of the algorithm: Open-Assistant, scripts/xor-codec/xor_codec.py.)
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from isal import igzip
from rich.console import Console
from rich.table import Table

from tracr_lite.xor.codec import Compression
from tracr_lite.xor.decoding import decode
from tracr_lite.xor.encoding import encode
from tracr_lite.xor.sums import CHUNK, digests_of, new_hash

BLOCK = 4096  # bytes, the script's
JOBS = 4  # files at once where memory is measured
TIMES = 3  # runs, of which the fastest counts
PART = 1 << 20  # weights made at a time
KINDS = {"bf16": 1e-3, "fp16": 1e-3, "fp32": 1e-3}  # relative size of the changes


def old_script(out: BinaryIO, payload: BinaryIO, base: BinaryIO) -> None:
    """The loop of the existing script."""
    while True:
        one = np.array(bytearray(payload.read(BLOCK)), dtype=np.uint8)
        two = np.array(bytearray(base.read(BLOCK)), dtype=np.uint8)
        if len(two) < len(one):
            two = np.pad(two, (0, len(one) - len(two)))
        out.write(np.bitwise_xor(one, two[: len(one)]).tobytes())
        if len(one) < BLOCK:
            return


def old_run(dst: Path, payload: Path, base: Path, *, packs: bool, unpacks: bool) -> None:
    """One file, the old way."""
    read = gzip.open(payload, "rb") if unpacks else payload.open("rb")
    write = gzip.open(dst, "wb", 9) if packs else dst.open("wb")
    with read as one, base.open("rb") as two, write as out:
        old_script(cast(BinaryIO, out), cast(BinaryIO, one), two)


def make_pair(base: Path, target: Path, kind: str, size: int) -> None:
    """Writes two files of `size` bytes."""
    rng = np.random.default_rng(7)
    width = 4 if kind == "fp32" else 2
    with base.open("wb") as one, target.open("wb") as two:
        for start in range(0, size // width, PART):
            count = min(PART, size // width - start)
            weights = rng.standard_normal(count, dtype=np.float32) * np.float32(0.02)
            step = rng.standard_normal(count, dtype=np.float32) * np.float32(KINDS[kind] * 0.02)
            for file, values in ((one, weights), (two, weights + step)):
                if kind == "bf16":
                    file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
                else:
                    file.write(values.astype(np.float16 if kind == "fp16" else "f4").tobytes())


def cpu(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds, of all threads, user and system; the least of so many times.

    The first write to fresh memory of a virtual machine can cost more than all the rest.
    """
    found: list[float] = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


class Bench:
    """Runs both ways on one pair of files, and adds rows to a table."""

    def __init__(self, folder: Path, kind: str, size: int, old_size: int):
        self.folder, self.kind, self.size, self.old_size = folder, kind, size, old_size
        self.table = Table("what", "old MB/s", "new MB/s", "ratio", "payload", title=kind)
        for side in ("base", "target"):
            (folder / side).mkdir()
        self.base, self.target = folder / "base/model.bin", folder / "target/model.bin"
        make_pair(self.base, self.target, kind, size)

    def run(self) -> None:
        """All rows for this kind of numbers."""
        old, plain = self.folder / "old.bin", partial(old_run, packs=False, unpacks=False)
        slow = self.size / cpu(lambda: plain(old, self.target, self.base), TIMES)
        self._new("plain", "none", slow, slow, 1.0)
        packed, size = self.folder / "old.gz", self.old_size
        part = self.folder / "part.bin"
        part.write_bytes(self.target.read_bytes()[:size])
        pack = cpu(lambda: old_run(packed, part, self.base, packs=True, unpacks=False))
        unpack = cpu(lambda: old_run(old, packed, self.base, packs=False, unpacks=True))
        share = packed.stat().st_size / size
        for name in ("gzip", "zstd"):
            self._new(name, name, size / pack, size / unpack, share)
        self._bounds(packed)

    def _new(self, name: str, compress: str, pack: float, unpack: float, share: float) -> None:
        release, out = self.folder / f"release-{name}", self.folder / f"out-{name}"
        chosen = cast(Compression, compress)
        make = partial(encode, release, self.target.parent, self.base.parent, jobs=1)
        seconds = cpu(lambda: make(compress=chosen))
        if compress == "none":
            seconds = min(seconds, cpu(lambda: self._afresh(release, make, compress=chosen), 2))
        size = (release / "model.bin").stat().st_size / self.size
        label = f"{size:.3f} of target, {size / share:.3f} of old"
        self._row(f"{name} encode", pack, seconds, label)
        self._decode(f"{name} decode", out, release, unpack)
        self._decode(f"{name} decode, base last", out, release, unpack, check_base_first=False)
        (release / "xor-manifest.json").unlink()
        self._decode(f"{name} decode, no sums", out, release, unpack)
        for file in (*release.iterdir(), *out.iterdir()):
            file.unlink()

    def _afresh(self, folder: Path, work: Callable[..., object], **given: object) -> None:
        """Runs again as if nothing were there; removing costs no CPU to speak of."""
        for file in folder.glob("*"):
            file.unlink()
        work(**given)

    def _decode(
        self, what: str, out: Path, release: Path, old: float, *, check_base_first: bool = True
    ) -> None:
        work = partial(
            decode, out, release, self.base.parent, check_base_first=check_base_first
        )
        self._row(what, old, cpu(lambda: self._afresh(out, work, jobs=1), TIMES))

    def _row(self, what: str, old: float, seconds: float, payload: str = "") -> None:
        new = self.size / seconds
        self.table.add_row(
            what, f"{old / 1e6:.1f}", f"{new / 1e6:.1f}", f"{new / old:.2f}", payload
        )

    def _bounds(self, packed: Path) -> None:
        """What each part of the work alone would reach."""
        with self.base.open("rb") as file:
            data, out = file.read(CHUNK), self.folder / "copy.bin"
        repeats = range(-(-self.old_size // CHUNK))
        words = np.frombuffer(data, np.uint64).copy(), np.frombuffer(data, np.uint64)

        def hashed(algorithm: str) -> None:
            found = new_hash(algorithm)
            for _ in repeats:
                found.update(memoryview(data))

        def write() -> None:
            with out.open("wb", buffering=0) as file:
                for _ in repeats:
                    file.write(data)

        parts: dict[str, Callable[[], object]] = {
            "one SHA-256": partial(hashed, "sha256"),
            "one BLAKE3": partial(hashed, "blake3"),
            "reading": lambda: digests_of(self.base, set()),
            "writing": write,
            "XOR": lambda: [np.bitwise_xor(*words, out=words[0]) for _ in repeats],
            "inflating (isal)": lambda: igzip.IGzipFile(packed).read(),
        }
        for name, work in parts.items():
            size = self.size if name == "reading" else len(repeats) * CHUNK
            self.table.add_row(f"  bound: {name}", "", f"{size / cpu(work, TIMES) / 1e6:.0f}")


def memory(folder: Path, size: int) -> str:
    """Peak memory above the interpreter, of a decode in a process of its own."""
    code = """
import re, sys
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
before = peak()
import tracr_lite.xor.cli
from tracr_lite.xor import decode, encode
folder, jobs = sys.argv[1], int(sys.argv[2])
encode(folder + "/m", folder + "/target", folder + "/base", jobs=jobs)
decode(folder + "/n", folder + "/m", folder + "/base", jobs=jobs)
print((peak() - before) / 1024)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(JOBS)],
        check=True,
        capture_output=True,
        text=True,
    )
    return (
        f"{float(run.stdout):.0f} MiB above the interpreter, for files of {size / 1e6:.0f} MB"
    )


def main() -> None:
    """Reads the options, runs, prints."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=500, help="size of a file")
    options.add_argument("--old-megabytes", type=int, default=32, help="gzip level 9 is slow")
    options.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    options.add_argument("--folder", help="where to put the files; a disk with room for six")
    given = options.parse_args()
    size = given.megabytes * 1_000_000
    for kind in given.kinds:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            bench = Bench(Path(name), kind, size, min(size, given.old_megabytes * 1_000_000))
            bench.run()
            Console(width=100).print(bench.table)
            if kind == given.kinds[-1]:
                print("memory:", memory(Path(name), size))
    print("MB/s: megabytes of target per CPU second, user and system, all threads")


if __name__ == "__main__":
    main()
