"""Finished folders against their manifest; and the order of sync and rename."""

import os

import pytest

from tests.xor.trees import grow, noise, pair
from tracr_lite.xor import FilesNotRight, XorError, decode, encode, verify
from tracr_lite.xor.codec import zstd
from tracr_lite.xor.manifest import MANIFEST


@pytest.fixture
def made(tmp_path):
    base, target = pair(tmp_path, 4000)
    encode(tmp_path / "r", target, base)
    decode(tmp_path / "d", tmp_path / "r", base)
    return tmp_path


def wrong(folder, manifest, **options):
    """name -> (status, detail) of all that is not right."""
    with pytest.raises(FilesNotRight) as err:
        verify(folder, manifest, **options)
    return {row.name: (row.status.value, row.detail) for row in err.value.report.wrong}


def test_all_that_is_not_right_is_listed(made):
    (made / "d/empty").write_bytes(b"no longer")
    (made / "d/sub/m").unlink()
    (made / "d/hollow").rmdir()
    grow(made / "d", {"gone.txt": b"x", "other/mine": b"y"})
    (made / "d/config.json").unlink()
    (made / "d/config.json").symlink_to(made / "target/config.json")
    found = wrong(made / "d", made / "r")
    assert "leaves the tree" in found.pop("config.json")[1]
    assert found == {
        "empty": ("refused", "it has 9 bytes instead of 0"),
        "sub/m": ("missing", "the folder does not contain it"),
        "hollow/": ("missing", "the folder is not there"),
        "gone.txt": ("unexpected", "the target has it removed"),
        "other/mine": ("unexpected", "not in the release"),
    }


def test_each_side_can_be_verified(made):
    for side, folder in (("target", "d"), ("payload", "r"), ("base", "base")):
        verify(made / folder, made / "r" / MANIFEST, side=side)
    assert set(wrong(made / "target", made / "r", side="base")) == {
        "config.json",
        "model.bin",
        "sub/m",
    }
    grow(made / "r", {"stowaway": b""})
    assert set(wrong(made / "r", made / "r", side="payload")) == {"stowaway"}


def test_an_unknown_side_or_a_missing_manifest_is_refused(made):
    with pytest.raises(XorError, match="side 'model'"):
        verify(made / "d", made / "r", side="model")
    with pytest.raises(XorError, match="cannot read the manifest"):
        verify(made / "d", made / "d")


def test_files_are_synced_before_they_get_their_names(made, monkeypatch):
    """What a power failure would show can only be told from the order of the calls."""
    calls = []

    def noted(name, real):
        def call(*args, **kwargs):
            known = os.readlink(f"/proc/self/fd/{args[0]}") if name == "sync" else str(args[0])
            calls.append((name, known))
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "fsync", noted("sync", os.fsync))
    monkeypatch.setattr(os, "rename", noted("rename", os.rename))
    monkeypatch.setattr(os, "replace", noted("rename", os.replace))
    decode(made / "new", made / "r", made / "base", jobs=1)
    moves = [index for index, (name, _) in enumerate(calls) if name == "rename"]
    assert len(moves) == 6
    for index in moves:
        assert ("sync", calls[index][1]) in calls[:index]
        assert calls[index + 1][0] == "sync"
        assert calls[index + 1][1].startswith(str(made / "new"))


def test_a_payload_that_needs_much_memory_is_refused(tmp_path):
    content = noise(1 << 20) * 40
    option = zstd.CompressionParameter
    options = {option.window_log: 27, option.enable_long_distance_matching: 1}
    base = grow(tmp_path / "b", {"m": bytes(len(content))})
    release = grow(tmp_path / "r", {"m": zstd.compress(content, options=options)})
    with pytest.raises(FilesNotRight, match="memory"):
        decode(tmp_path / "d", release, base)
