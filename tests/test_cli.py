"""What a person at a terminal sees, and what a script gets back."""

import importlib
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tracr_lite import catalog
from tracr_lite.cli import app, compare, inputs, show


@pytest.fixture
def run(capsys):
    """Runs the command in this process: (exit code, standard output, standard error)."""

    def call(*words):
        with pytest.raises(SystemExit) as exit_:
            app.main(list(words))
        printed = capsys.readouterr()
        return exit_.value.code, printed.out, printed.err

    return call


@pytest.fixture
def answer(monkeypatch):
    """Replaces the compiler by a model that always gives the answer asked for."""

    def use(*decoded):
        model = SimpleNamespace(
            apply=lambda tokens: SimpleNamespace(decoded=[tokens[0], *decoded]),
            model_config=SimpleNamespace(
                num_layers=2, num_heads=1, key_size=3, mlp_hidden_size=4
            ),
            residual_labels=["one"] * 5,
            params={"module": {"w": np.zeros((30, 40)), "b": np.zeros(34)}},
        )
        compiling = importlib.import_module("tracr_lite.compiler.compiling")
        monkeypatch.setattr(compiling, "compile_rasp_to_model", lambda *a, **kw: model)

    return use


def words(line):
    return line.split()


def test_list_has_one_line_for_each_program(run):
    code, out, _ = run("list")
    assert code == 0
    for name, summary in catalog.summaries().items():
        assert any(words(line) == [name, *words(summary)] for line in out.splitlines())


def test_run_prints_both_answers_and_the_size_of_the_model(run):
    code, out, err = run("run", "reverse", "a", "b", "c")
    lines = [words(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert lines[:3] == [
        ["input", "a", "b", "c"],
        ["interpreter", "c", "b", "a"],
        ["transformer", "c", "b", "a"],
    ]
    assert words("layers d_model heads key size mlp hidden parameters") in lines
    assert "They agree." in out


def test_sizes_are_those_of_the_model(run, answer):
    answer("c", "b", "a")
    code, out, _ = run("run", "reverse", "a", "b", "c")
    assert code == 0
    assert ["2", "5", "1", "3", "4", "1,234"] in [words(line) for line in out.splitlines()]


def test_run_exits_with_1_and_names_the_positions_when_the_two_differ(run, answer):
    answer("c", "a", None)
    code, out, _ = run("run", "reverse", "a", "b", "c")
    assert code == 1
    assert "They DIFFER at position 1, 2." in out
    assert ["transformer", "c", "a", "None"] in [words(line) for line in out.splitlines()]


def test_a_failure_of_ours_is_neither_agreement_nor_difference(run, answer):
    answer("too", "few")
    code, _, err = run("run", "reverse", "a", "b", "c")
    assert code == 3
    assert "Traceback" in err
    assert "please report" in err


WRONG = [
    pytest.param(["run", "revers", "a"], "did you mean reverse?", id="unknown program"),
    pytest.param(["run", "zzzzz", "a"], "`tracr-lite list` shows all", id="nothing close"),
    pytest.param(["run", "reverse", "a", "z"], "no token 'z' (at position 1)", id="token"),
    pytest.param(["run", "reverse", ""], "no token ''", id="empty token"),
    pytest.param(["run", "hist", "--vocab", "1,True", "1"], "1 and True, which", id="equal"),
    pytest.param(["run", "reverse", "--nope", "a"], "no option or token '--nope'", id="option"),
    pytest.param(["run", "--nope", "reverse", "a"], "no option or program", id="option first"),
    pytest.param(["run", "reverse"], "Missing argument 'TOKENS", id="no tokens"),
    pytest.param(["run", "sort", *"123412341"], "at most 8 tokens", id="fixed size, tokens"),
    pytest.param(["run", "sort", "1", "--max-seq-len", "9"], "asked for 9", id="fixed size"),
    pytest.param(["run", "reverse", "abc", "--max-seq-len", "2"], "3 tokens were", id="length"),
    pytest.param(["run", "reverse", "a", "--max-seq-len", "0"], "range", id="no length"),
    pytest.param(["run", "reverse", "a", "--vocab", "a,,b"], "--vocab needs", id="vocabulary"),
    pytest.param(["run", "caesar", "x", "--vocab", "x"], "KeyError: 'x'", id="program raises"),
    pytest.param(["run", "nowhere.py:p", "a"], "no file nowhere.py", id="no file"),
    pytest.param(["jump"], "No such command 'jump'", id="no such command"),
]


@pytest.mark.parametrize(("typed", "said"), WRONG)
def test_wrong_use_exits_with_2_and_says_why_without_a_traceback(run, typed, said):
    code, out, err = run(*typed)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_inputs_beyond_the_precondition_are_run_with_a_note(run, answer):
    answer(0, 0)
    _, _, err = run("run", "addition", "1", "2")
    assert "precondition of addition" in err


def test_help_and_list_do_not_load_jax():
    code = (
        "import sys\n"
        "from tracr_lite.cli import app\n"
        "try: app.main(sys.argv[1:])\n"
        "except SystemExit as exit_: assert exit_.code == 0\n"
        "assert 'jax' not in sys.modules\n"
        "assert 'haiku' not in sys.modules\n"
    )
    for typed in (["list"], ["--help"], ["run", "--help"], ["verify", "--help"], ["--version"]):
        subprocess.run([sys.executable, "-c", code, *typed], check=True, capture_output=True)


# Programs in files

MY_FILE = '''"""My programs."""
from tracr_lite.rasp import rasp

shout = rasp.Map(lambda x: x + "!", rasp.tokens)

def make_double():
    return rasp.Map(lambda x: 2 * x, rasp.tokens)

number = 5
'''


@pytest.fixture
def my_file(tmp_path):
    path = tmp_path / "my.py"
    path.write_text(MY_FILE)
    return path


def test_a_program_in_a_file_takes_its_vocabulary_from_the_tokens(my_file):
    entry = catalog.load(f"{my_file}:shout")
    request = inputs.make_request(entry, ["b", "a", "b"])
    assert (request.vocab, request.max_seq_len, request.causal) == (("b", "a"), 3, False)
    assert compare.interpret(request) == ["b!", "a!", "b!"]
    assert entry.summary == "My programs."


def test_a_function_in_a_file_is_called_to_make_the_program(my_file):
    request = inputs.make_request(catalog.load(f"{my_file}:make_double"), ["3", "4.5"])
    assert compare.interpret(request) == [6, 9.0]


def test_what_a_file_says_is_used(my_file):
    my_file.write_text(
        f"{MY_FILE}\nPROGRAM, VOCAB, MAX_SEQ_LEN, CAUSAL = shout, 'xyz', 7, True"
    )
    request = inputs.make_request(catalog.load(str(my_file)), ["zy"])
    assert (request.tokens, request.vocab) == (["z", "y"], ("x", "y", "z"))
    assert (request.max_seq_len, request.causal) == (7, True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shot", "did you mean shout?"),
        ("number", "of type int; needed is an S-Op"),
        ("other", "there are shout"),
    ],
)
def test_a_name_that_is_no_program_is_refused(my_file, name, said):
    with pytest.raises(catalog.ProgramError, match=said):
        catalog.load(f"{my_file}:{name}")


def test_a_file_that_fails_is_named(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")
    with pytest.raises(catalog.ProgramError, match=r"broken\.py cannot be run: ZeroDivision"):
        catalog.load(str(path))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("MAX_SEQ_LEN = '5'", "MAX_SEQ_LEN is '5'; needed is 1, 2, 3"),
        ("MAX_SEQ_LEN = 0", "MAX_SEQ_LEN is 0"),
        ("MAX_SEQ_LEN = True", "MAX_SEQ_LEN is True"),
        ("VOCAB = 5", "VOCAB is 5; needed is a collection of tokens"),
        ("CAUSAL = 'no'", "CAUSAL is 'no'; needed is True or False"),
        ("FIXED_SIZE = 1", "FIXED_SIZE is 1; needed is True or False"),
    ],
)
def test_what_a_file_says_must_make_sense(run, my_file, line, said):
    my_file.write_text(f"{MY_FILE}\n{line}\n")
    code, out, err = run("run", f"{my_file}:shout", "a")
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_certificate_that_cannot_be_written_is_no_verdict(run, tmp_path):
    code, _, err = run("certify", "length", "--out", str(tmp_path / "nowhere" / "x.json"))
    assert code == 2
    assert "x.json cannot be written: No such file or directory" in err


