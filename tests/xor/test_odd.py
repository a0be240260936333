"""Disks, links, names and leftovers that a run may meet."""

import errno
import os
import shutil
import subprocess

import pytest

from tests.xor.trees import grow, noise, read, rewrite_manifest
from tracr_lite.xor import FilesNotRight, Status, XorError, decode, encode, verify
from tracr_lite.xor.manifest import MANIFEST
from tracr_lite.xor.store import INSIDE, Store


@pytest.fixture
def made(tmp_path):
    """base, target, and a release of two files at r."""
    grow(tmp_path / "base", {"m": b"1234", "sub/n": b"12"})
    grow(tmp_path / "target", {"m": b"5678", "sub/n": b"34"})
    encode(tmp_path / "r", tmp_path / "target", tmp_path / "base")
    return tmp_path


def statuses(folder, *args, **options):
    """What became of each file, whether or not all is right."""
    try:
        rows = decode(folder, *args, **options).files
    except FilesNotRight as error:
        rows = error.report.files
    return {row.name: (row.status, row.detail) for row in rows}


# Disks


def ignore_case(monkeypatch):
    """As a disk does that takes A and a for one name."""
    monkeypatch.setattr(Store, "place", lambda store, name: store.root / name.lower())


@pytest.mark.parametrize("same", [False, True], ids=["other content", "same content"])
def test_two_names_that_the_disk_takes_for_one(tmp_path, monkeypatch, same):
    base = grow(tmp_path / "b", {"A": b"12", "a": b"34"})
    target = grow(tmp_path / "t", {"A": b"78", "a": b"78" if same else b"56"})
    encode(tmp_path / "r", target, base)
    ignore_case(monkeypatch)
    for _ in range(2):  # the second time, one is there already
        rows = statuses(tmp_path / "d", tmp_path / "r", base, jobs=1)
        assert sorted(row[0].right for row in rows.values() if "one" in row[1]) == [False]
        (right,) = [name for name, row in rows.items() if row[0].right]
        assert read(tmp_path / "d") == {"a": read(target)[right]}
    with pytest.raises(XorError, match="takes this name and 'A' for one"):
        encode(tmp_path / "s", target, base)
    with pytest.raises(XorError):
        decode(tmp_path / "e", tmp_path / "s", base)


def test_hard_links_in_dst_are_two_files(made):
    grow(made / "d", {"m": b"5678", "sub/": b""})
    os.link(made / "d/m", made / "d/sub/n")
    rows = statuses(made / "d", made / "r", made / "base")
    assert [row[0] for row in rows.values()] == [Status.ALREADY, Status.WRITTEN]
    assert read(made / "d") == read(made / "target")


def test_a_hard_link_to_the_base_is_replaced_not_written_through(made):
    (made / "d").mkdir()
    os.link(made / "base/m", made / "d/m")
    before = read(made / "base")
    decode(made / "d", made / "r", made / "base")
    assert read(made / "base") == before
    assert read(made / "d") == read(made / "target")


