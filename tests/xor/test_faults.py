"""Every call to the system fails once: what is left is right, and the next run finishes."""

import errno
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.xor.trees import grow, nearly, noise, read
from tracr_lite.xor import XorError, decode, encode
from tracr_lite.xor.manifest import MANIFEST

ROOT = Path(__file__).parents[2]
LEAST = {"decode": 40, "decode again": 30, "encode": 40, "encode again": 30, "verify": 4}
FAULTS = [*((action, "EIO") for action in LEAST), ("decode", "ENOSPC"), ("encode", "ENOSPC")]


@pytest.mark.parametrize(("action", "code"), FAULTS)
def test_no_call_that_fails_does_harm(tmp_path, action, code):
    number = getattr(errno, code)
    words = [sys.executable, "-m", "tests.xor.faults", str(tmp_path), action, str(number)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["problems"] == []
    assert answer["calls"] >= LEAST[action]


def cut(path, rng):
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size + 1)])


def lengthen(path, rng):
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randrange(1, 9)))


def overwrite(path, rng):
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data) + 1)
    data[start : start + 9] = rng.randbytes(9)[: len(data) - start]
    path.write_bytes(data)


def exchange(path, rng):
    other = rng.choice([each for each in path.parent.parent.rglob("*") if each.is_file()])
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)


def drop(path, rng):
    path.unlink()


def link(path, rng):
    path.unlink()
    path.symlink_to(rng.choice(["/etc/passwd", "m", "nowhere", "..", path.name]))


def nest(path, rng):
    path.unlink()
    path.mkdir()


# a release whose manifest is gone is one of the existing script, which nobody can check
DAMAGE = [cut, lengthen, overwrite, exchange, drop, link, nest]


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_no_damage_to_what_is_given_yields_a_wrong_file(tmp_path, compress):
    base = {"m": noise(900), "sub/n": noise(300), "empty": b"", "gone": noise(50)}
    target = {"m": nearly(noise(900)), "sub/n": noise(310), "empty": b"12", "new": b"345"}
    grow(tmp_path / "given/b", base)
    folders = tmp_path / "given/r", grow(tmp_path / "t", target), tmp_path / "given/b"
    encode(*folders, compress=compress)
    rng, refused = random.Random(compress), 0
    for _ in range(80):
        shutil.copytree(tmp_path / "given", tmp_path / "g")
        for _ in range(rng.randrange(1, 4)):
            files = sorted(each for each in (tmp_path / "g").rglob("*") if each.is_file())
            path = rng.choice(files)
            rng.choice([d for d in DAMAGE if d is not drop or path.name != MANIFEST])(path, rng)
        try:
            decode(tmp_path / "d", tmp_path / "g/r", tmp_path / "g/b")
            assert read(tmp_path / "d") == target
        except XorError:
            refused += 1
            assert (read(tmp_path / "d") or {}).items() <= target.items()
        for each in ("g", "d"):
            shutil.rmtree(tmp_path / each, ignore_errors=True)
    assert 40 < refused < 80
