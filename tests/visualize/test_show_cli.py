"""`tracr-lite show`: the trace in the terminal, files, refusals, the server."""

import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from rich.console import Console

from tests.visualize.models import broken, longest, model_of
from tracr_lite import catalog
from tracr_lite.cli import app
from tracr_lite.cli.trace_text import print_trace
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.visualize import read

ROOT = Path(__file__).parent.parent.parent


def run(capsys, *typed):
    """Exit code, output, errors."""
    with pytest.raises(SystemExit) as exit_:
        app.main(["show", *typed])
    out, err = capsys.readouterr()
    return exit_.value.code, out, err


def test_the_trace_has_answers_maps_and_values(capsys):
    code, out, _ = run(capsys, "reverse", "a", "b", "c")
    assert code == 0
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0].split() == ["input", "a", "b", "c"]
    assert lines[2].split() == ["transformer", "c", "b", "a"]
    assert "    a             ███" in lines  # the first position looks at the last
    assert "  opp_idx-1_4  2  1  0" in lines
    assert lines[-1] == "They agree."


def test_the_trace_shows_where_a_model_goes_wrong():
    console = Console(width=80, file=io.StringIO())
    print_trace(console, read(broken("sort"), longest("sort")))
    out = console.file.getvalue()
    assert re.search(r"^  sort_5 +1 ≠ unclear", out, re.MULTILINE)
    assert "They DIFFER at position 2, 3." in out
    assert max(map(len, out.splitlines())) <= 80


def test_narrow_terminals_say_what_they_leave_out():
    console = Console(width=40, file=io.StringIO())
    entry = catalog.load("reverse")
    model = compile_rasp_to_model(entry.program, set(entry.vocab), 30)
    print_trace(console, read(model, ["a", "b", "c"] * 10))
    out = console.file.getvalue()
    assert "more keys" in out
    assert "more positions: see --out" in out
    assert max(map(len, out.splitlines())) <= 40


@pytest.mark.parametrize("kind", ["html", "png", "svg"])
def test_files_are_written(capsys, tmp_path, kind):
    file = tmp_path / f"it.{kind}"
    code, out, _ = run(capsys, "hist", "a", "b", "--out", str(file), "--theme", "dark")
    assert (code, out) == (0, f"wrote {file}\n")
    starts = {"html": b"<!doctype html>", "png": b"\x89PNG", "svg": b"<?xml"}
    assert file.read_bytes().startswith(starts[kind])


def test_without_tokens_an_example_is_shown(capsys):
    code, out, _ = run(capsys, "dyck1_ptf")
    assert code == 0
    assert out.startswith("input        (  (  )  )  )")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["reverse", "z"], "there is no token 'z'"),
        (["reverse", "a", "--out", "it.pdf"], "ends in .html, .png, .svg; got 'it.pdf'"),
        (["reverse", "a", "--out", "no/such/folder.html"], "cannot be written"),
        (["reverse", "a", "--out", "it.html", "--serve"], "leave out --out, or --serve"),
        (["reverse", "a", "--port", "8000"], "--port is about --serve"),
        (["revers", "a"], "did you mean reverse"),
    ],
    ids=["token", "kind", "folder", "both", "port", "program"],
)
def test_what_cannot_be_shown_is_refused(capsys, typed, message):
    code, _, err = run(capsys, *typed)
    assert code == 2
    assert message in err


def test_a_file_with_none_and_numbers(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from tracr_lite.rasp import rasp\n"
        "other = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k != q)\n"
        "thing = rasp.Aggregate(other, rasp.indices, default=-1)\n"
    )
    typed = [f"{file}:thing", "--vocab", "None,-2,1.5", "None", "1.5", "-2"]
    code, out, _ = run(capsys, *typed)
    assert code == 0
    assert out.splitlines()[0].split() == ["input", "None", "1.5", "-2"]
    assert run(capsys, *typed, "--out", str(tmp_path / "it.html"))[0] == 0


def test_a_saved_model_shows_what_it_knows(capsys, tmp_path):
    folder = model_of("reverse").save(tmp_path / "saved")
    code, out, _ = run(capsys, str(folder), "a", "b")
    assert code == 0
    assert "transformer  b  a" in out
    assert "head 0 → reverse_6" in out
    for kind in ("html", "png"):
        file = tmp_path / f"it.{kind}"
        assert run(capsys, str(folder), "a", "b", "--out", str(file))[0] == 0
    assert run(capsys, str(folder), "a", "--max-seq-len", "3")[0] == 2


def test_serving_says_where_and_ends_when_interrupted():
    pytest.importorskip("uvicorn", reason="needs uvicorn (the extra `serve`)")
    command = [sys.executable, "-m", "tracr_lite", "show", "hist", "a", "b", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            address = re.match(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
            with urlopen(address, timeout=30) as answer:
                assert b"<h1>hist</h1>" in answer.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
