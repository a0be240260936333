"""Where a model is saved: nothing that was there is lost, and a kill leaves no half of one."""

import errno
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tracr_lite
from tests.compiler.saved import WORD, body_in, files, numerical_model, small_model
from tracr_lite.compiler.saving import aside
from tracr_lite.compiler.saving.names import CARD, NAMES, RECORD, WEIGHTS, work_folder_of
from tracr_lite.errors import SavedModelError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def other():
    return numerical_model()


@pytest.fixture(scope="module")
def both(model, other, tmp_path_factory):
    place = tmp_path_factory.mktemp("both")
    return model.save(place / "small"), other.save(place / "numerical")


def refused(model, folder, said, **options):
    before = tree(folder)
    with pytest.raises(SavedModelError, match=said) as raised:
        model.save(folder, **options)
    assert str(raised.value).startswith(f"cannot save to {str(folder)!r}: ")
    assert tree(folder) == before
    assert not os.path.lexists(work_folder_of(folder))


def tree(folder):
    if not folder.is_dir():
        return folder.read_bytes() if folder.is_file() else None
    return {path.name: tree(path) for path in folder.iterdir()}


# Places that are free


def test_the_folder_holds_three_files_and_its_parents_are_made(model, tmp_path):
    goal = tmp_path / "a" / "b" / "model"
    assert model.save(goal) == goal
    assert sorted(files(goal)) == sorted(NAMES)
    assert [path.name for path in goal.parent.iterdir()] == ["model"]
    assert goal.stat().st_mode & 0o777 == 0o777 & ~umask()


def umask():
    old = os.umask(0)
    os.umask(old)
    return old


