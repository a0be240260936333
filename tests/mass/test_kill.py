"""SIGKILL at random moments, and Ctrl-C: the next run continues, and the bytes are the same."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.mass.programs import children
from tracr_lite.mass import read_dataset, write_dataset

ROOT = Path(__file__).parents[2]
ARGUMENTS = {"count": 60, "shard_size": 4, "nodes": (3, 6), "max_seq_len": 3}
WORDS = ["--count", "60", "--shard-size", "4", "--nodes", "3", "6", "--max-seq-len", "3"]


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "set"
    write_dataset(folder, workers=0, **ARGUMENTS)
    return content(folder)


def killed_run(folder, workers, kill_after):
    """Runs `write_dataset` in a child, kills it at a moment; says whether that came in time."""
    code = (
        "import sys, tests.mass.test_kill as t; from tracr_lite.mass import jobs\n"
        "print('ready', flush=True)\n"
        f"t.write_dataset({str(folder)!r}, workers={workers}, **t.ARGUMENTS)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(kill_after)
    process.kill()
    process.communicate()
    return process.returncode < 0


def check_kills(folder, whole, kills, workers):
    rng, done = random.Random(kills), 0
    for _ in range(4 * kills):
        killed = killed_run(folder, workers, rng.uniform(0, 0.3))
        found = content(folder) if folder.exists() else {}
        for name, data in found.items():
            if not name.startswith(".") and name != "dataset.json":
                assert data == whole[name], name
        if "dataset.json" in found:
            readable = read_dataset(folder)
            assert [sample.index for sample in readable] == list(range(len(readable)))
        done += killed
        if done == kills:
            break
        if not killed:
            assert found == whole
            for path in folder.iterdir():
                path.unlink()
    assert done == kills
    write_dataset(folder, workers=0)
    assert content(folder) == whole


def test_killed_runs_leave_right_files_and_are_continued(tmp_path, whole):
    check_kills(tmp_path / "set", whole, 4, workers=0)


@pytest.mark.heavy
@pytest.mark.parametrize("workers", [0, 2])
def test_many_more_kills(tmp_path, whole, workers):
    for round_ in range(3):
        check_kills(tmp_path / str(round_), whole, 10, workers)


def test_each_step_may_be_the_last(tmp_path, whole, monkeypatch):
    """A run that stops before any single one of its writes and renames is continued."""
    from tracr_lite.mass import folder as disk

    arguments = ARGUMENTS | {"count": 4, "shard_size": 2}
    write_dataset(tmp_path / "whole", workers=0, **arguments)
    wanted = content(tmp_path / "whole")
    real, steps = disk._sync, 0
    replace = Path.replace
    while True:
        left = [None] * steps

        def stop(*args, real, left=left):
            if not left:
                raise KeyboardInterrupt
            left.pop()
            return real(*args)

        monkeypatch.setattr(disk, "_sync", lambda *args, stop=stop: stop(*args, real=real))
        monkeypatch.setattr(Path, "replace", lambda *args, stop=stop: stop(*args, real=replace))
        try:
            write_dataset(tmp_path / "set", workers=0, **arguments)
        except KeyboardInterrupt:
            steps += 1
        else:
            break
        finally:
            monkeypatch.undo()
        write_dataset(tmp_path / "set", workers=0, **arguments)
        assert content(tmp_path / "set") == wanted
        for path in (tmp_path / "set").iterdir():
            path.unlink()
    assert steps == 2 * (1 + 2 * 4)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_ctrl_c_says_how_to_continue(tmp_path, whole, workers):
    folder = tmp_path / "set"
    words = [sys.executable, "-m", "tracr_lite", "dataset", str(folder), *WORDS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*words, "--workers", workers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    while not (folder / "shard-00001.jsonl").exists():
        time.sleep(0.01)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == ""
    assert "of 60 samples are written" in errors
    assert errors.splitlines()[-1].endswith(f"To continue: tracr-lite dataset {folder}")
    assert "Traceback" not in errors
    resume = [*words[:5], "--workers", "1"]
    again = subprocess.run(
        resume, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert again.returncode == 0, again.stderr
    assert "60 of 60 samples in 15 shard(s)" in again.stdout
    assert content(folder) == whole
    assert not children()
