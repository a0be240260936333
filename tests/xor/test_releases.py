"""Releases of the existing script are decoded, and it decodes ours."""

import hashlib
import json
import shutil

import pytest

from tests.xor.trees import GOLDEN, grow, nearly, needs_golden, noise, pair, read, script
from tracr_lite.xor import FilesNotRight, Status, decode, encode

OLD = {"allow_length_mismatch": True}
kinds = pytest.mark.parametrize("kind", ["plain", "gzip"])


@needs_golden
@kinds
@pytest.mark.parametrize("chosen", [False, True], ids=["detected", "chosen"])
def test_golden_releases_are_decoded(tmp_path, kind, chosen):
    compress = {"plain": "none", "gzip": "gzip"}[kind] if chosen else None
    release = GOLDEN / f"payload_{kind}"
    decode(tmp_path / "d", release, GOLDEN / "base", compress=compress, **OLD)
    expected = json.loads((GOLDEN / "xor.json").read_text())["runs"][f"decode_{kind}"]
    found = {n: hashlib.sha256(d).hexdigest() for n, d in read(tmp_path / "d").items()}
    assert found == {n: each["sha256"] for n, each in expected["output_tree"].items()}


@needs_golden
@kinds
def test_golden_sums_are_checked_and_what_they_list_has_to_come_out(tmp_path, kind):
    with pytest.raises(FilesNotRight) as err:
        decode(
            tmp_path / "d",
            GOLDEN / f"payload_{kind}",
            GOLDEN / "base",
            target_sums=GOLDEN / "MD5SUMS",
            **OLD,
        )
    rows = {row.name: row.status for row in err.value.report.files}
    assert rows.pop("new_file.bin") is Status.MISSING  # the script cannot release it
    assert set(rows.values()) == {Status.WRITTEN}


@needs_golden
@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_golden_targets_are_encoded_to_the_same_uncompressed_bytes(tmp_path, compress):
    encode(tmp_path / "r", GOLDEN / "target", GOLDEN / "base", compress=compress)
    script(tmp_path / "d", tmp_path / "r", GOLDEN / "base", compress=compress == "gzip")
    target = read(GOLDEN / "target")
    for name, data in read(GOLDEN / "payload_plain").items():
        if compress == "none":
            assert (tmp_path / "r" / name).read_bytes() == data
        assert (tmp_path / "d" / name).read_bytes() == target[name]


@needs_golden
def test_a_manifest_carries_new_removed_and_nested_golden_files(tmp_path):
    encode(tmp_path / "r", GOLDEN / "target", GOLDEN / "base")
    decode(tmp_path / "d", tmp_path / "r", GOLDEN / "base")
    assert read(tmp_path / "d") == read(GOLDEN / "target")


@kinds
@pytest.mark.parametrize("in_base", [False, True], ids=["tokens new", "tokens in base"])
def test_the_script_and_we_read_each_others_releases(tmp_path, kind, in_base):
    base, target = pair(tmp_path)
    shutil.rmtree(target / "sub")
    (target / "hollow").rmdir()
    (target / "empty").unlink()
    if in_base:
        (base / "added_tokens.json").write_bytes(b'{"<y>": 31000, "z": 2}')
    packed = kind == "gzip"
    script(tmp_path / "theirs", target, base, encode=True, compress=packed)
    decode(tmp_path / "one", tmp_path / "theirs", base, **OLD)
    assert read(tmp_path / "one") == read(target)
    report = encode(tmp_path / "ours", target, base, compress="gzip" if packed else "none")
    assert report.notes == ()
    script(tmp_path / "two", tmp_path / "ours", base, compress=packed)
    assert read(tmp_path / "two") == read(target)


def test_what_the_script_cannot_decode_is_said(tmp_path):
    base, target = pair(tmp_path)
    (target / "added_tokens.json").unlink()
    (note,) = encode(tmp_path / "r", target, base, compress="zstd").notes
    for part in ("zstd", "subfolders", "new files", "without added_tokens.json"):
        assert part in note


def test_a_clear_copy_of_tokens_is_kept_although_the_base_has_the_file(tmp_path):
    base = grow(tmp_path / "b", {"added_tokens.json": b'{"a": 1}'})
    release = grow(tmp_path / "r", {"added_tokens.json": b'{"b": 2}'})
    decode(tmp_path / "d", release, base)
    assert read(tmp_path / "d") == read(release)


def test_a_plain_payload_that_looks_like_gzip_needs_the_choice(tmp_path):
    base = noise(5000)
    payload = b"\x1f\x8b\x08" + noise(4997, 3)
    grow(tmp_path / "b", {"m": base})
    grow(tmp_path / "r", {"m": payload})
    with pytest.raises(FilesNotRight, match="--compress none"):
        decode(tmp_path / "d", tmp_path / "r", tmp_path / "b")
    decode(tmp_path / "d", tmp_path / "r", tmp_path / "b", compress="none")
    expected = bytes(a ^ b for a, b in zip(base, payload, strict=True))
    assert read(tmp_path / "d") == {"m": expected}


def test_a_file_that_the_base_lacks_is_not_skipped_in_silence(tmp_path):
    base = grow(tmp_path / "b", {"m": b"1234"})
    release = grow(tmp_path / "r", {"m": b"\0\0\0\1", "README.md": b"text"})
    with pytest.raises(FilesNotRight) as err:
        decode(tmp_path / "d", release, base)
    assert [row.name for row in err.value.report.wrong] == ["README.md"]
    assert read(tmp_path / "d") == {"m": b"1235"}


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_the_same_input_gives_the_same_bytes(tmp_path, compress):
    base = grow(tmp_path / "b", {"m": noise(900_000)})
    target = grow(tmp_path / "t", {"m": nearly(noise(900_000))})
    for name in "xy":
        encode(tmp_path / name, target, base, compress=compress)
    assert read(tmp_path / "x") == read(tmp_path / "y")
    if compress == "gzip":
        assert (tmp_path / "x/m").read_bytes()[3:8] == bytes(5)  # neither name nor time
