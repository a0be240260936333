"""Folders for the tests, and the existing script's way of reading and writing releases."""

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[3] / "shared/golden/xor"
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the golden releases are not at ../shared/golden/xor"
)


def grow(root, files):
    """Writes {name: bytes}; a name that ends with / is an empty folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return root


def read(root):
    """What `grow` would need to make this folder again; links are read as files."""
    if not root.exists():
        return None
    found = {}
    for folder, subfolders, names in os.walk(root):
        inner = os.path.relpath(folder, root)
        prefix = "" if inner == "." else f"{inner}/"
        found |= {prefix + name: Path(folder, name).read_bytes() for name in names}
        if prefix and not names and not subfolders:
            found[prefix] = b""
    return found


def noise(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()


def nearly(data, seed=1, share=0.02):
    """The same with a few bytes changed."""
    rng = np.random.default_rng(seed)
    flips = rng.integers(1, 256, len(data), np.uint8) * (rng.random(len(data)) < share)
    return (np.frombuffer(data, np.uint8) ^ flips.astype(np.uint8)).tobytes()


def pair(folder, size=300_000):
    """A base and a target with every kind of change: (base, target) folders."""
    weights, other = noise(size), noise(size // 3, 5)
    base = {"model.bin": weights, "config.json": b'{"a": 1}', "gone.txt": b"x", "sub/m": other}
    target = {
        "model.bin": nearly(weights),
        "config.json": b'{"a": 1, "b": [2]}',
        "added_tokens.json": b'{"<x>": 32000}',
        "sub/m": nearly(other)[:-100],
        "sub/deep/new": noise(5000, 9),
        "empty": b"",
        "hollow/": b"",
    }
    return grow(folder / "base", base), grow(folder / "target", target)


def script(dst, payload, base, *, encode=False, compress=False):
    """What the existing script does, without its silence: what it skipped is returned."""
    dst.mkdir(exist_ok=True)
    shutil.copy(payload / "added_tokens.json", dst / "added_tokens.json")
    skipped = []
    for path in sorted(payload.iterdir()):
        other = base / path.name
        if not path.is_file() or not other.is_file():
            skipped.append(path.name)
            continue
        data = path.read_bytes()
        data = gzip.decompress(data) if compress and not encode else data
        padded = other.read_bytes()[: len(data)].ljust(len(data), b"\0")
        data = bytes(a ^ b for a, b in zip(data, padded, strict=True))
        (dst / path.name).write_bytes(gzip.compress(data, 9) if compress and encode else data)
    return skipped


def flip(path, bit):
    """Flips one bit of a file."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def rewrite_manifest(path, change):
    """Changes a manifest's content and repairs its own digest, as an attacker would."""
    from tracr_lite.xor import manifest

    whole = json.loads(path.read_bytes())
    whole.pop("sha256")
    change(whole)
    path.write_text(json.dumps(whole | {"sha256": manifest._digest(whole)}))
