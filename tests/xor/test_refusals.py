"""Names, links, places and sizes that are refused, with the reason."""

import gzip
import os
import shutil

import pytest

from tests.xor.trees import grow, noise, pair, read, rewrite_manifest
from tracr_lite.xor import FilesNotRight, XorError, decode, encode, verify
from tracr_lite.xor.codec import zstd
from tracr_lite.xor.manifest import MANIFEST


@pytest.fixture
def made(tmp_path):
    base, target = pair(tmp_path, 4000)
    encode(tmp_path / "r", target, base)
    return tmp_path


PLACES = [
    ("r", "PAYLOAD itself"),
    ("base", "BASE itself"),
    ("r/deep/er", "inside PAYLOAD"),
    ("base/sub", "inside BASE"),
    (".", "inside DST"),
    ("way_in", "BASE itself"),
    ("way_in/x", "inside BASE"),
    ("base/../r", "PAYLOAD itself"),
]


@pytest.mark.parametrize(("dst", "why"), PLACES)
def test_dst_is_apart_from_the_inputs(made, dst, why):
    (made / "way_in").symlink_to("base")
    before = read(made)
    with pytest.raises(XorError, match=why):
        decode(made / dst, made / "r", made / "base")
    with pytest.raises(XorError, match=why.replace("PAYLOAD", "TARGET")):
        encode(made / dst, made / "r", made / "base")
    assert read(made) == before


NAMES = [
    "/etc/x",
    "../x",
    "a/../../x",
    "a//b",
    "./a",
    "",
    "a/",
    "a\0b",
    "\ud800",
    "..",
    "sub/m/x",
    MANIFEST,
    ".xor-work/x",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["files", "removed", "folders"])
def test_unsafe_names_in_a_manifest(made, name, where):
    def add(whole):
        if where == "files":
            whole["files"][name] = whole["files"]["model.bin"]
        else:
            whole[where].append(name)

    if where == "removed" and name in NAMES[-3:]:
        return  # a base may have used names that a target cannot
    rewrite_manifest(made / "r" / MANIFEST, add)
    with pytest.raises(XorError, match="not usable"):
        decode(made / "d", made / "r", made / "base")
    with pytest.raises(XorError, match="not usable"):
        verify(made / "base", made / "r")
    assert not (made / "d").exists()


@pytest.mark.parametrize(
    "line", ["0" * 32 + "  ../x", "0" * 32 + "  /etc/x", "xyz  a", "0" * 31]
)
def test_unusable_sums(made, line):
    (made / "sums").write_text(f"{'1' * 32}  ./m\n{line}\n")
    with pytest.raises(XorError, match="line 2"):
        decode(made / "d", made / "r", made / "base", target_sums=made / "sums")


@pytest.mark.parametrize("side", ["base", "target", "r"])
def test_links_that_leave_the_tree(made, side):
    secret = grow(made / "outside", {"secret": (made / side / "model.bin").read_bytes()})
    (made / side / "model.bin").unlink()
    (made / side / "model.bin").symlink_to(secret / "secret")
    act = encode if side == "target" else decode
    given = (made / "target" if side == "target" else made / "r", made / "base")
    with pytest.raises(XorError, match=r"model\.bin.*leaves the tree"):
        act(made / "d", *given)
    act(made / "d", *given, follow_links=True)


@pytest.mark.parametrize("kind", ["outside", "broken", "folder"])
def test_a_manifest_that_is_there_is_never_passed_over(made, kind):
    """Else the release would count as one of the existing script, without any sums."""
    path = made / "r" / MANIFEST
    path.rename(made / "moved")
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(made / "moved" if kind == "outside" else "nowhere")
    with pytest.raises(XorError, match=rf"{MANIFEST}.* is a"):
        decode(made / "d", made / "r", made / "base")
    assert not (made / "d").exists()
    decode(made / "d", made / "r", made / "base", manifest=made / "moved")
    assert read(made / "d") == read(made / "target")


def test_links_that_stay_inside_are_read_as_files(made):
    (made / "base/model.bin").rename(made / "base/blob")
    (made / "base/model.bin").symlink_to("blob")
    decode(made / "d", made / "r", made / "base")
    assert read(made / "d") == read(made / "target")


