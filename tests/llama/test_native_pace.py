"""How many threads a pass is worth: on busy cores, and with more threads than cores."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from tests.llama.running import GQA, make_model
from tracr_lite.llama.sampler_settings import SamplerSettings

pytest.importorskip("numba", reason="the native engine needs numba")
from tracr_lite.llama.native import pace
from tracr_lite.llama.native.edge import compiled, now, sleep
from tracr_lite.llama.native.engine import NativeEngine
from tracr_lite.llama.native.pace import LONG, MUCH, NEVER, SHORT, Pace, judge
from tracr_lite.llama.native.threads import (
    ARRIVED,
    LEAVES,
    LOST,
    OWED,
    PLACES,
    UNTIL,
    meet,
    together,
)


@compiled
def sleep_and_judge(sync, microseconds, threads):
    begun = now()
    sleep(microseconds)
    return begun, judge(sync, begun, threads)


@compiled
def count_together(sync, counts, rounds, late, thread, threads):
    """Each thread adds to its count; then all look whether they see the same of all."""
    wrong = 0
    for i in range(rounds):
        if thread == 0 and late > 0:
            sleep(late)
        counts[thread] += 1
        meet(sync, threads)
        for other in range(threads):
            wrong += counts[other] != i + 1
        meet(sync, threads)
    return wrong


@contextmanager
def busy_cores(count):
    """Other processes that take all they get."""
    children = []
    try:
        for _ in range(count):
            child = os.fork()
            if not child:
                while True:
                    pass
            children.append(child)
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def fresh_sync(until=NEVER):
    sync = np.zeros(PLACES, np.int64)
    sync[UNTIL] = until
    return sync


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets, in nanoseconds."""
    time_ = {"now": 1}
    monkeypatch.setattr(pace.time, "monotonic_ns", lambda: time_["now"])
    return time_


def test_the_clock_is_that_of_python():
    before = time.monotonic_ns()
    begun, ended = sleep_and_judge(fresh_sync(), 3000, 1)
    assert before <= begun <= ended - 3_000_000 < ended <= time.monotonic_ns()


@pytest.mark.parametrize(("threads", "late"), [(1, 0), (2, 0), (7, 0), (3, 400)])
def test_threads_see_what_others_have_written(threads, late):
    sync, counts, wrong = fresh_sync(), np.zeros(threads, np.int64), []
    count_together(fresh_sync(), np.zeros(1, np.int64), 1, 0, 0, 1)  # compiled before

    def work(thread, threads):
        wrong.append(count_together(sync, counts, 40, late, thread, threads))

    together(work, threads, sync)
    assert wrong == [0] * threads
    assert sync[ARRIVED] == (80 * threads if threads > 1 else 0)
    if late:  # longer than threads look
        assert sync[LOST] > 0


def test_where_one_was_interrupted_the_others_do_not_wait_at_each_meeting():
    sync, counts = fresh_sync(), np.zeros(2, np.int64)
    count_together(fresh_sync(), np.zeros(1, np.int64), 1, 0, 0, 1)  # compiled before

    def work(thread, threads):
        if thread == 0:
            raise KeyboardInterrupt
        count_together(sync, counts, 10_000, 0, thread, threads)

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        together(work, 2, sync)
    assert time.monotonic() - begun < 4  # to look for each meeting would take 8 seconds


def test_an_interrupt_while_threads_end_leaves_none_behind(monkeypatch):
    """Ctrl-C while the first thread, which is done, waits for another one."""
    sync, ended, join, interrupts = fresh_sync(), [], threading.Thread.join, [KeyboardInterrupt]

    def work(thread, _threads):
        if thread:
            time.sleep(0.1)
            ended.append(thread)

    def interrupted(self, *how):
        if interrupts:
            raise interrupts.pop()
        join(self, *how)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        together(work, 2, sync)
    assert (ended, sync[ARRIVED]) == ([1], 0)


def test_nothing_is_owed_where_little_is_lost():
    sync = fresh_sync()
    sync[LOST], sync[OWED] = 1_000_000, 3_000_000
    sleep_and_judge(sync, 2500, 2)
    assert (sync[LOST], sync[LEAVES]) == (0, 0)
    assert 0 <= sync[OWED] <= 3_000_000 + 1_000_000 - 1_250_000  # paid back: half of the time


