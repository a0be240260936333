"""`tracr-lite verify`: what it prints, and its exit codes."""

import gc
import io
import sys
import time

import pytest
from rich.console import Console

from tests.verifying.models import REVERSE, compiled, scaled
from tracr_lite import verifying
from tracr_lite.cli import app
from tracr_lite.cli.verify import print_report
from tracr_lite.compiler import compiling


@pytest.fixture
def run(capsys):
    def call(*words):
        with pytest.raises(SystemExit) as exit_:
            app.main(["verify", *words])
        printed = capsys.readouterr()
        return exit_.value.code, printed.out, printed.err

    return call


def test_agreement_is_exit_code_0(run):
    code, out, _ = run("reverse", "--vocab", "a,b", "--max-seq-len", "3")
    assert code == 0
    assert "14: all of 1 to 3 tokens over 2" in out
    assert "They agree on every input." in out


def test_a_mismatch_is_exit_code_1_and_shows_the_smallest_input(run, monkeypatch):
    true = compiling.compile_rasp_to_model

    def compile_wrongly(*args, **options):
        return scaled(true(*args, **options), "transformer/layer_1/attn/value", 0.0)

    monkeypatch.setattr(compiling, "compile_rasp_to_model", compile_wrongly)
    code, out, _ = run("reverse", "--vocab", "a,b", "--max-seq-len", "3")
    assert code == 1
    assert "on ['b'] at position 0: the program says ['b'], the model ['a']" in out
    assert "They DIFFER." in out
    assert "is wrong after the attention of layer 1, at position 0 of ['b']" in out
    assert "written by layer 1 head 0" in out


def test_a_sample_has_a_seed(run):
    words = ("reverse", "--max-seq-len", "9", "--budget", "10", "--samples", "60")
    code, out, _ = run(*words, "--seed", "5")
    assert code == 0
    assert "60 of 349,524 of 1 to 9 tokens over 4 (seed 5)" in out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["revers"], "did you mean reverse"),
        (["reverse", "--budget", "-1"], "--budget"),
        (["reverse", "--samples", "0"], "--samples"),
        (["reverse", "--workers", "x"], "--workers"),
        (["reverse", "--max-seq-len", "0"], "--max-seq-len"),
        (["reverse", "--vocab", ""], "--vocab"),
        ([], "PROGRAM"),
    ],
)
def test_what_cannot_be_run_is_exit_code_2(run, words, what):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert what in err


def test_a_program_without_a_value_is_exit_code_2(run, tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("from tracr_lite.rasp import rasp\nPROGRAM = rasp.tokens // 0\n")
    code, _, err = run(str(file), "--vocab", "1,2", "--max-seq-len", "2")
    assert code == 2
    assert "raises on every input" in err


def test_a_program_that_does_not_compile_is_exit_code_2(run, tmp_path):
    file = tmp_path / "broken.py"
    file.write_text(
        "from tracr_lite.rasp import rasp\n"
        "PROGRAM = rasp.Map(lambda x: [x], rasp.tokens)\nVOCAB = (1,)\nMAX_SEQ_LEN = 2\n"
    )
    code, _, err = run(str(file))
    assert code == 2
    assert "return a tuple instead" in err


def test_a_saved_model_is_compared_with_the_program(run, tmp_path):
    model = compiling.compile_rasp_to_model(REVERSE, ("a", "b"), 3)
    model.save(tmp_path / "right")
    scaled(model, "transformer/layer_1/attn/value", 0.0).save(tmp_path / "wrong")
    code, out, _ = run("reverse", "--model", str(tmp_path / "right"))
    assert (code, "14: all of 1 to 3 tokens over 2" in out) == (0, True)
    code, out, _ = run("reverse", "--model", str(tmp_path / "wrong"))
    assert (code, "written by layer 1 head 0" in out) == (1, True)
    code, _, err = run("reverse", "--model", str(tmp_path / "right"), "--vocab", "a,b")
    assert (code, "leave them out" in err) == (2, True)
    code, _, err = run("reverse", "--model", str(tmp_path / "none"))
    assert (code, "none" in err) == (2, True)


def test_another_program_than_that_of_the_saved_model(run, tmp_path):
    compiling.compile_rasp_to_model(REVERSE, (0, 1), 3).save(tmp_path / "m")
    code, out, _ = run("parity", "--model", str(tmp_path / "m"))
    assert code == 1
    assert "on [0, 1] at position 1" in out
    assert "No part of the model can be blamed: the program given compiles to another" in out


def test_an_interrupt_is_no_verdict(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(verifying, "verify", interrupted)
    code, out, err = run("reverse", "--max-seq-len", "3")
    assert (code, out) == (130, "")
    assert "interrupted" in err


def test_an_interrupt_of_the_garbage_collector_is_not_lost(run, monkeypatch):
    """As when the callback of JAX is what a signal arrives in."""

    def callback(phase, _):
        if phase == "start":
            gc.callbacks.remove(callback)
            raise KeyboardInterrupt

    def interrupted(*_, **__):
        gc.callbacks.append(callback)
        gc.collect()
        for _ in range(500):
            time.sleep(0.01)

    before = sys.unraisablehook
    monkeypatch.setattr(verifying, "verify", interrupted)
    code, _, err = run("reverse", "--max-seq-len", "3")
    assert code == 130
    assert "interrupted" in err
    assert sys.unraisablehook is before


@pytest.mark.parametrize("width", [24, 40])
def test_a_narrow_terminal_shows_all_that_a_wide_one_does(width):
    words = ("averyverylongtoken", "anotherverylongtoken")
    off = scaled(compiled(REVERSE, words, 3), "transformer/layer_1/attn/query", 0.01)
    report = verifying.verify(off)
    console = Console(file=io.StringIO(), width=width)
    print_report(console, report)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    shown = "".join("".join(line[13:] for line in lines).split())
    for _, text in report.rows():
        assert "".join(text.split()) in shown
