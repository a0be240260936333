"""`tracr-lite llama generate` and `chat`: what goes to which stream."""

import io
import re

import pytest
from click.testing import CliRunner

from tests.llama.by_the_book import WRITERS
from tests.llama.models import GOLDEN, golden_json, needs_golden
from tests.llama.running import gentle_weights, letters
from tracr_lite.llama import LlamaConfig
from tracr_lite.llama.cli import app
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.runtime import load
from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary, save_tokenizer

CONFIG = LlamaConfig(16, 24, 1, 4, 2, 40, 96, False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    (path / "model.bin").write_bytes(WRITERS["v0"](CONFIG, gentle_weights(CONFIG)))
    save_tokenizer(path / "tokenizer.bin", letters())
    return path


def typed(*words, stdin=None):
    """Standard output as bytes, and standard error."""
    result = CliRunner().invoke(app, list(map(str, words)), input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout_bytes, result.stderr


def test_text_on_one_stream_and_speed_on_the_other(folder):
    out, err = typed("generate", folder / "model.bin", "-i", "HELLO", "-n", 20, "-s", 42)
    model = load(folder / "model.bin", folder / "tokenizer.bin")
    result = model.generate("HELLO", n=20, seed=42)
    assert out.decode(errors="replace") == result.text + "\n"
    tokens = len(result.tokens) - 1
    assert re.fullmatch(
        rf"[\d.]+ tokens/s \({tokens} tokens in [\d.]+ s\); engine (native|jax); seed 42\n", err
    )


def test_a_seed_of_the_clock_is_told(folder):
    out, err = typed("generate", folder / "model.bin", "-i", "AB", "-n", 20)
    seed = int(re.search(r"seed (\d+)", err)[1])
    model = load(folder / "model.bin", folder / "tokenizer.bin")
    text = model.generate("AB", n=20, seed=seed, errors="surrogateescape").text
    assert out == text.encode("utf-8", "surrogateescape") + b"\n"


def test_a_seed_of_the_clock_can_be_typed(folder, monkeypatch):
    """run.c's seeds have 32 bits, with a sign; longer ones would become others."""
    monkeypatch.setattr("tracr_lite.llama.cli_generate.time.time_ns", lambda: 1 << 60 | 12345)
    common = ("generate", folder / "model.bin", "-i", "AB", "-n", 30)
    out, err = typed(*common)
    seed = re.search(r"seed (\d+)", err)[1]
    assert typed(*common, "-s", seed)[0] == out


def test_several_prompts_are_a_batch(folder):
    common = (folder / "model.bin", "-n", 12, "-t", 0)
    out, err = typed("generate", *common, "-i", "AB", "-i", "HELLO")
    parts = [typed("generate", *common, "-i", each)[0] for each in ("AB", "HELLO")]
    assert out == b"".join(parts)
    assert "compilation included" in err


def test_stop_and_no_echo_and_quiet(folder):
    common = (folder / "model.bin", "-i", "AB", "-n", 30, "-s", 5, "--no-echo", "--quiet")
    whole, err = typed("generate", *common)
    assert err == ""
    stop = whole[4:6].decode(errors="ignore")
    assert len(stop) == 2
    cut, _ = typed("generate", *common, "--stop", stop)
    assert cut == whole[: whole.index(stop.encode())] + b"\n"


def test_a_stop_is_the_bytes_that_were_typed(folder):
    """Half a character as well, which a shell passes on and no UTF-8 spells."""
    half = "é".encode()[:1]
    common = (folder / "model.bin", "-i", "AB", "-n", 90, "-s", 7, "--no-echo", "--quiet")
    whole, _ = typed("generate", *common)
    assert half in whole
    cut, _ = typed("generate", *common, "--stop", half.decode(errors="surrogateescape"))
    assert cut == whole[: whole.index(half)] + b"\n"


def test_n_beyond_the_context_is_said(folder):
    _, err = typed("generate", folder / "model.bin", "-i", "A", "-n", 1000, "-s", 1)
    assert err.startswith("note: n = 1000 becomes 96, the whole context\n")


def test_a_tokenizer_has_to_be_found(folder, tmp_path, monkeypatch):
    (tmp_path / "model.bin").write_bytes((folder / "model.bin").read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LlamaError, match=r"no tokenizer: .* name one with -z"):
        typed("generate", "model.bin")


def test_sizes_of_tokenizer_and_model_must_agree(folder, tmp_path):
    size = CONFIG.vocab_size
    larger = LlamaConfig(16, 24, 1, 4, 2, size + 1, 96, False)
    (tmp_path / "model.bin").write_bytes(WRITERS["v0"](larger, gentle_weights(larger)))
    with pytest.raises(LlamaError, match=f"the tokenizer has {size} tokens, but the model"):
        typed("generate", tmp_path / "model.bin", "-z", folder / "tokenizer.bin")


def test_a_chat_ends_with_its_input(folder):
    out, err = typed(
        "chat", folder / "model.bin", "-y", "", "-n", 96, "-s", 3, stdin=b"AB\nCD\n"
    )
    chat = load(folder / "model.bin", folder / "tokenizer.bin").chat(seed=3)
    first = "".join(chat.say("AB"))
    assert out.decode(errors="replace").startswith(f"User: Assistant: {first}")
    assert err in ("", "the context of 96 tokens is used up\n")


@needs_golden
def test_bytes_of_run_c():
    folder = GOLDEN / "models/m64_gqa_shared"
    words = (folder / "model_v0.bin", "-z", GOLDEN / "tokenizer/tok512.bin", "--like-run-c")
    case = golden_json("models/m64_gqa_shared/expected_generate.json")[1]
    prompt = bytes.fromhex(case["prompt_hex"]).decode()
    out, _ = typed("generate", *words, "-i", prompt, "-t", 0, "-n", 0)
    assert out == bytes.fromhex(case["stdout_hex"])


@needs_golden
def test_a_transcript_of_run_c():
    folder = GOLDEN / "models/m48_mha_unshared"
    words = (folder / "model_v0.bin", "-z", GOLDEN / "tokenizer/tok320.bin", "--like-run-c")
    case = golden_json("models/m48_mha_unshared/expected_chat.json")[4]
    how = ("-t", case["temperature"], "-p", case["topp"], "-s", case["seed"])
    out, _ = typed("chat", *words, *how, stdin=bytes.fromhex(case["stdin_hex"]))
    assert out == bytes.fromhex(case["stdout_hex"])


def test_a_prompt_is_the_bytes_that_were_typed(folder):
    """A shell passes bytes that are no UTF-8, and Python makes half characters of them."""
    half = "é".encode()[1:]
    out, _ = typed(
        "generate", folder / "model.bin", "-i", half.decode(errors="surrogateescape")
    )
    assert out.startswith(half)


def test_a_model_that_is_not_there_is_missed_before_its_tokenizer(tmp_path):
    with pytest.raises(LlamaError, match=r"there is no .*nothing"):
        typed("generate", tmp_path / "nothing")


def test_text_goes_to_streams_without_bytes(folder, monkeypatch):
    """As those of notebooks."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    app.main(
        ["generate", str(folder / "model.bin"), "-i", "AB", "-n", "6", "--quiet"],
        standalone_mode=False,
    )
    assert stream.getvalue().startswith("AB")


QUIRKS = [  # what is typed, what run.c computes with, what is said
    (("-t", "-0.5"), ("-t", "0"), "note: -t -0.5 becomes 0, as in run.c\n"),
    (("-p", "1.5"), ("-p", "0.9"), "note: -p 1.5 becomes 0.9, as in run.c\n"),
    (("-p", "-1"), ("-p", "0.9"), "note: -p -1 becomes 0.9, as in run.c\n"),
    (("-p", "1.00000001"), ("-p", "1"), ""),  # 1 as float32
    (("-t", "-1e-60"), ("-t", "0"), ""),
]


@pytest.mark.parametrize(("odd", "plain", "said"), QUIRKS)
def test_temperature_and_top_p_as_run_c_takes_them(folder, odd, plain, said):
    words = ("generate", folder / "model.bin", "-i", "AB", "-n", 12, "-s", 5, "--like-run-c")
    out, err = typed(*words, *odd)
    assert err.startswith(said)
    assert err.count("note") == bool(said)
    assert out == typed(*words, *plain)[0]


@pytest.mark.parametrize("odd", [odd for odd, _, _ in QUIRKS])
def test_they_are_refused_otherwise(folder, odd):
    with pytest.raises(LlamaError, match=r"temperature is -|top_p is "):
        typed("generate", folder / "model.bin", "-i", "AB", *odd)


@pytest.mark.parametrize("odd", [("-t", "nan"), ("-t", "1e39"), ("-p", "nan")])
def test_no_numbers_are_refused_also_like_run_c(folder, odd):
    with pytest.raises(LlamaError, match=r"temperature is |top_p is nan"):
        typed("generate", folder / "model.bin", "-i", "AB", "--like-run-c", *odd)


def test_a_long_prompt_is_cut_and_said(folder):
    words = ("generate", folder / "model.bin", "-i", "AB" * 60)
    out, err = typed(*words)
    assert out == b"AB" * 47 + b"A\n"
    assert err.startswith("note: prompt 0 has 122 tokens, of which 96 are run and printed")
    assert typed(*words, "-n", 5)[0] == b"ABAB\n"


def test_a_longer_tokenizer_is_said(folder, tmp_path):
    known = letters().vocabulary
    longer = Vocabulary([*known.pieces, b"AB"], [*known.scores, 1.0])
    save_tokenizer(tmp_path / "tokenizer.bin", Tokenizer(longer))
    out, err = typed(
        *("generate", folder / "model.bin", "-z", tmp_path / "tokenizer.bin"),
        *("-i", "AB", "-s", 3, "-n", 9),
    )
    assert "note: the tokenizer" in err
    assert "has 41 tokens, but the model 40" in err
    assert out == typed("generate", folder / "model.bin", "-i", "AB", "-s", 3, "-n", 9)[0]
