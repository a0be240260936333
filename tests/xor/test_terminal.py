"""What a run does with its terminal: the bar, letters, signals, and an end that is missing."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.xor.trees import grow, nearly, noise, read
from tracr_lite.xor import XorError, decode, encode

# JAX, if another test loaded it, warns of the fork; the child runs another program at once
pytestmark = pytest.mark.filterwarnings(
    "ignore:os.fork:RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

ROOT = Path(__file__).parents[2]
WORDS = [sys.executable, "-m", "tracr_lite.xor"]


@pytest.fixture
def made(tmp_path):
    grow(tmp_path / "base", {"mé": noise(3_000_000), "日本": b"1"})
    grow(tmp_path / "target", {"mé": nearly(noise(3_000_000)), "日本": b"2"})
    encode(tmp_path / "r", tmp_path / "target", tmp_path / "base", compress="zstd")
    return tmp_path


def on_a_terminal(*words):
    """(exit code, all that a terminal of 120 columns is sent)"""
    pid, end = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.environ |= {"COLUMNS": "120", "TERM": "xterm"}
        os.execv(sys.executable, [*WORDS, *map(str, words)])
    sent = b""
    try:
        while data := os.read(end, 1 << 16):
            sent += data
    except OSError:  # what Linux says when the other end is closed
        pass
    os.close(end)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), sent.decode()


def test_a_terminal_sees_a_bar_with_throughput_for_each_step(made):
    code, sent = on_a_terminal("decode", made / "d", made / "r", made / "base")
    assert code == 0
    for step in ("checking base", "decoding"):
        assert re.search(rf"{step}.*3\.0/3\.0 MB.*[0-9.]+ [kMG]B/s", sent), step
    assert "2 of 2 file(s) right" in sent
    quiet = on_a_terminal("decode", made / "e", made / "r", made / "base", "--quiet")[1]
    assert "B/s" not in quiet


def test_a_file_gets_no_bar(made):
    words = [*WORDS, "decode", made / "d", made / "r", made / "base"]
    done = subprocess.run(list(map(str, words)), cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "B/s" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
def test_names_that_the_output_cannot_hold_are_escaped(made, encoding):
    words = [*WORDS, "verify", made / "target", made / "r"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(list(map(str, words)), cwd=ROOT, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode(encoding)
    assert ("日本" if encoding.startswith("utf") else "\\u65e5\\u672c") in said
    assert ("m\\xe9" if encoding == "ascii" else "mé") in said


@pytest.mark.parametrize(("wrong", "code"), [(False, 0), (True, 1)])
def test_closed_output_changes_no_exit_code(made, wrong, code):
    if wrong:
        (made / "target/日本").write_bytes(b"3")
    line = f'exec "{sys.executable}" -m tracr_lite.xor verify "$1" "$2" >&-'
    words = ["sh", "-c", line, "sh", str(made / "target"), str(made / "r")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_table_that_cannot_be_printed_is_an_error_in_words(made):
    words = [*WORDS, "decode", made / "d", made / "r", made / "base"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            list(map(str, words)), cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == (
        "tracr-lite: the run ended, but its table cannot be printed: No space left on device\n"
    )
    assert read(made / "d") == read(made / "target")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_run_and_the_next_one_finishes(tmp_path, name):
    base = grow(tmp_path / "b", {"m": noise(40_000_000)})
    target = grow(tmp_path / "t", {"m": noise(40_000_000, 2)})
    words = [*WORDS, "encode", tmp_path / "r", target, base, "--compress", "zstd"]
    run = subprocess.Popen(
        list(map(str, words)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob(".r.xor-work/*.part")):
        assert run.poll() is None
        time.sleep(0.005)
    run.send_signal(getattr(signal, name))
    out, said = run.communicate()
    assert run.returncode != 0
    assert "Traceback" not in out + said
    with pytest.raises(XorError):
        decode(tmp_path / "d", tmp_path / "r", base)
    encode(tmp_path / "r", target, base, compress="zstd")
    decode(tmp_path / "d", tmp_path / "r", base)
    assert (tmp_path / "d/m").read_bytes() == (target / "m").read_bytes()
