"""Commands whose output goes where nobody reads it, or where it has no room."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAIN = (sys.executable, "-m", "tracr_lite.cli.app")
STORY = str(ROOT / "docs/story/story.bin")
TELL = ("llama", "generate", STORY, "-n", "4", "-t", "0", "--engine", "jax")
WORDS = [("list",), ("--help",), ("llama", "info", "--json", STORY), TELL]
needs_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs the device /dev/full"
)


def run(words, **streams):
    default = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run([*MAIN, *words], cwd=ROOT, text=True, **(default | streams))


def through_shell(line, words):
    command = ["sh", "-c", f'"$@" {line}', "sh", *MAIN, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_a_pipe_that_nobody_reads_ends_a_command_quietly(words):
    """With the status that shells report of other programs, and not with 1, a verdict."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(words, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@needs_full
@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_a_full_disk_is_an_error_in_words(words):
    with open("/dev/full", "w") as full:
        done = run(words, stdout=full)
    said = "tracr-lite: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)


@needs_full
@pytest.mark.parametrize("line", ["2>&-", "2>/dev/full"])
def test_a_story_is_told_where_standard_error_takes_nothing(line):
    done = through_shell(line, TELL)
    assert (done.returncode, done.stdout) == (0, "Once upon a time\n")


@pytest.mark.parametrize("words", [TELL, ("llama", "chat", STORY, "--engine", "jax")])
def test_closed_streams_are_no_crash(words):
    done = through_shell("<&- >&-", words)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
