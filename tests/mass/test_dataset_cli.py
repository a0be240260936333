"""`tracr-lite dataset` as a person meets it."""

import json

import pytest

from tracr_lite.cli import app
from tracr_lite.mass import read_dataset

WORDS = ["--count", "6", "--shard-size", "4", "--nodes", "3", "5", "--workers", "0"]


@pytest.fixture
def run(capsys):
    """Runs the command in this process: (exit code, standard output, standard error)."""

    def call(*words):
        with pytest.raises(SystemExit) as exit_:
            app.main(["dataset", *map(str, words)])
        printed = capsys.readouterr()
        return exit_.value.code, printed.out, printed.err

    return call


def test_a_data_set_is_written_continued_and_checked(run, tmp_path):
    folder = tmp_path / "set"
    code, out, err = run(folder, *WORDS, "--seed", 4, "--causal", "yes", "--vocab-size", 2)
    assert (code, err) == (0, "")
    assert f"{folder}: 6 of 6 samples in 2 shard(s), 0." in out
    assert run(folder) == run(folder, "--seed", 4) == (0, out, "")
    assert run(folder, "--check") == (0, out, "")
    dataset = read_dataset(folder)
    assert [len(sample.vocab) for sample in dataset] == [2] * 6
    assert all(sample.causal for sample in dataset)
    assert dataset.arguments == {
        "count": 6,
        "seed": 4,
        "shard_size": 4,
        "max_seq_len": 5,
        "vocab_size": 2,
        "nodes": [3, 5],
        "causal": "yes",
        "max_parameters": None,
        "timeout": None,
        "storage": "sparse",
    }


def test_refusals_are_counted_by_kind(run, tmp_path):
    code, out, _ = run(tmp_path, *WORDS, "--max-parameters", 1500)
    assert code == 0
    kinds = [each["kind"] for each in read_dataset(tmp_path).refused()]
    assert f"  too large: {kinds.count('too large')}\n" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "needs count"),
        (("--count", "0"), "0 is not in the range x>=1"),
        (("--count", "1", "--nodes", "4"), "'--nodes' requires 2 arguments"),
        (("--count", "1", "--nodes", "4", "3"), "nodes is (4, 3)"),
        (("--count", "1", "--vocab-size", "40"), "can be 12 at most"),
        (("--check",), "is no data set"),
        (("--check", "--max-seq-len", "3"), "leave out --max-seq-len"),
    ],
)
def test_wrong_commands_are_user_errors(run, tmp_path, words, text):
    code, out, err = run(tmp_path / "new", *words)
    assert (code, out) == (2, "")
    assert text in err
    assert not (tmp_path / "new").exists()


def test_damage_is_a_user_error(run, tmp_path):
    run(tmp_path, *WORDS)
    (tmp_path / "shard-00001.jsonl").write_text("")
    code, _, err = run(tmp_path, "--check")
    assert code == 2
    assert "shard-00001.jsonl is cut short" in err
    code, _, err = run(tmp_path)
    assert code == 2
    assert "this data set is damaged" in err


def test_a_fault_of_ours_is_no_user_error(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tracr_lite.mass.writing.shard_bytes", lambda *a, **k: 1 / 0)
    code, _, err = run(tmp_path, *WORDS)
    assert code == 3
    assert "ZeroDivisionError" in err


def test_the_refusals_are_lines_of_json(run, tmp_path):
    run(tmp_path, *WORDS, "--max-parameters", 1500)
    lines = (tmp_path / "shard-00000.refused.jsonl").read_text().splitlines()
    assert lines
    for line in lines:
        assert json.loads(line).keys() == {"draw", "kind", "reason", "program"}