def test_what_is_lost_is_shared_by_those_who_wait():
    sync = fresh_sync()
    sync[LOST] = 8 * MUCH
    sleep_and_judge(sync, 0, 9)
    assert sync[OWED] <= MUCH
    assert sync[LEAVES] == 0


def test_much_that_is_lost_and_an_end_of_time_are_reasons_to_leave():
    lost, late = fresh_sync(), fresh_sync(until=time.monotonic_ns())
    lost[LOST] = 10_000 * MUCH  # however late this process is woken
    for sync in (lost, late):
        sleep_and_judge(sync, 10, 2)
        assert sync[LEAVES] == 1


def learn(threads_pace, owed):
    sync = np.zeros(PLACES, np.int64)
    threads_pace.prepare(sync)
    sync[OWED] = owed
    threads_pace.learn(sync)
    return threads_pace.threads


def test_half_of_the_threads_go_on_and_more_are_tried_again(clock):
    tried = Pace(5)
    assert learn(tried, MUCH) == 5
    assert learn(tried, MUCH + 1) == 2
    clock["now"] += SHORT
    assert learn(tried, MUCH) == 2
    clock["now"] += 1
    assert learn(tried, 0) == 4
    clock["now"] += SHORT + 1
    assert learn(tried, 0) == 5
    clock["now"] += 100 * LONG
    assert learn(tried, 0) == 5
    assert learn(Pace(1), 9 * MUCH) == 1


def test_pauses_grow_while_more_threads_fail_and_start_again_once_they_last(clock):
    tried, pauses = Pace(2), []
    for _ in range(9):
        assert learn(tried, 2 * MUCH) == 1
        begun = clock["now"]
        while learn(tried, 0) == 1:
            clock["now"] += SHORT // 4
        pauses.append((clock["now"] - begun) // SHORT)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    clock["now"] += 9 * LONG
    assert learn(tried, 2 * MUCH) == 1
    clock["now"] += SHORT + 1
    assert learn(tried, 0) == 2


def test_what_is_owed_goes_from_call_to_call():
    tried, sync = Pace(2), np.zeros(PLACES, np.int64)
    sync[OWED] = MUCH // 2
    tried.learn(sync)
    other = np.zeros(PLACES, np.int64)
    tried.prepare(other)
    assert (other[OWED], other[UNTIL], other[LEAVES]) == (MUCH // 2, NEVER, 0)


def test_calls_that_drop_threads_at_the_same_time_leave_one_and_no_debts():
    """As two Python threads do that generate with one engine."""
    tried, sync = Pace(2), np.zeros(PLACES, np.int64)
    for _ in range(2):
        sync[OWED] = 2 * MUCH
        tried.learn(sync)
    tried.prepare(sync)
    assert (tried.threads, sync[OWED]) == (1, 0)


def decode(engine, count, seeds=(1,)):
    batch = engine.batch([1], 24, SamplerSettings(0.0), seeds, [])
    first = batch.begin([[1]] * len(seeds))
    return first.tolist(), batch.advance(count).tolist()


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_a_call_that_threads_leave_goes_on_where_it_was(rows, monkeypatch):
    """Threads are dropped and taken again between tokens: none is missing, none comes twice."""
    model = make_model(GQA)
    wanted = decode(NativeEngine(model.params, model.config, 1), 20, [1] * rows)
    engine, seen = NativeEngine(model.params, model.config, 3), []
    prepare = Pace.prepare

    def always_leave(self, sync):
        prepare(self, sync)
        sync[UNTIL] = 0
        seen.append(self.threads)

    def always_change(self, _sync):
        self.threads = self.threads % 3 + 1

    monkeypatch.setattr(Pace, "prepare", always_leave)
    monkeypatch.setattr(Pace, "learn", always_change)
    assert decode(engine, 20, [1] * rows) == wanted
    assert len(seen) == 21
    assert set(seen) == {1, 2, 3}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_more_threads_than_cores_and_all_of_them_busy():
    """What runs on other processors does not change what is found, nor stop it."""
    model = make_model(GQA)
    cores = os.cpu_count() or 1
    wanted = decode(NativeEngine(model.params, model.config, 1), 20, [1] * 3)
    engine = NativeEngine(model.params, model.config, cores + 2)
    with busy_cores(cores):
        assert [decode(engine, 20, [1] * 3) for _ in range(3)] == [wanted] * 3
