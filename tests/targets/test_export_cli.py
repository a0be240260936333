"""`tracr-lite export`, as it is typed."""

import json

import pytest

from tracr_lite.cli import app
from tracr_lite.llama import runtime


def run(*words):
    with pytest.raises(SystemExit) as exit_:
        app.main([str(word) for word in words])
    return exit_.value.code


def text_of(path, prompt):
    model = runtime.load(path, path if path.is_dir() else path.parent)
    return model.generate(prompt, temperature=0.0, n=0).text


def test_a_program_that_writes_runs_under_llama_generate(tmp_path, capfd):
    out = tmp_path / "copy"
    assert run("export", "generate_copy", "--to", "llama", "--out", out) == 0
    assert "parameters" in (printed := capfd.readouterr()).out
    assert not printed.err
    assert run("llama", "generate", out, "-i", "a b |", "-t", "0", "--quiet") == 0
    assert capfd.readouterr().out == "a b | a b\n"


def test_the_file_for_run_c_with_another_length(tmp_path):
    out = tmp_path / "sum"
    words = ("generate_copy", "--to", "llama2c", "--out", out, "--max-seq-len", "20")
    assert run("export", *words) == 0
    assert text_of(out / "model.bin", "c a b c a b |") == "c a b c a b | c a b c a b"


def test_a_program_that_reads_ahead_is_told_of_the_other_form(tmp_path, capsys):
    out = tmp_path / "reverse"
    words = ("export", "reverse", "--max-seq-len", "4", "--to", "llama", "--out", out)
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert "reads ahead" in said
    assert "after_separator" in said
    assert run(*words, "--after-separator") == 0
    assert text_of(out, "a b d d |") == "a b d d | d d b a"


def test_a_program_of_ones_own_from_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from tracr_lite.rasp import rasp\n"
        "flip = rasp.Map(lambda x: 'b' if x == 'a' else 'a', rasp.tokens)\n"
    )
    out = tmp_path / "out"
    words = ("--vocab", "a,b", "--max-seq-len", "5", "--to", "llama", "--out", out)
    assert run("export", f"{tmp_path / 'mine.py'}:flip", *words) == 0
    record = json.loads((out / "program.json").read_text())
    assert record["max_seq_len"] == 5
    assert "lambda x: 'b' if x == 'a' else 'a'" in record["program"]


def test_an_export_that_is_there_needs_force_and_costs_no_work(tmp_path, capsys):
    out = tmp_path / "copy"
    words = ("export", "generate_copy", "--to", "llama2c", "--out", out)
    assert run(*words) == 0
    capsys.readouterr()
    assert run("export", "no_such_program", "--to", "llama", "--out", out) == 2
    assert "--force" in capsys.readouterr().err
    assert run(*words, "--force") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "onnx"), "onnx"),
        (("--to", "llama", "--after-separator", "--causal"), "leave --causal"),
        (("--to", "gpt2", "--indices", "rope"), "--indices is about Llama"),
        (("--to", "llama", "--max-seq-len", "0"), "0"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path, capsys, words, said):
    assert run("export", "generate_copy", *words, "--out", tmp_path / "out") == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
