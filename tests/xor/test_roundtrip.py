"""The law: decode(encode(target, base), base) is target."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.xor.trees import grow, nearly, noise, read
from tracr_lite.xor import FilesNotRight, decode, encode, verify
from tracr_lite.xor.manifest import MANIFEST

LETTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
PARTS = st.one_of(
    st.sampled_from(["a", "b", "c", "ab"]),
    st.text(LETTERS, min_size=1, max_size=9).filter(
        lambda part: part not in (".", "..", MANIFEST)
    ),
)
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
BYTES = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 9000).map(noise),
    st.sampled_from([b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", bytes(5000)]),
)


def possible(files):
    """Whether a disk can hold these names: no file is also a folder."""
    plain = {name for name in files if not name.endswith("/")}
    parts = [name.rstrip("/").split("/") for name in files]
    folders = {"/".join(p[:i]) for p in parts for i in range(1, len(p))}
    folders |= {name.rstrip("/") for name in files if name.endswith("/")}
    return not plain & folders and all(len(x.encode()) < 200 for p in parts for x in p)


FILES = st.dictionaries(NAMES, BYTES, max_size=6)
HOLLOW = st.dictionaries(NAMES.map("{}/".format), st.just(b""), max_size=2)
TREES = st.builds(dict.__or__, FILES, HOLLOW).filter(possible)


@settings(max_examples=120, deadline=None)
@given(
    TREES,
    TREES,
    st.sampled_from(["none", "gzip", "zstd"]),
    st.data(),
)
def test_decoding_undoes_encoding(base, target, compress, data):
    shared = data.draw(st.sets(st.sampled_from(sorted(base) or [None]), max_size=3)) - {None}
    target |= {n: nearly(base[n]) for n in shared if possible(target | {n: b""})}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        grow(root / "b", base)
        grow(root / "t", target)
        encode(root / "r", root / "t", root / "b", compress=compress)
        decode(root / "d", root / "r", root / "b")
        assert read(root / "d") == read(root / "t")
        verify(root / "d", root / "r")
        assert sorted(path.name for path in root.iterdir()) == ["b", "d", "r", "t"]


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("size", [262_143, 262_144, 262_145, 1_000_003])
@pytest.mark.parametrize("more", [-300_000, -1, 0, 1, 300_000])
def test_lengths_around_the_chunks(tmp_path, compress, size, more):
    base, target = noise(max(0, size + more)), nearly(noise(size))
    grow(tmp_path / "b", {"m": base})
    grow(tmp_path / "t", {"m": target})
    encode(tmp_path / "r", tmp_path / "t", tmp_path / "b", compress=compress)
    if compress == "none":  # the arithmetic itself, not only its inverse
        padded = np.frombuffer(base[:size].ljust(size, b"\0"), np.uint8)
        expected = np.frombuffer(target, np.uint8) ^ padded
        assert (tmp_path / "r/m").read_bytes() == expected.tobytes()
    for first in (True, False):
        decode(tmp_path / "d", tmp_path / "r", tmp_path / "b", check_base_first=first)
        assert (tmp_path / "d/m").read_bytes() == target
        (tmp_path / "d/m").unlink()


def test_names_that_are_no_unicode(tmp_path):
    odd = "caf\udce9\n\\x"
    grow(tmp_path / "b", {odd: b"1"})
    grow(tmp_path / "t", {odd: b"2", f"sub{odd}/x": b"3"})
    encode(tmp_path / "r", tmp_path / "t", tmp_path / "b")
    decode(tmp_path / "d", tmp_path / "r", tmp_path / "b")
    assert read(tmp_path / "d") == read(tmp_path / "t")


def test_an_old_file_in_dst_is_replaced_and_a_strange_one_reported(tmp_path):
    grow(tmp_path / "b", {"m": b"1", "old": b"0"})
    grow(tmp_path / "t", {"m": b"2"})
    grow(tmp_path / "d", {"m": b"older", "old": b"0", "mine": b"!"})
    encode(tmp_path / "r", tmp_path / "t", tmp_path / "b")
    for _ in range(2):
        with pytest.raises(FilesNotRight) as err:
            decode(tmp_path / "d", tmp_path / "r", tmp_path / "b")
        rows = {row.name: row.detail for row in err.value.report.wrong}
        assert rows == {"mine": "not in the release", "old": "the target has it removed"}
        assert read(tmp_path / "d") == {"m": b"2", "old": b"0", "mine": b"!"}
