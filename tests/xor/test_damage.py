"""One flipped bit, one missing byte, in any kind of file: refused, and DST stays right."""

import random
import shutil

import pytest

from tests.xor.trees import flip, grow, nearly, noise, pair, read, rewrite_manifest, script
from tracr_lite.xor import FilesNotRight, XorError, decode, encode, verify
from tracr_lite.xor.manifest import MANIFEST, parse_manifest

FLIPS = 12  # in each file


@pytest.fixture(params=["none", "gzip", "zstd"])
def release(request, tmp_path):
    """(root, base, target) with the release at root/r."""
    base, target = pair(tmp_path, 20_000)
    encode(tmp_path / "r", target, base, compress=request.param)
    return tmp_path, base, target


def decoded_is_refused_or_right(root, base, target, **options):
    """Whether decoding was refused; every file that it left is right."""
    shutil.rmtree(root / "d", ignore_errors=True)
    try:
        decode(root / "d", root / "r", base, **options)
        refused = False
    except XorError:
        refused = True
    wanted = read(target)
    assert (read(root / "d") or {}).items() <= wanted.items()
    assert refused or read(root / "d") == wanted
    return refused


def bits(path, seed):
    rng = random.Random(seed)
    size = 8 * path.stat().st_size
    return sorted({0, size - 1, *(rng.randrange(size) for _ in range(FLIPS))}) if size else []


def is_used(root, path, bit, first):
    """Whether anything depends on this bit: not on removed files, nor on what is cut off."""
    if path.parent == root / "base/sub" and not first:
        return bit < 8 * (root / "target/sub/m").stat().st_size
    return path.name != "gone.txt"


@pytest.mark.parametrize("first", [True, False], ids=["base first", "base last"])
@pytest.mark.parametrize("folder", ["r", "base"])
def test_a_flipped_bit_is_refused(release, folder, first):
    root, base, target = release
    for path in sorted(p for p in (root / folder).rglob("*") if p.is_file()):
        for bit in bits(path, path.name):
            flip(path, bit)
            refused = decoded_is_refused_or_right(root, base, target, check_base_first=first)
            assert refused or not is_used(root, path, bit, first), (path, bit)
            flip(path, bit)
    assert not decoded_is_refused_or_right(root, base, target)


def test_every_bit_of_a_manifest_counts(tmp_path):
    base, target = pair(tmp_path, 10)
    encode(tmp_path / "r", target, base)
    text = bytearray((tmp_path / "r" / MANIFEST).read_bytes())
    parse_manifest(bytes(text))
    for bit in range(8 * len(text)):
        text[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"."):
            parse_manifest(bytes(text))
        text[bit // 8] ^= 1 << bit % 8


def test_a_flipped_bit_in_the_result_is_found(release):
    root, base, _ = release
    decode(root / "d", root / "r", base)
    for path in sorted(p for p in (root / "d").rglob("*") if p.is_file()):
        for bit in bits(path, path.name):
            flip(path, bit)
            with pytest.raises(FilesNotRight, match=path.name):
                verify(root / "d", root / "r")
            flip(path, bit)
    verify(root / "d", root / "r")
    verify(root / "r", root / "r", side="payload")
    verify(base, root / "r", side="base")


def test_a_result_that_was_damaged_is_made_again(release):
    root, base, target = release
    decode(root / "d", root / "r", base)
    flip(root / "d/model.bin", 77)
    report = decode(root / "d", root / "r", base)
    made = [row.name for row in report.files if row.status.value == "written"]
    assert made == ["model.bin"]
    assert read(root / "d") == read(target)


@pytest.mark.parametrize("cut", [1, 8, 5000])
def test_a_shortened_file_is_refused_with_the_reason(release, cut):
    root, base, _ = release
    for path, reason in ((root / "r/model.bin", "truncated"), (base / "model.bin", "base")):
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        with pytest.raises(FilesNotRight, match=f"model.bin: refused; .*{reason}"):
            decode(root / "d", root / "r", base)
        path.write_bytes(whole)


def test_nothing_is_written_while_the_base_is_wrong(release):
    root, base, _ = release
    flip(base / "sub/m", 5)
    with pytest.raises(FilesNotRight, match="sub/m: refused; wrong base"):
        decode(root / "d", root / "r", base)
    assert not (root / "d").exists()
    with pytest.raises(FilesNotRight, match="sub/m: refused; wrong base"):
        decode(root / "d", root / "r", base, check_base_first=False)
    assert "sub/m" not in read(root / "d")


@pytest.mark.parametrize("garbage", [b"\x01", b"garbage!" * 9])
def test_bytes_after_the_end_of_an_old_gzip_payload_are_refused(tmp_path, garbage):
    base, target = grow(tmp_path / "base", {"m": noise(9000)}), tmp_path / "t"
    grow(target, {"m": nearly(noise(9000)), "added_tokens.json": b"{}"})
    script(tmp_path / "r", target, base, encode=True, compress=True)
    assert not decoded_is_refused_or_right(tmp_path, base, target)
    whole = (tmp_path / "r/m").read_bytes()
    (tmp_path / "r/m").write_bytes(whole + garbage)
    assert decoded_is_refused_or_right(tmp_path, base, target)
    for keep in (0, 1, 9, 10, 100, len(whole) - 8, len(whole) - 1):
        (tmp_path / "r/m").write_bytes(whole[:keep])
        assert decoded_is_refused_or_right(tmp_path, base, target, compress="gzip"), keep


def test_a_forged_size_does_not_pass(release):
    root, base, _ = release

    def enlarge(whole):
        whole["files"]["model.bin"]["target"]["bytes"] += 1

    rewrite_manifest(root / "r" / MANIFEST, enlarge)
    with pytest.raises(FilesNotRight, match=r"model\.bin"):
        decode(root / "d", root / "r", base)
    assert "model.bin" not in read(root / "d")


def test_a_base_that_is_the_target_already_is_wrong(release):
    root, _, target = release
    with pytest.raises(FilesNotRight, match="wrong base"):
        decode(root / "d", root / "r", target)


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_every_bit_of_a_payload_without_a_manifest(tmp_path, compress):
    """The checksums of the formats find what matters; nothing fails in an unforeseen way."""
    base, target = grow(tmp_path / "base", {"m": noise(90)}), tmp_path / "t"
    grow(target, {"m": nearly(noise(90))})
    encode(tmp_path / "r", target, base, compress=compress)
    (tmp_path / "r" / MANIFEST).unlink()
    path = tmp_path / "r/m"
    refused = 0
    for bit in range(32, 8 * path.stat().st_size):  # the magic tells what it is
        flip(path, bit)
        refused += decoded_is_refused_or_right(tmp_path, base, target)
        flip(path, bit)
    assert refused > 4 * path.stat().st_size


def test_progress_adds_up(release):
    root, base, _ = release
    done, totals = {}, {}

    def note(step, count, total):
        done[step] = done.get(step, 0) + count
        totals[step] = total

    decode(root / "d", root / "r", base, progress=note)
    assert done == totals
    assert list(done) == ["checking DST", "checking base", "decoding"]
