"""What happens when workers die, programs hang, or the whole run is stopped."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.mass.programs import REVERSE, children, endless
from tracr_lite.compiler import compile_many
from tracr_lite.mass import MassError, TimedOut, WorkerDied, processes
from tracr_lite.rasp import rasp

ROOT = Path(__file__).parents[2]


def dies(x):
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(x):
    os._exit(7)


def hangs(x):
    while True:
        time.sleep(1)


DYING = (rasp.Map(dies, rasp.tokens), "ab", 2)
LEAVING = (rasp.Map(leaves, rasp.tokens), "ab", 2)
HANGING = (rasp.Map(hangs, rasp.tokens), "ab", 2)
GOOD = (REVERSE, "ab", 2)


def kinds(items):
    return [None if item.error is None else type(item.error) for item in items]


def test_a_worker_that_dies_costs_its_program_only():
    requests = [GOOD, GOOD, DYING, GOOD, LEAVING, GOOD, GOOD]
    items = list(compile_many(requests, workers=2))
    dead = WorkerDied
    assert kinds(items) == [None, None, dead, None, dead, None, None]
    assert "SIGKILL, as when memory runs out" in str(items[2].error)
    assert "exited with code 7" in str(items[4].error)
    assert items[-1].model.predict(["compiler_bos", "a", "b"]) == ["b", "a"]
    assert not children()


def test_a_worker_that_somebody_kills_costs_no_program():
    items = compile_many([GOOD] * 30, workers=1)
    for _ in range(3):
        assert next(items).error is None
        (worker,) = children()
        os.kill(worker, signal.SIGKILL)
    assert kinds(items) == [None] * 27


@pytest.mark.parametrize("ordered", [True, False])
def test_a_program_that_hangs_is_stopped_after_its_time(ordered):
    start = time.monotonic()
    requests = [GOOD, HANGING, GOOD, HANGING, GOOD]
    items = list(compile_many(requests, workers=2, timeout=1.0, ordered=ordered))
    items.sort(key=lambda item: item.index)
    assert kinds(items) == [None, TimedOut, None, TimedOut, None]
    assert isinstance(items[1].error, TimeoutError)
    assert "within 1 s" in str(items[1].error)
    assert 1 < time.monotonic() - start < 10
    assert not children()


def test_time_that_the_caller_takes_does_not_count():
    items = compile_many([GOOD] * 4, workers=1, timeout=0.8)
    for item in items:
        assert item.error is None
        time.sleep(0.9)


def test_closing_ends_the_workers_at_once():
    before = len(os.listdir("/proc/self/fd"))
    items = compile_many(itertools.chain([GOOD], itertools.repeat(HANGING)), workers=2)
    assert next(items).error is None
    assert len(children()) == 2
    start = time.monotonic()
    items.close()
    assert time.monotonic() - start < 2
    assert not children()
    assert len(os.listdir("/proc/self/fd")) == before


def test_dropping_the_generator_ends_the_workers():
    items = compile_many(endless(), workers=2)
    next(items)
    assert children()
    del items
    assert not children()


def test_a_worker_that_cannot_start_is_no_endless_loop(monkeypatch, capfd):
    monkeypatch.setattr(processes, "_START", "import sys; sys.exit('no such worker')")
    with pytest.raises(MassError, match="exited with code 1 before it was ready"):
        list(compile_many([GOOD] * 5, workers=2))
    assert "no such worker" in capfd.readouterr().err
    assert not children()


SCRIPT = """
import itertools, os, sys
from tests.mass.programs import endless
from tests.mass.test_deaths import HANGING
from tracr_lite.compiler import compile_many

requests = itertools.chain(itertools.islice(endless(), 3), [HANGING] * 9)
for item in compile_many(requests, workers=2):
    print(item.index, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_the_process_that_started_it(how):
    """The script has no `if __name__ == "__main__"`; its workers are in programs that hang."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    try:
        assert [process.stdout.readline() for _ in range(3)] == ["0\n", "1\n", "2\n"]
        time.sleep(0.2)
        workers = children(process.pid)
        assert len(workers) == 2
        process.send_signal(how)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode != 0
    if how is signal.SIGINT:
        assert errors.count("KeyboardInterrupt") == 1  # of the script, none of the workers
    wait_for_the_end_of(workers)


def wait_for_the_end_of(processes):
    for _ in range(100):
        left = [
            each for each in processes if Path(f"/proc/{each}/stat").exists() and alive(each)
        ]
        if not left:
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {left}")


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