@pytest.mark.parametrize("part", ["", ".compiler", ".llama", ".targets", ".verifying"])
def test_packages_list_what_is_imported_when_asked_for(part):
    package = importlib.import_module(f"tracr_lite{part}")
    assert set(vars(package).get("__all__", ["verify", "blame", "Report"])) <= set(dir(package))


# From words to values

TOKENS = [  # vocabulary, words, tokens
    pytest.param((1, 2), ["2", "1"], [2, 1], id="numbers"),
    pytest.param(("1", "2"), ["2", "1"], ["2", "1"], id="strings that look like numbers"),
    pytest.param((1, "1"), ["1", "'1'"], [1, "1"], id="both: quotes make a string"),
    pytest.param((-1, 0.5), ["-1", "0.5"], [-1, 0.5], id="negative and fractional"),
    pytest.param((True, False), ["False", "True"], [False, True], id="truth values"),
    pytest.param(("a", "b"), ["abba"], ["a", "b", "b", "a"], id="joined characters"),
    pytest.param((0, 1), ["101"], [1, 0, 1], id="joined digits"),
    pytest.param(("a", "b", "ab"), ["ab"], ["ab"], id="a longer token is not taken apart"),
    pytest.param(("a", "b", "bb"), ["bb", "a"], ["bb", "a"], id="mixed lengths"),
]


@pytest.mark.parametrize(("vocab", "typed", "tokens"), TOKENS)
def test_words_are_read_by_the_vocabulary(vocab, typed, tokens):
    read = inputs.parse_tokens(typed, vocab)
    assert read == tokens
    assert list(map(type, read)) == list(map(type, tokens))