def test_links_in_dst_are_replaced_or_refused_never_followed(made):
    outside = grow(made / "outside", {"victim": b"precious"})
    grow(made / "d", {})
    (made / "d/model.bin").symlink_to(outside / "victim")
    (made / "d/sub").symlink_to(outside)
    with pytest.raises(FilesNotRight, match="sub/m: refused"):
        decode(made / "d", made / "r", made / "base")
    assert read(outside) == {"victim": b"precious"}
    assert not (made / "d/model.bin").is_symlink()


def test_pipes_and_link_loops_are_not_opened(made):
    os.mkfifo(made / "target/pipe")
    (made / "target/loop").symlink_to("loop")
    (made / "target/up").symlink_to("..")
    with pytest.raises(XorError) as err:
        encode(made / "x", made / "target", made / "base")
    for part in ("pipe is not a regular file", "loop is a broken", "up is a link to a folder"):
        assert part in str(err.value)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
@pytest.mark.parametrize("allow", [False, True])
def test_decompression_bombs_are_stopped(tmp_path, pack, allow):
    base = grow(tmp_path / "b", {"m": noise(100)})
    release = grow(tmp_path / "r", {"m": pack(bytes(80 << 20))})
    with pytest.raises(FilesNotRight, match="bomb"):
        decode(tmp_path / "d", release, base, allow_length_mismatch=allow)
    assert not (tmp_path / "d").exists()
    decode(tmp_path / "d", release, base, allow_length_mismatch=True, max_bytes=80 << 20)


def test_a_bomb_behind_a_manifest_stops_at_the_size_it_states(made):
    payload = made / "r/model.bin"
    payload.write_bytes(gzip.compress(bytes(300 << 20), 1))

    def fit(whole):
        whole["files"]["model.bin"]["payload"]["bytes"] = payload.stat().st_size

    rewrite_manifest(made / "r" / MANIFEST, fit)
    with pytest.raises(FilesNotRight, match="more than the 4000 bytes"):
        decode(made / "d", made / "r", made / "base")


def test_a_size_that_no_disk_has_is_refused_before_the_work(made):
    def boast(whole):
        whole["files"]["model.bin"]["target"]["bytes"] = 1 << 60

    rewrite_manifest(made / "r" / MANIFEST, boast)
    with pytest.raises(XorError, match="free"):
        decode(made / "d", made / "r", made / "base")
    assert not (made / "d").exists()


@pytest.mark.parametrize("compress", ["none", "gzip"])
@pytest.mark.parametrize("more", [-7, 7])
def test_lengths_that_nothing_explains(tmp_path, compress, more):
    payload = bytes(100 + more)
    base = grow(tmp_path / "b", {"m": b"a" * 100})
    release = grow(
        tmp_path / "r", {"m": gzip.compress(payload) if compress == "gzip" else payload}
    )
    with pytest.raises(FilesNotRight, match="length mismatch"):
        decode(tmp_path / "d", release, base)
    assert not (tmp_path / "d").exists()
    (row,) = decode(tmp_path / "d", release, base, allow_length_mismatch=True).files
    assert row.detail == ("base cut by 7 bytes", "base continued with 7 zero bytes")[more > 0]
    assert read(tmp_path / "d") == {"m": (b"a" * 100 + bytes(7))[: 100 + more]}


def test_swapped_inputs_are_noticed(made):
    with pytest.raises(XorError, match="the order is DST PAYLOAD BASE"):
        decode(made / "d", made / "base", made / "r")
    with pytest.raises(XorError, match="neither files nor a manifest"):
        decode(made / "d", grow(made / "nothing", {}), made / "base")


def test_encode_does_not_mix_releases(made):
    shutil.rmtree(made / "target/sub")
    with pytest.raises(XorError, match=r"no part of the release: sub/deep/new, sub/m"):
        encode(made / "r", made / "target", made / "base")
    grow(made / "target", {MANIFEST: b"{}"})
    with pytest.raises(XorError, match="reserved"):
        encode(made / "x", made / "target", made / "base")


def test_a_folder_that_only_looks_like_ours_is_not_removed(made):
    for place in (".d.xor-work", ".dd.xor-work"):
        grow(made / place, {"thesis.txt": b"years of work"})
    with pytest.raises(XorError, match=r"thesis\.txt"):
        decode(made / "d", made / "r", made / "base")
    with pytest.raises(XorError, match=r"thesis\.txt"):
        encode(made / "dd", made / "target", made / "base")
    assert (made / ".d.xor-work/thesis.txt").exists()
    assert (made / ".dd.xor-work/thesis.txt").exists()
