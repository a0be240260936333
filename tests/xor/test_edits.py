"""Manifests that were edited, their own digest made right again; streams with more ends."""

import gzip
import shutil

import pytest

from tests.xor.trees import grow, nearly, noise, read, rewrite_manifest
from tracr_lite.xor import FilesNotRight, XorError, decode, encode, verify
from tracr_lite.xor.codec import zstd
from tracr_lite.xor.manifest import MANIFEST, read_manifest

ZEROS = "0" * 64


def swapped_parts(part):
    def edit(files):
        one, two = files["m"], files["n"]
        one[part], two[part] = two[part], one[part]

    return edit


def set_in(name, part, key, value):
    return lambda files: files[name][part].__setitem__(key, value)


EDITS = {
    "targets swapped": swapped_parts("target"),
    "bases swapped": swapped_parts("base"),
    "payloads swapped": swapped_parts("payload"),
    "entries swapped": lambda files: files.update(m=files["n"], n=files["m"]),
    "entry removed": lambda files: files.pop("n"),
    "entry added": lambda files: files.update(more=files["n"]),
    "base forgotten": lambda files: files["m"].update(base=None),
    "base where there is none": lambda files: files["new"].update(base=files["m"]["base"]),
    "other compression": lambda files: files["m"].update(compress="none"),
    "unknown compression": lambda files: files["m"].update(compress="lzma"),
    "target digest": set_in("m", "target", "sha256", ZEROS),
    "target of the payload": lambda files: files["m"].update(target=files["m"]["payload"]),
    "payload digest": set_in("m", "payload", "sha256", ZEROS),
    "base blake3": set_in("m", "base", "blake3", ZEROS),
    "base size": set_in("m", "base", "bytes", 1),
    "target size 0": set_in("m", "target", "bytes", 0),
    "target size less": set_in("m", "target", "bytes", 4999),
    "size is true": set_in("m", "target", "bytes", True),
    "size is a fraction": set_in("m", "target", "bytes", 5000.0),
    "size is negative": set_in("m", "target", "bytes", -1),
    "size without end": set_in("m", "target", "bytes", 10**300),
    "digest is null": set_in("m", "target", "sha256", None),
    "digest in capitals": set_in("m", "target", "sha256", "A" * 64),
    "blake3 is short": set_in("m", "base", "blake3", "0"),
    "state is a list": lambda files: files["m"].update(target=[5000, ZEROS]),
    "state is missing": lambda files: files["m"].pop("target"),
}


@pytest.fixture
def made(tmp_path):
    base = grow(tmp_path / "base", {"m": noise(5000), "n": noise(5000, 2)})
    target = {"m": nearly(noise(5000)), "n": nearly(noise(5000, 2), 4), "new": noise(300, 3)}
    encode(tmp_path / "r", grow(tmp_path / "target", target), base)
    return tmp_path


@pytest.mark.parametrize("first", [True, False], ids=["base first", "base last"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_manifest_never_yields_a_wrong_file(made, edit, first):
    rewrite_manifest(made / "r" / MANIFEST, lambda whole: edit(whole["files"]))
    wanted = read(made / "target")
    try:
        decode(made / "d", made / "r", made / "base", check_base_first=first)
    except XorError:
        assert (read(made / "d") or {}).items() <= wanted.items()
    else:  # as where an entry was taken out, or the base's sum is not needed
        assert read(made / "d").items() <= wanted.items()
        assert set(read(made / "d")) == set(read_manifest(made / "r").files)


NOT_SEEN = {"entry removed"}  # a release of fewer files is a release


@pytest.mark.parametrize("name", sorted(EDITS.keys() - NOT_SEEN))
def test_an_edited_manifest_is_refused(made, name):
    rewrite_manifest(made / "r" / MANIFEST, lambda whole: EDITS[name](whole["files"]))
    with pytest.raises(XorError):
        decode(made / "d", made / "r", made / "base")


def test_a_manifest_without_blake3_has_the_base_checked_by_sha256(made):
    def strip(whole):
        for entry in whole["files"].values():
            if entry["base"]:
                del entry["base"]["blake3"]

    rewrite_manifest(made / "r" / MANIFEST, strip)
    decode(made / "d", made / "r", made / "base")
    assert read(made / "d") == read(made / "target")
    verify(made / "base", made / "r", side="base")
    grow(made / "base", {"m": noise(5000, 7)})
    with pytest.raises(FilesNotRight, match=r"m: refused; wrong base: .* has sha256"):
        decode(made / "e", made / "r", made / "base")


def test_both_sums_of_a_base_count_where_it_is_verified(made):
    for key in ("sha256", "blake3"):
        whole = (made / "r" / MANIFEST).read_bytes()
        rewrite_manifest(
            made / "r" / MANIFEST,
            lambda w, key=key: set_in("m", "base", key, ZEROS)(w["files"]),
        )
        with pytest.raises(FilesNotRight, match=f"m: refused; it has {key}"):
            verify(made / "base", made / "r", side="base")
        (made / "r" / MANIFEST).write_bytes(whole)
    verify(made / "base", made / "r", side="base")


DATA = noise(3000)
HALVES = DATA[:1000], DATA[1000:]
SKIPPED = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"  # a frame of zstd that holds no data
STREAMS = {
    "gzip members": (b"".join(map(gzip.compress, HALVES)), True),
    "gzip, empty members": (gzip.compress(b"") * 3 + gzip.compress(DATA), True),
    "gzip, zeros after the end": (gzip.compress(DATA) + bytes(600), True),
    "gzip, zeros and garbage": (gzip.compress(DATA) + bytes(9) + b"x", False),
    "gzip, garbage": (gzip.compress(DATA) + b"x", False),
    "gzip, half a member": (gzip.compress(DATA) + gzip.compress(b"")[:5], False),
    "gzip, a member too many": (gzip.compress(DATA) + gzip.compress(b"x"), False),
    "gzip, a member missing": (gzip.compress(HALVES[0]), False),
    "zstd frames": (b"".join(map(zstd.compress, HALVES)), True),
    "zstd, skipped frame": (zstd.compress(DATA) + SKIPPED, True),
    "zstd, garbage": (zstd.compress(DATA) + b"xx", False),
    "zstd, zeros": (zstd.compress(DATA) + bytes(8), False),
    "zstd, half a frame": (zstd.compress(DATA) + zstd.compress(b"123")[:6], False),
    "zstd, one byte of a frame": (zstd.compress(DATA) + b"\x28", False),
}


@pytest.mark.parametrize(("payload", "right"), STREAMS.values(), ids=STREAMS)
def test_where_a_compressed_payload_may_end(tmp_path, payload, right):
    base = grow(tmp_path / "b", {"m": bytes(len(DATA))})
    grow(tmp_path / "r", {"m": payload})
    if right:
        decode(tmp_path / "d", tmp_path / "r", base)
        assert read(tmp_path / "d") == {"m": DATA}
    else:
        with pytest.raises(FilesNotRight, match="m: refused"):
            decode(tmp_path / "d", tmp_path / "r", base)
        assert not (tmp_path / "d").exists()


def test_files_of_no_bytes(tmp_path):
    base = grow(tmp_path / "b", {"both": b"", "base": b"", "target": b"12"})
    target = grow(tmp_path / "t", {"both": b"", "base": b"34", "target": b"", "new": b""})
    for compress in ("none", "gzip", "zstd"):
        encode(tmp_path / "r", target, base, compress=compress)
        decode(tmp_path / "d", tmp_path / "r", base)
        assert read(tmp_path / "d") == read(target)
        for folder in "rd":
            shutil.rmtree(tmp_path / folder)