@pytest.mark.parametrize(("code", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_disk_that_cannot_sync_folders_will_do_but_not_one_that_fails(
    made, monkeypatch, code, passes
):
    real = os.fsync

    def sync(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(code, os.strerror(code))
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    rows = statuses(made / "d", made / "r", made / "base")
    assert {row[0].right for row in rows.values()} == {passes}


@pytest.fixture
def sealed(made):
    """A folder in DST in which nothing can be made or renamed."""
    folder = made / "d/sub"
    folder.mkdir(parents=True)
    lock, free = (["chmod", "a-w"], ["chmod", "u+w"])
    if os.geteuid() == 0:
        lock, free = (["chattr", "+i"], ["chattr", "-i"])
    if not shutil.which(lock[0]) or subprocess.run([*lock, folder]).returncode:
        pytest.skip("this disk has no way to stop root from writing")
    yield folder
    subprocess.run([*free, folder], check=True)


def test_a_read_only_folder_is_the_reason_of_one_row(made, sealed):
    rows = statuses(made / "d", made / "r", made / "base")
    assert rows["m"][0] is Status.WRITTEN
    assert rows["sub/n"][0] is Status.REFUSED
    assert str(sealed / "n") in rows["sub/n"][1]
    assert read(made / "d") == {"m": b"5678", "sub/": b""}
    assert not list(made.glob(f".*{INSIDE}"))


# Links


@pytest.mark.parametrize("side", ["base", "r"])
def test_a_file_of_dst_is_no_input_not_even_through_a_link(made, side):
    (made / "d").mkdir()
    (made / side / "m").rename(made / "d/m")
    (made / side / "m").symlink_to(made / "d/m")
    before = read(made / "d")
    with pytest.raises(XorError, match="is a link into DST"):
        decode(made / "d", made / "r", made / "base", follow_links=True)
    assert read(made / "d") == before


def test_encode_reads_nothing_from_dst_either(made):
    (made / "target/m").unlink()
    (made / "target/m").symlink_to(made / "r/m")
    before = read(made / "r")
    with pytest.raises(XorError, match="is a link into DST"):
        encode(made / "r", made / "target", made / "base", follow_links=True)
    assert read(made / "r") == before


@pytest.mark.parametrize("side", ["base", "r"])
def test_a_pipe_in_an_input_is_refused_not_waited_for(made, side):
    (made / side / "m").unlink()
    os.mkfifo(made / side / "m")
    rows = statuses(made / "d", made / "r", made / "base")
    assert rows["m"][0] is Status.REFUSED
    assert "not a regular file" in rows["m"][1]


def test_a_pipe_in_dst_is_replaced(made):
    (made / "d").mkdir()
    os.mkfifo(made / "d/m")
    decode(made / "d", made / "r", made / "base")
    assert read(made / "d") == read(made / "target")


# Names


def test_a_folder_that_cannot_be_made_is_a_row(made):
    rewrite_manifest(made / "r" / MANIFEST, lambda whole: whole["folders"].append("x" * 300))
    rows = statuses(made / "d", made / "r", made / "base")
    assert rows.pop("x" * 300 + "/")[0] is Status.REFUSED
    assert {row[0] for row in rows.values()} == {Status.WRITTEN}


def test_dst_may_have_the_longest_name_there_is(made):
    dst = made / ("x" * 255)
    decode(dst, made / "r", made / "base")
    assert read(dst) == read(made / "target")
    encode(made / ("y" * 255), made / "target", made / "base")
    verify(dst, made / ("y" * 255))


@pytest.mark.parametrize("place", range(3))
def test_a_nul_in_a_place_is_refused(made, place):
    given = [made / "d", made / "r", made / "base"]
    given[place] = "a\0b"
    with pytest.raises(XorError, match="cannot be"):
        decode(*given)


def test_dst_in_a_loop_of_links_is_refused(made):
    (made / "loop").symlink_to("loop")
    with pytest.raises(XorError, match="DST"):
        decode(made / "loop", made / "r", made / "base")


# Leftovers


def test_what_a_run_left_inside_dst_is_taken_over(made):
    """Where nothing can be written beside DST, files grow inside it; that may change."""
    for dst in ("d", "s"):
        grow(made / dst, {f"{INSIDE}/{'a' * 40}.part": noise(100)})
    decode(made / "d", made / "r", made / "base")
    assert read(made / "d") == read(made / "target")
    encode(made / "s", made / "target", made / "base")
    verify(made / "s", made / "s", side="payload")


def test_a_file_in_place_of_the_work_folder_is_not_removed(made):
    grow(made, {f".d{INSIDE}": b"mine"})
    with pytest.raises(XorError, match="in the way; remove it"):
        decode(made / "d", made / "r", made / "base")
    assert (made / f".d{INSIDE}").read_bytes() == b"mine"


def test_empty_trees(tmp_path):
    base, target = grow(tmp_path / "b", {"gone": b"1"}), grow(tmp_path / "t", {})
    encode(tmp_path / "r", target, base)
    assert decode(tmp_path / "d", tmp_path / "r", base).files == ()
    assert read(tmp_path / "d") == {}
    verify(tmp_path / "d", tmp_path / "r")
    with pytest.raises(FilesNotRight, match="gone: unexpected; the target has it removed"):
        verify(base, tmp_path / "r")
