"""Several files at once: really at once, larger ones first, and all told about an end."""

import threading

import pytest

from tracr_lite.xor import FileStatus, Status, XorError
from tracr_lite.xor.errors import FileRefused
from tracr_lite.xor.running import Runner, default_jobs


def right(name):
    return FileStatus(name, Status.CORRECT)


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_as_many_files_at_once_as_asked_for(jobs):
    together = threading.Barrier(jobs)

    def work(name, item, tick):
        together.wait(timeout=30)  # breaks if fewer come here at once
        return right(name)

    names = {str(number): number for number in range(2 * jobs)}
    rows = Runner(jobs, None).each("step", names, int, work)
    assert set(rows) == set(names)
    assert 1 <= default_jobs() <= 4


def test_larger_files_start_first():
    started = []

    def work(name, item, tick):
        started.append(item)
        return right(name)

    Runner(1, None).each("step", {"a": 3, "b": 9, "c": 1}, int, work)
    assert started == [9, 3, 1]


def test_what_one_file_raises_is_its_row_and_the_others_go_on():
    def work(name, item, tick):
        if name == "refused":
            raise FileRefused("for a reason")
        if name == "broken":
            raise OSError(5, "Input/output error", "/there")
        return right(name)

    names = dict.fromkeys(("refused", "broken", "fine"), 1)
    rows = Runner(2, None).each("step", names, int, work)
    assert rows["refused"] == FileStatus("refused", Status.REFUSED, "for a reason")
    assert rows["broken"].detail == "Input/output error (/there)"
    assert rows["fine"].status is Status.CORRECT


def test_a_full_disk_stops_the_step():
    def work(name, item, tick):
        raise OSError(28, "No space left on device")

    rows = Runner(1, None).each("step", {"a": 2, "b": 1}, int, work)
    assert rows["a"].status is Status.REFUSED
    assert rows["b"] == FileStatus("b", Status.SKIPPED, "the disk is full")


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs_are_too_few(jobs):
    with pytest.raises(XorError, match="at least 1"):
        Runner(jobs, None)
