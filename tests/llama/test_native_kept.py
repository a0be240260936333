"""What numba keeps on disk: several processes at once, and folders that cannot be written."""

import os
import subprocess
import sys

import pytest

from tests.llama.models import ROOT

pytest.importorskip("numba", reason="the native engine needs numba")

SCRIPT = """
import sys
from tracr_lite.llama.native.edge import compiled_on_disk

def add(a):
    return a + 1

kept = compiled_on_disk(add, lambda call: call(1))
sys.stdin.readline()  # all begin at once
again = compiled_on_disk(add, lambda call: call(2))
print(kept(40), again(41), sum(again.stats.cache_hits.values()))
"""
ENGINE = """
from tests.llama.running import GQA, make_model
from tracr_lite.llama.native.engine import NativeEngine

model = make_model(GQA)
print(NativeEngine(model.params, GQA, 2).prepare())
"""


def begin(command, cache):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-W", "error::tracr_lite.llama.errors.LlamaWarning", *command],
        env=environment,
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ends(process, text="\n"):
    out, errors = process.communicate(text, timeout=300)
    assert process.returncode == 0, errors
    return out.split()


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "adding.py"
    path.write_text(SCRIPT)
    return [str(path)]


def test_processes_that_compile_at_once_share_a_folder(script, tmp_path):
    cache = tmp_path / "cache"
    both = [begin(script, cache) for _ in range(2)]
    assert [ends(each)[:2] for each in both] == [["41", "42"]] * 2
    assert ends(begin(script, cache)) == ["41", "42", "1"]


@pytest.mark.parametrize("place", ["file/cache", "cache"])
def test_a_folder_that_cannot_be_written_is_done_without(script, tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    cache = tmp_path / place
    if place == "cache":
        cache.mkdir()
        cache.chmod(0o555)
    assert ends(begin(script, cache))[:2] == ["41", "42"]
    if place == "cache":
        cache.chmod(0o755)


@pytest.mark.heavy
def test_engines_that_are_compiled_at_once(tmp_path):
    """The real thing: two processes and one empty folder; a third one finds it full."""
    both = [begin(["-c", ENGINE], tmp_path) for _ in range(2)]
    assert [ends(each) for each in both] == [["None"]] * 2
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}
    assert kept
    assert ends(begin(["-c", ENGINE], tmp_path)) == ["None"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")} == kept
