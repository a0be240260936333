"""The commands: words, exit codes, what is printed; and the memory they take."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.xor.trees import flip, grow, nearly, noise, pair, read

ROOT = Path(__file__).parents[2]


def run(*words):
    """(exit code, standard output, standard error)"""
    words = [sys.executable, "-m", "tracr_lite.xor", *map(str, words)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def models(tmp_path):
    return pair(tmp_path, 4000)


def test_the_three_commands_in_the_order_of_the_script(models, tmp_path):
    base, target = models
    code, out, err = run("encode", tmp_path / "r", target, base, "--compress", "zstd")
    assert (code, err) == (0, "")
    assert "the existing script cannot decode zstd" in out
    code, out, _ = run("decode", tmp_path / "d", tmp_path / "r", base, "--jobs", 2)
    assert code == 0
    assert "6 of 6 file(s) right" in out
    assert read(tmp_path / "d") == read(target)
    assert run("verify", tmp_path / "d", tmp_path / "r")[0] == 0
    flip(tmp_path / "d/model.bin", 9)
    code, out, _ = run("verify", tmp_path / "d", tmp_path / "r")
    assert code == 1
    assert "5 of 6 file(s) right" in out
    assert any("model.bin" in line and "refused" in line for line in out.splitlines())


def test_one_wrong_file_makes_the_exit_code_1_and_is_named(models, tmp_path):
    base, target = models
    run("encode", tmp_path / "r", target, base)
    flip(tmp_path / "r/model.bin", 800)
    code, out, _ = run("decode", tmp_path / "d", tmp_path / "r", base)
    assert code == 1
    assert any("model.bin" in line and "corrupt" in line for line in out.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ("decode", "d", "r"),
        ("decode", "--encode", "d", "r", "base"),
        ("decode", "d", "nowhere", "base"),
        ("decode", "base", "r", "base"),
        ("encode", "d", "target", "base", "--compress", "zip"),
        ("encode", "d", "target", "base", "--jobs", "0"),
        ("verify", "target", "nowhere"),
        ("verify", "target", "base", "--as", "else"),
        ("frobnicate",),
    ],
    ids=" ".join,
)
def test_what_is_refused_ends_with_2_and_writes_nothing(models, tmp_path, words):
    base, target = models
    run("encode", tmp_path / "r", target, base)
    before = read(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "tracr_lite.xor", *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert read(tmp_path) == before


def test_names_are_printed_without_control_characters_or_markup(tmp_path):
    odd = "a\x1b[31m[red]\udcff"
    base, target = grow(tmp_path / "b", {}), grow(tmp_path / "t", {odd: b"1"})
    code, out, err = run("encode", tmp_path / "r", target, base)
    assert (code, err) == (0, "")
    assert "a\\x1b[31m[red]\\udcff" in out


MEASURE = """
import re, sys
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) // 1024
before = peak()
import tracr_lite.xor.cli
from tracr_lite.xor import decode, encode
encode(sys.argv[1] + "/r", sys.argv[2], sys.argv[3], compress=sys.argv[4], jobs=4)
decode(sys.argv[1] + "/d", sys.argv[1] + "/r", sys.argv[3], jobs=4)
print(peak() - before)
"""


def peak_of(folder, size, compress):
    """MiB above the interpreter for encoding and decoding four files of this size at once."""
    files = {f"m{i}": noise(size, i) for i in range(4)}
    base = grow(folder / f"b{size}", files)
    target = grow(folder / f"t{size}", {name: nearly(data) for name, data in files.items()})
    words = [sys.executable, "-c", MEASURE, folder / f"out{size}", target, base, compress]
    done = subprocess.run(
        list(map(str, words)), cwd=ROOT, check=True, capture_output=True, text=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which Linux has")
@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_memory_does_not_grow_with_the_files(tmp_path, compress):
    small, large = (peak_of(tmp_path, size, compress) for size in (300_000, 9_000_000))
    assert large < 64
    assert large - small < 8  # four files of 9 MB are 36