def test_an_empty_folder_and_a_link_are_filled(model, tmp_path):
    (tmp_path / "empty").mkdir()
    model.save(tmp_path / "empty")
    (tmp_path / "link").symlink_to(tmp_path / "far")
    model.save(str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert files(tmp_path / "far") == files(tmp_path / "empty")


# Places that are taken


def test_what_is_there_already_is_refused_and_kept(model, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    refused(model, tmp_path / "file", "there is a file of that name")
    refused(model, tmp_path / "file", "there is a file of that name", overwrite=True)
    refused(model, tmp_path / "file" / "inner", "File exists: '.*file'$")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused(model, tmp_path / "loop", "link")
    refused(model, tmp_path / ("x" * 250), "name too long")
    for name, said in (("/", "no name"), ("a\0b", "null")):
        with pytest.raises(SavedModelError, match=said):
            model.save(name)


@pytest.mark.parametrize("name", ["notes.txt", ".git", WEIGHTS, RECORD])
def test_a_folder_of_something_else_is_never_replaced(model, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(b'{\n "format": "mine"}')
    for overwrite in (False, True):
        said = "the folder is not empty, and no saved model: it holds"
        refused(model, tmp_path / "mine", said, overwrite=overwrite)


def test_a_saved_model_is_replaced_only_when_asked(model, other, tmp_path):
    goal = tmp_path / "model"
    model.save(goal)
    refused(
        other, goal, r"holds a saved model already; replace it with overwrite=True \(--force"
    )
    other.save(goal, overwrite=True)
    assert tracr_lite.load(goal).predict(["compiler_bos", "a"]) == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_saved_model_with_more_in_its_folder_is_not_replaced(model, tmp_path):
    goal = model.save(tmp_path / "model")
    (goal / "notes.txt").write_text("mine")
    said = "but also 'notes.txt', which would be lost"
    refused(model, goal, said, overwrite=True)
    refused(model, goal, said)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_folders_named_as_files_of_a_model_are_not_replaced(model, tmp_path, name):
    goal = model.save(tmp_path / "model")
    (goal / name).unlink()
    (goal / name).mkdir()
    (goal / name / "notes.txt").write_text("mine")
    refused(model, goal, f"but also {name!r}, which would be lost", overwrite=True)
    (goal / name / "notes.txt").unlink()
    (goal / name).rmdir()
    (tmp_path / "store").mkdir()
    (goal / name).symlink_to(tmp_path / "store")
    model.save(goal, overwrite=True)
    assert (tmp_path / "store").is_dir()


def test_a_damaged_model_can_be_replaced(model, both, tmp_path):
    goal = model.save(tmp_path / "model")
    (goal / CARD).unlink()
    (goal / WEIGHTS).write_bytes(b"")
    (goal / RECORD).write_bytes((goal / RECORD).read_bytes()[:100])
    model.save(goal, overwrite=True)
    assert files(goal) == files(both[0])


def test_the_current_folder_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("", ".", str(tmp_path)):
        with pytest.raises(SavedModelError, match="it is the current folder"):
            model.save(name)
    assert list(tmp_path.iterdir()) == []


# Saving beside others, and failing


def test_two_runs_do_not_save_to_one_place(model, tmp_path):
    goal = tmp_path / "model"
    work = work_folder_of(goal)
    work.mkdir()
    handle = os.open(work, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(SavedModelError, match="another run is saving there"):
        model.save(goal)
    os.close(handle)
    model.save(goal)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_is_not_of_a_save_is_not_used(model, tmp_path):
    work = work_folder_of(tmp_path / "model")
    work.mkdir()
    (work / "mine").write_text("mine")
    with pytest.raises(SavedModelError, match="holds 'mine', which no save put there"):
        model.save(tmp_path / "model")
    assert tree(tmp_path) == {work.name: {"mine": b"mine"}}


@pytest.mark.parametrize("call", range(9))
def test_a_disk_that_fails_leaves_what_was_there(
    model, other, both, tmp_path, monkeypatch, call
):
    goal = model.save(tmp_path / "model")
    calls = iter(range(100))
    real = os.fsync

    def fsync(handle):
        if next(calls) == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    try:
        other.save(goal, overwrite=True)
    except SavedModelError as error:
        assert "No space left on device" in str(error)  # noqa: PT017
        assert call <= 4  # the last one comes after the exchange
    else:
        assert call > 4
    assert files(goal) == files(both[call >= 4])
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_interrupt_leaves_what_was_there(model, other, both, tmp_path, monkeypatch):
    goal = model.save(tmp_path / "model")

    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        other.save(goal, overwrite=True)
    assert files(goal) == files(both[0])
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("swaps", [True, False])
def test_a_model_is_read_whole_while_it_is_replaced(model, other, tmp_path, monkeypatch, swaps):
    """Not the record of one with the weights of the other, and never a missing file."""
    if not swaps:
        monkeypatch.setattr(aside, "exchange", lambda one, two: False)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    goal = model.save(tmp_path / "model")
    done = threading.Event()

    def replace():
        while not done.is_set():
            other.save(goal, overwrite=True)
            model.save(goal, overwrite=True)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        found = {tracr_lite.load(goal).description.text for _ in range(150)}
    finally:
        done.set()
        thread.join()
    assert found == {model.description.text, other.description.text}


# Without a step that swaps folders


def test_without_an_exchange_folders_are_replaced_too(
    model, other, both, tmp_path, monkeypatch
):
    monkeypatch.setattr(aside, "exchange", lambda one, two: False)
    goal = model.save(tmp_path / "model")
    other.save(goal, overwrite=True)
    assert files(goal) == files(both[1])
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_without_an_exchange_a_failure_brings_the_former_back(
    model, both, tmp_path, monkeypatch
):
    monkeypatch.setattr(aside, "exchange", lambda one, two: False)
    goal = model.save(tmp_path / "model")
    real = Path.rename

    def rename(path, target):
        if path.name == "new":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    refused(model, goal, "Input/output error", overwrite=True)
    assert files(goal) == files(both[0])


def test_what_a_kill_took_away_is_named_and_brought_back(model, other, both, tmp_path):
    """The state between the two renames."""
    goal, work = tmp_path / "model", work_folder_of(tmp_path / "model")
    work.mkdir()
    shutil.copytree(both[0], work / "old")
    with pytest.raises(SavedModelError, match=r"the former one is whole in '.*old': load it"):
        tracr_lite.load(goal)
    assert tracr_lite.load(work / "old").predict(WORD) == ["aa", "bb", "aa"]
    with pytest.raises(SavedModelError, match="holds a saved model already"):
        other.save(goal)
    assert files(goal) == files(both[0])
    other.save(goal, overwrite=True)
    assert files(goal) == files(both[1])


# Kills


class Forker:
    """The process of `save_forker.py`."""

    def __init__(self):
        words = [sys.executable, "-m", "tests.compiler.save_forker"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)

    def __call__(self, model, goal, **options):
        given = {"overwrite": True, "exchange": True, "kill_after": None, "kill_at": None}
        order = {"model": str(model), "goal": str(goal)} | given | options
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def forked():
    forker = Forker()
    yield forker
    forker.close()


def check_after_kill(goal, former, new, exchange):
    """`former` (a folder or None) or `new` is at the goal, whole."""
    old = work_folder_of(goal) / "old"
    if goal.exists():
        assert files(goal) in ([files(new)] if former is None else [files(former), files(new)])
    elif former is not None:
        assert not exchange
        assert files(old) == files(former)


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("there", ["nothing", "empty", "model"])
def test_a_kill_before_any_file_operation_leaves_one_whole_model(
    forked, both, tmp_path, there, exchange
):
    former = both[0] if there == "model" else None
    number, code = 0, -9
    while code == -9:
        goal = tmp_path / str(number) / "model"
        if former is not None:
            shutil.copytree(former, goal)
        elif there == "empty":
            goal.mkdir(parents=True)
        code = forked(both[1], goal, exchange=exchange, kill_at=number)["code"]
        empty = there == "empty" and goal.exists() and not files(goal)
        if not empty:
            check_after_kill(goal, former, both[1], exchange)
        assert forked(both[1], goal)["code"] == 0  # the next run puts all in order
        assert files(goal) == files(both[1])
        assert [path.name for path in goal.parent.iterdir()] == ["model"]
        number += 1
    assert code == 0
    assert number > 8


def test_a_kill_at_any_moment_leaves_one_whole_model(forked, both, tmp_path):
    goal = shutil.copytree(both[0], tmp_path / "model")
    rng, kills, now = random.Random(1), 0, 0
    for attempt in range(400):
        new = both[1 - now]
        moment = rng.uniform(0, 0.02 + 0.0002 * attempt)
        kills += forked(new, goal, kill_after=moment)["code"] == -9
        check_after_kill(goal, both[now], new, True)
        now = [files(each) for each in both].index(files(goal))
        if kills == 40:
            break
    assert kills == 40
    assert body_in(goal)["format"] == "tracr_lite.model"
