"""SIGKILL at random moments: what is left is never wrong, and the next run finishes it."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.xor.trees import flip, grow, nearly, noise, read
from tracr_lite.xor import XorError, decode, encode, encoding, store
from tracr_lite.xor.manifest import MANIFEST
from tracr_lite.xor.store import INSIDE

ROOT = Path(__file__).parents[2]
KILLS = 25  # of each kind


class Forker:
    """The process of `forker.py`."""

    def __init__(self):
        words = [sys.executable, "-m", "tests.xor.forker"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)

    def __call__(self, do, *args, kill_after=None, **options):
        order = {"do": do, "args": [str(a) for a in args], "options": options}
        self.process.stdin.write(json.dumps(order | {"kill_after": kill_after}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def forked():
    forker = Forker()
    yield forker
    forker.close()


@pytest.fixture
def models(tmp_path):
    base = {f"m{i}": noise(600_000, i) for i in range(4)} | {"sub/m": noise(200_000, 8)}
    target = {name: nearly(data) for name, data in base.items()} | {"sub/new": noise(9000)}
    return grow(tmp_path / "base", base), grow(tmp_path / "target", target)


def kills_of(wanted, attempt):
    """Calls `attempt(moment)` until so many of them ended by the kill, at random moments.

    The first moments are spread over a tenth of a second, later ones over what a run takes.
    """
    rng, seconds, done = random.Random(wanted), 0.1, 0
    for _ in range(8 * wanted):
        answer = attempt(rng.uniform(0, seconds))
        if answer["code"] < 0:
            done += 1
        else:
            seconds = 0.9 * seconds + 0.1 * min(seconds, answer["seconds"])
        if done == wanted:
            return
    raise AssertionError(f"only {done} of {wanted} kills came in time")


def visible(dst):
    found = read(dst) or {}
    return {n: d for n, d in found.items() if not n.endswith("/") and INSIDE not in n}


def check_killed_decodes(forked, models, root, compress, kills):
    base, target = models
    old, wanted, partly = {"m0": b"what was there before"}, read(target), []
    forked("encode", root / "r", target, base, compress=compress)

    def attempt(moment):
        grow(root / "d", old)
        answer = forked("decode", root / "d", root / "r", base, kill_after=moment)
        left = visible(root / "d")
        partly.append(0 < sum(left.get(n) == data for n, data in wanted.items()) < len(wanted))
        for name, data in left.items():
            assert data in (wanted.get(name), old.get(name)), name
        assert forked("decode", root / "d", root / "r", base)["code"] == 0
        assert read(root / "d") == wanted
        assert not list(root.glob(f".*{INSIDE}"))
        shutil.rmtree(root / "d")
        return answer

    kills_of(kills, attempt)
    return sum(partly)


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_killed_decodes_leave_only_right_files(forked, models, tmp_path, compress):
    check_killed_decodes(forked, models, tmp_path, compress, KILLS)


def check_killed_encodes(forked, models, root, compress, kills):
    base, target = models
    wanted = read(target)
    forked("encode", root / "whole", target, base, compress=compress)
    complete = read(root / "whole")

    def attempt(moment):
        order = ("encode", root / "r", target, base)
        answer = forked(*order, compress=compress, kill_after=moment)
        try:
            decode(root / "d", root / "r", base)
        except XorError:  # said that it is not complete
            pass
        else:
            assert read(root / "d") == wanted
        shutil.rmtree(root / "d", ignore_errors=True)
        assert forked(*order, compress=compress)["code"] == 0
        assert read(root / "r") == complete
        shutil.rmtree(root / "r")
        return answer

    kills_of(kills, attempt)


def test_killed_encodes_never_look_complete(forked, models, tmp_path):
    check_killed_encodes(forked, models, tmp_path, "zstd", KILLS)


@pytest.mark.heavy
def test_many_more_kills(forked, models, tmp_path):
    assert check_killed_decodes(forked, models, tmp_path, "zstd", 200) > 10
    shutil.rmtree(tmp_path / "r")
    check_killed_encodes(forked, models, tmp_path, "gzip", 200)


def test_a_second_run_keeps_what_the_first_finished(models, tmp_path, monkeypatch):
    base, target = models

    def dying(goal, *args):
        if goal.name == "m3":
            raise KeyboardInterrupt
        return real(goal, *args)

    real = encoding.encode_stream
    monkeypatch.setattr(encoding, "encode_stream", dying)
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path / "r", target, base, jobs=1)
    assert not (tmp_path / "r").exists()
    monkeypatch.setattr(encoding, "encode_stream", real)
    report = encode(tmp_path / "r", target, base, jobs=1)
    done = {row.name: row.status.value for row in report.files}
    assert done["m0"] == "already right"
    assert done["m3"] == "written"
    decode(tmp_path / "d", tmp_path / "r", base)
    assert read(tmp_path / "d") == read(target)


@pytest.mark.parametrize("moves", range(7))
def test_a_release_is_refused_until_its_last_file_is_there(
    models, tmp_path, monkeypatch, moves
):
    base, target = models
    left, real = [None] * moves, store.Store.publish

    def publish(*args):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        real(*args)

    monkeypatch.setattr(store.Store, "publish", publish)
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path / "r", target, base)
    monkeypatch.setattr(store.Store, "publish", real)
    with pytest.raises(XorError):
        decode(tmp_path / "d", tmp_path / "r", base)
    shutil.rmtree(tmp_path / "d", ignore_errors=True)
    report = encode(tmp_path / "r", target, base)
    assert {row.status.value for row in report.files} == {"already right"}
    decode(tmp_path / "d", tmp_path / "r", base)
    assert read(tmp_path / "d") == read(target)


@pytest.mark.parametrize("what", ["base", "target", "payload", "record"])
def test_what_an_earlier_run_finished_is_used_only_if_nothing_changed(models, tmp_path, what):
    base, target = models
    for _ in range(2):
        encode(tmp_path / "r", target, base)
    if what == "record":
        flip(tmp_path / "r" / MANIFEST, 999)
    else:
        flip({"base": base, "target": target, "payload": tmp_path / "r"}[what] / "m1", 77)
    report = encode(tmp_path / "r", target, base)
    again = {row.name for row in report.files if row.status.value == "written"}
    assert again == (set(read(target)) if what == "record" else {"m1"})
    decode(tmp_path / "d", tmp_path / "r", base)
    assert read(tmp_path / "d") == read(target)