VOCABS = [  # text, values of the program, vocabulary
    pytest.param("a,b,c", (), ("a", "b", "c"), id="strings"),
    pytest.param("2, 0.5, True", (), (2, 0.5, True), id="numbers and truth values"),
    pytest.param("1,2", ("1",), ("1", 2), id="those of the program come first"),
    pytest.param("'1',a", (), ("1", "a"), id="quotes make a string"),
    pytest.param('(,")",","', (), ("(", ")", ","), id="a comma in quotes"),
    pytest.param("a,a", (), ("a",), id="once each"),
]


@pytest.mark.parametrize(("text", "known", "vocab"), VOCABS)
def test_vocabularies_are_read_from_a_list(text, known, vocab):
    read = inputs.parse_vocab(text, known)
    assert read == vocab
    assert list(map(type, read)) == list(map(type, vocab))


@pytest.mark.parametrize("text", ["", ",", "a,", "a\nb", "a\rb", '"a', '"a"b,c'])
def test_a_list_that_cannot_be_read_is_refused(text):
    with pytest.raises(inputs.UsageError, match="--vocab"):
        inputs.parse_vocab(text)


def test_the_length_grows_with_the_input_and_obeys_the_option():
    reverse = catalog.load("reverse")
    assert inputs.make_request(reverse, ["a"]).max_seq_len == reverse.max_seq_len
    assert inputs.make_request(reverse, ["a"] * 30).max_seq_len == 30
    assert inputs.make_request(reverse, ["a"], max_seq_len=4).max_seq_len == 4
    assert inputs.make_request(reverse, ["a"], causal=True).causal


SHOWN = [
    (None, "None"), (True, "True"), (3, "3"), (3.0, "3"), (2 / 3, "0.666667"), ("a", "a"),
    ("1", "'1'"), ("None", "'None'"), ("", "''"), ("a b", "'a b'"), (("a", 1), "('a', 1)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), SHOWN)
def test_values_are_shown_briefly_and_unambiguously(value, text):
    assert show.format_value(value) == text


AGREEMENT = [
    (1, 1.0, True), (2 / 3, np.float32(2 / 3).item(), True), (0, 1e-8, True), ("a", "a", True),
    (None, None, True), (1, 2, False), (0.5, 0.5001, False), (0, None, False), (None, 0, False),
    ("1", 1, False),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "found", "yes"), AGREEMENT)
def test_agreement_is_equality_up_to_float32(expected, found, yes):
    assert compare.agree(expected, found) is yes


def test_long_inputs_are_cut_into_blocks_that_fit(monkeypatch, capsys, answer):
    answer(*"b" * 70)
    monkeypatch.setattr(show, "FILE_WIDTH", 60)
    with pytest.raises(SystemExit):
        app.main(["run", "previous_token", *"a" * 70])
    out = capsys.readouterr().out
    assert out.count("transformer") == 5
    assert all(len(line) <= 60 for line in out.splitlines())


# compile


def test_compile_shows_the_size_and_what_each_layer_computes(run):
    code, out, err = run("compile", "reverse", "--vocab", "a,b", "--max-seq-len", "4")
    assert (code, err) == (0, "")
    assert "for the vocabulary a b, up to 4 tokens, not causal" in out
    assert "layer 1  heads: reverse" in out
    assert "assemble" not in out


def test_timings_name_every_stage_and_what_it_made(run):
    _, out, _ = run("compile", "reverse", "--timings")
    rows = [words(line) for line in out.splitlines()]
    named = [row[0] for row in rows if len(row) > 2 and row[1].replace(".", "").isdigit()]
    assert named[-5:] == ["trace", "infer", "lower", "place", "assemble"]
    (total,) = (row for row in rows if row[:2] == ["all", "stages"])
    parts = [float(row[1]) for row in rows if row[:1] and row[0] in named[-5:]]
    assert float(total[2]) == pytest.approx(sum(parts), abs=0.1)
    assert "bytes" in out


def test_compile_needs_a_vocabulary_and_a_length(run, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from tracr_lite.rasp import rasp\nPROGRAM = rasp.Map(lambda x: x, rasp.tokens)\n"
    )
    code, _, err = run("compile", str(file))
    assert code == 2
    assert "has no VOCAB; give --vocab" in err
    code, _, err = run("compile", str(file), "--vocab", "a,b")
    assert code == 2
    assert "has no MAX_SEQ_LEN; give --max-seq-len" in err
    assert run("compile", str(file), "--vocab", "a,b", "--max-seq-len", "3")[0] == 0


def test_a_length_beyond_reason_is_refused_at_once(run):
    for length in ("100000", "1000000"):
        code, _, err = run("compile", "hist", "--max-seq-len", length)
        assert code == 2
        assert f"max_seq_len: {int(length):,} is more than 32,768, the positions" in err


def test_a_program_that_is_refused_says_why(run, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from tracr_lite.rasp import rasp\nPROGRAM = rasp.Map(lambda x: [x], rasp.tokens)\n"
    )
    code, _, err = run("compile", str(file), "--vocab", "a,b", "--max-seq-len", "3")
    assert code == 2
    assert "unhashable" in err
