"""What run.c does with prompts, seeds and tokenizers that do not fit, by both engines."""

import warnings

import pytest

from tests.llama.by_the_book import WRITERS
from tests.llama.models import GOLDEN, needs_golden
from tests.llama.running import ENGINES, GQA, MHA, draw_ids, gentle_weights, letters, make_model
from tracr_lite.llama.errors import LlamaError, LlamaWarning
from tracr_lite.llama.generate import Options
from tracr_lite.llama.runtime import Llama, load
from tracr_lite.llama.tokenizer import Tokenizer, Vocabulary, save_tokenizer

LONG = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGH"  # 36 tokens; the context has 24
LAST = (1 << 64) - 1


@pytest.fixture(scope="module", params=ENGINES)
def model(request):
    return Llama(GQA, make_model(GQA).params, letters(), request.param)


def test_a_text_longer_than_the_context_is_cut_at_n(model):
    result = model.generate(LONG, n=5)
    assert (result.text, result.tokens, result.reason) == ("ABCD", (), "length")
    assert len(result.prompt_tokens) == 6


@pytest.mark.parametrize("n", [0, None])
def test_a_text_longer_than_the_context_is_cut_at_its_end(model, n):
    with pytest.warns(LlamaWarning, match="prompt 0 has 36 tokens, of which 24 are run"):
        result = model.generate(LONG, n=n)
    assert (result.text, result.tokens) == (LONG[:23], ())
    with pytest.warns(LlamaWarning, match="nothing is generated"):
        assert "".join(model.stream(LONG, n=n)) == LONG[:23]


def test_a_text_that_just_fits_gets_its_one_token(model):
    result = model.generate(LONG[:22], n=0, temperature=0.0, stop_tokens=[])
    assert (len(result.prompt_tokens), len(result.tokens)) == (24, 1)


def test_ids_beyond_the_context_are_refused(model):
    with pytest.raises(LlamaError, match="25 tokens, but the context"):
        model.generate([1] * 25, n=3)


def test_rows_that_are_cut_leave_the_others_alone(model):
    prompts = ["ABCDEF", "A", LONG, "BC"]
    how = {"n": 6, "temperature": 0.9, "stop_tokens": []}
    batch = model.generate(prompts, seed=[5, 6, 7, 8], **how)
    for prompt, seed, row in zip(prompts, (5, 6, 7, 8), batch, strict=True):
        assert row == model.generate(prompt, seed=seed, **how)
    assert [len(row.tokens) for row in batch] == [0, 4, 0, 3]


def test_a_batch_with_a_cut_row_ends_when_the_others_have_stopped(model, monkeypatch):
    first = model.generate("A", n=0, temperature=0.0, stop_tokens=[]).tokens[0]
    how = {"n": 20, "temperature": 0.0, "stop_tokens": [first]}
    cut, row = model.generate([LONG, "A"], **how)
    assert (cut.reason, row.reason, row.stop) == ("length", "token", first)


def test_a_broken_row_is_named_as_it_was_given():
    weights = gentle_weights(MHA)
    weights.token_embedding[7] = float("nan")
    for engine in ENGINES:
        broken = Llama(MHA, make_model(MHA, weights).params, letters(), engine)
        with pytest.raises(LlamaError, match="row 1: nothing can be chosen for position 2"):
            broken.generate(["ABCDEF", [1, 7]], n=4, seed=1)


@pytest.mark.parametrize("first", [LAST, LAST - 1, 7])
def test_seeds_go_round(model, first):
    seeds = Options(seed=first).seeds(3)
    assert seeds == [(first + i) if first + i <= LAST else first + i - LAST for i in range(3)]
    batch = model.generate([[1, 5]] * 3, seed=first, n=9)
    assert [row.seed for row in batch] == seeds


@pytest.mark.parametrize("seed", [0, -1, LAST + 1, 2.5, True, [1, 0], "ab", [1, LAST + 1]])
def test_what_is_no_seed_is_refused_also_where_the_row_is_cut(model, seed):
    with pytest.raises(LlamaError, match="the seed is"):
        model.generate(["ABCDEF", "A"], n=3, seed=seed)


def test_more_stop_tokens_than_the_context_has_places(model):
    ids = list(range(3, 40))
    result = model.generate(draw_ids(GQA, 3), n=9, seed=1, stop_tokens=ids)
    assert result == model.generate(draw_ids(GQA, 3), n=9, seed=1, stop_tokens=ids[:])
    assert result.stop in ids or not result.tokens


@pytest.fixture
def longer(tmp_path):
    """A model, and a tokenizer of three tokens more."""
    (tmp_path / "model.bin").write_bytes(WRITERS["v0"](MHA, gentle_weights(MHA)))
    known = letters().vocabulary
    pieces = [*known.pieces, b"ABC", b"more", b"AB"]
    scores = [*known.scores, 9.0, 8.0, 7.0]
    save_tokenizer(tmp_path / "tokenizer.bin", Tokenizer(Vocabulary(pieces, scores)))
    return tmp_path


@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_tokens_of_a_longer_tokenizer_are_used(longer, engine):
    with pytest.warns(LlamaWarning, match="has 43 tokens, but the model 40"):
        model = load(longer / "model.bin", longer / "tokenizer.bin", engine=engine)
    plain = load(longer / "model.bin", letters(), engine=engine)
    how = {"n": 20, "seed": 4}
    assert model.generate("ABCD", **how) == plain.generate("ABCD", **how)


def test_a_tokenizer_of_the_right_size_gives_no_warning(longer):
    save_tokenizer(longer / "tokenizer.bin", letters())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(longer / "model.bin", longer / "tokenizer.bin")


def test_a_shorter_tokenizer_is_refused(longer):
    save_tokenizer(longer / "tokenizer.bin", Tokenizer(Vocabulary([b"a", b"b"], [0.0, 0.0])))
    with pytest.raises(LlamaError, match="the tokenizer has 2 tokens, but the model"):
        load(longer / "model.bin", longer / "tokenizer.bin")


@needs_golden
@pytest.mark.parametrize("engine", ENGINES)
def test_a_golden_model_prints_what_it_has_run_of_a_long_prompt(engine):
    folder = GOLDEN / "models" / "m32_mqa_unshared"
    model = load(folder / "model_v0.bin", GOLDEN / "tokenizer" / "tok320.bin", engine=engine)
    text = "The quick brown fox jumps over the lazy dog and goes on and on"
    whole = model.tokenizer.encode(text)
    assert len(whole) > model.config.seq_len
    assert model.generate(text, n=5).text == model.tokenizer.decode(whole[:6]).decode()
