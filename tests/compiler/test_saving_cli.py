"""Saved models at the command line."""

import pytest

import tracr_lite
from tests.compiler.saved import body_in, numerical_model
from tracr_lite.cli import app


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs the command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        with pytest.raises(SystemExit) as exit_:
            app.main(list(words))
        printed = capsys.readouterr()
        return exit_.value.code, printed.out, printed.err

    return call


def test_a_program_is_compiled_saved_shown_and_run(run, tmp_path):
    code, out, _ = run(
        "compile", "hist", "--vocab", "a,b,1", "--max-seq-len", "4", "--out", "mine"
    )
    assert (code, out.splitlines()[-1]) == (0, "saved in mine")
    assert tracr_lite.load("mine").predict(["compiler_bos", "a", 1, "a"]) == [2, 1, 2]
    code, out, err = run("run", "mine", "a", "1", "a")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[:2]] == [
        ["input", "a", "1", "a"],
        ["transformer", "2", "1", "2"],
    ]
    assert "for the vocabulary 1 a b, up to 4 tokens, not causal" in out
    assert "nothing to compare it with" in out
    code, out, err = run("info", "mine")
    assert (code, err) == (0, "")
    assert "layer 0 head 0  layer 0 neurons 0-6" in out
    assert "rasp.SelectorWidth(x0).named('hist')" in out
    assert f"sha256 {body_in(tmp_path / 'mine')['sha256']}" in out


def test_a_saved_model_is_replaced_by_force_only(run):
    assert run("compile", "hist", "--out", "mine")[0] == 0
    code, out, err = run("compile", "reverse", "--out", "mine")
    assert (code, out) == (2, "")
    assert "cannot save to 'mine': it holds a saved model already" in err
    assert run("compile", "reverse", "--out", "mine", "--force")[0] == 0
    assert run("run", "mine", "a", "b")[1].splitlines()[1].split() == ["transformer", "b", "a"]


def test_the_name_of_a_program_comes_before_that_of_a_folder(run):
    assert run("compile", "hist", "--out", "reverse")[0] == 0
    assert "interpreter  b  a" in run("run", "reverse", "a", "b")[1]
    assert "transformer  1  1" in run("run", "./reverse", "a", "b")[1]


def test_models_without_a_program_or_a_vocabulary(run):
    model = numerical_model()
    model.trace = None
    model.save("plain")
    assert "packed by hand" in run("info", "plain")[1]
    assert "transformer  None  1" in run("run", "plain", "b", "a")[1]
    model.input_encoder = None
    model.save("ids")
    code, out, err = run("run", "ids", "1")
    assert (code, out) == (2, "")
    assert "no vocabulary, so it reads ids only" in err
    assert "for token ids, causal" in run("info", "ids")[1]


WRONG = [
    (["info", "nothing"], "cannot load 'nothing': there is no such folder"),
    (["info", "."], "cannot load '.': it has no model.json"),
    (["run", ".", "a"], "cannot load '.': it has no model.json"),
    (["run", "mine", "a", "--causal"], "a saved model takes no options"),
    (
        ["run", "mine", "z"],
        "there is no token 'z' (at position 0); the vocabulary is 'a', 'b', 'c'",
    ),
    (["run", "mine", *"abcabcabcabc"], "the limit is max_seq_len = 10"),
    (["compile", "hist", "--force"], "--force is about --out, which is not given"),
    (["compile", "hist", "--out", "."], "it is the current folder"),
    (["compile", "hist", "--out", "mine/model.json"], "there is a file of that name"),
    (["compile", "hist", "--out", "mine/README.md/x"], "File exists"),
]


@pytest.mark.parametrize(("typed", "said"), WRONG, ids=lambda each: str(each)[:40])
def test_wrong_use_exits_with_2_and_says_why(run, tmp_path, monkeypatch, typed, said):
    assert run("compile", "hist", "--out", "mine")[0] == 0
    if "." in typed:
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
    code, _, err = run(*typed)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
