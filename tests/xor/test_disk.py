"""A full disk, and two runs into one folder."""

import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.xor.trees import grow, nearly, noise, read
from tracr_lite.xor import FilesNotRight, XorError, decode, encode, store

ROOT = Path(__file__).parents[2]
RUN = """
import resource, signal, sys
from tracr_lite.xor import XorError, decode, encode
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing past the limit fails like a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
do = {"encode": encode, "decode": decode}[sys.argv[2]]
try:
    do(*sys.argv[3:])
except XorError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def models(tmp_path):
    base = grow(tmp_path / "base", {"big": noise(400_000), "small": noise(20_000, 2)})
    target = {"big": nearly(noise(400_000)), "small": nearly(noise(20_000, 2))}
    return base, grow(tmp_path / "target", target)


def limited(limit, *words):
    """Runs in a process that can write no file beyond so many bytes: (exit code, stderr)."""
    words = [sys.executable, "-c", RUN, str(limit), *map(str, words)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("limit", [50_000, 262_144, 399_999])
def test_a_decode_that_cannot_write_all_leaves_what_is_right(models, tmp_path, limit):
    base, target = models
    encode(tmp_path / "r", target, base)
    code, said = limited(limit, "decode", tmp_path / "d", tmp_path / "r", base)
    assert code == 1
    assert "big: refused; File too large" in said
    assert set(read(tmp_path / "d")) == {"small"}
    assert read(tmp_path / "d").items() <= read(target).items()
    assert limited(400_000, "decode", tmp_path / "d", tmp_path / "r", base)[0] == 0
    assert read(tmp_path / "d") == read(target)


def test_an_encode_that_cannot_write_all_leaves_nothing_that_looks_complete(models, tmp_path):
    base, target = models
    code, said = limited(8_000, "encode", tmp_path / "r", target, base)
    assert code == 1
    assert "big: refused; File too large" in said
    assert not (tmp_path / "r").exists()
    encode(tmp_path / "r", target, base)
    decode(tmp_path / "d", tmp_path / "r", base)
    assert read(tmp_path / "d") == read(target)


@pytest.fixture
def tiny(tmp_path):
    """A disk of 512 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root and a mount namespace")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("inner", ["", "d"], ids=["mount point", "folder"])
def test_a_full_disk(models, tmp_path, tiny, inner, monkeypatch):
    base, target = models
    encode(tmp_path / "r", target, base)
    ballast = grow(tiny, {"ballast": bytes(300_000)}) / "ballast"
    dst = tiny / inner
    with pytest.raises(XorError, match="free; nothing was written"):
        decode(dst, tmp_path / "r", base)
    monkeypatch.setattr("tracr_lite.xor.decoding._check_space", lambda *_: None)
    with pytest.raises(FilesNotRight, match=r"No space left|the disk is full"):
        decode(dst, tmp_path / "r", base, jobs=1)
    left = {name: data for name, data in (read(dst) or {}).items() if name != "ballast"}
    assert left.items() <= read(target).items()
    assert "big" not in left
    ballast.unlink()
    decode(dst, tmp_path / "r", base)
    assert read(dst) == read(target)


@pytest.fixture
def bound(tmp_path):
    """A folder of the same disk, mounted at a second place."""
    for name in ("there", "d"):
        (tmp_path / name).mkdir()
    words = ["mount", "--bind", str(tmp_path / "there"), str(tmp_path / "d")]
    if not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting needs root and a mount namespace")
    yield tmp_path / "d"
    subprocess.run(["umount", str(tmp_path / "d")], check=True)


def test_a_mount_of_a_folder_of_the_same_disk(models, tmp_path, bound):
    base, target = models
    encode(tmp_path / "r", target, base)
    decode(bound, tmp_path / "r", base)
    assert read(tmp_path / "there") == read(target)


def test_of_two_runs_into_one_folder_one_is_refused(models, tmp_path):
    base, target = models
    encode(tmp_path / "r", target, base)
    inside, go_on = threading.Event(), threading.Event()

    def wait(*_):
        inside.set()
        assert go_on.wait(30)

    first = threading.Thread(
        target=decode, args=(tmp_path / "d", tmp_path / "r", base), kwargs={"progress": wait}
    )
    first.start()
    assert inside.wait(30)
    (tmp_path / "alias").symlink_to("d")
    try:
        for dst in ("d", "alias"):
            with pytest.raises(XorError, match="another run is writing"):
                decode(tmp_path / dst, tmp_path / "r", base)
        with pytest.raises(XorError, match="another run is writing"):
            encode(tmp_path / "d", target, base)
    finally:
        go_on.set()
        first.join()
    assert read(tmp_path / "d") == read(target)


def test_many_processes_race_into_one_folder(models, tmp_path):
    base, target = models
    encode(tmp_path / "r", target, base)
    other = grow(tmp_path / "other", {name: data[::-1] for name, data in read(target).items()})
    encode(tmp_path / "s", other, base)
    orders = [("decode", tmp_path / "d", tmp_path / side, base) for side in "rs" * 4]
    words = [sys.executable, "-c", RUN, str(1 << 30)]
    runs = [
        subprocess.Popen(
            [*words, *map(str, order)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for order in orders
    ]
    said = [run.communicate()[1] for run in runs]
    codes = [run.returncode for run in runs]
    assert 0 in codes
    for code, text in zip(codes, said, strict=True):
        assert code == 0 or "another run is writing" in text
    # each run saw a finished folder of its own: the last one rules, and nothing is mixed
    assert read(tmp_path / "d") in (read(target), read(other))


def test_a_lock_is_not_kept_on_a_folder_that_is_gone(tmp_path):
    with store.locked(tmp_path / "d"):
        pass
    assert not (tmp_path / "d").exists()
    with store.locked(tmp_path / "d") as held:
        held.done = True
    assert (tmp_path / "d").is_dir()


def test_the_limit_of_these_tests_is_one(tmp_path):
    """Else a full disk would not be met at all."""
    code = RUN.split("do =")[0] + "\nwith open(sys.argv[2], 'wb') as f: f.write(bytes(101))"
    words = [sys.executable, "-c", code, "100", str(tmp_path / "x")]
    assert subprocess.run(words, cwd=ROOT, capture_output=True).returncode == 1
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert signal.getsignal(signal.SIGXFSZ) is not None
