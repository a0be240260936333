"""Generation: run.c's tokens, the rules of stopping, batches, streams, and what is refused."""

import json

import numpy as np
import pytest

from tests.llama.models import GOLDEN, golden_models
from tests.llama.running import (
    ENGINES,
    GQA,
    MHA,
    draw_ids,
    gentle_weights,
    letters,
    make_model,
)
from tracr_lite.llama import LlamaConfig
from tracr_lite.llama.errors import LlamaError, LlamaWarning
from tracr_lite.llama.runtime import Llama, load
from tracr_lite.llama.sampler import Sampler

every_engine = pytest.mark.parametrize("engine", ENGINES)
golden = pytest.mark.parametrize("folder", golden_models(), ids=lambda folder: folder.name)


@pytest.fixture(scope="module", params=ENGINES)
def model(request):
    bare = make_model(GQA)
    return Llama(GQA, bare.params, letters(), request.param)


def ids_of(result):
    """What run.c calls the next tokens, forced and sampled."""
    ended = [result.stop] if result.reason == "token" else []
    return [*result.prompt_tokens[1:], *result.tokens, *ended]


def check_golden(model, case):
    result = model.generate(
        bytes.fromhex(case["prompt_hex"]),
        n=case["steps"],
        temperature=case["temperature"],
        top_p=case["topp"],
        seed=case["seed"],
    )
    assert ids_of(result) == case["next_ids"], case["tag"]
    shown = model.tokenizer.printed([*result.prompt_tokens, *result.tokens])
    assert (shown + b"\n").hex() == case["stdout_hex"]


@golden
@every_engine
@pytest.mark.parametrize(
    ("program", "loading"), [("run.c", {}), ("runq.c", {"activations": "q80"})]
)
def test_a_seed_gives_the_tokens_of_the_c_programs(folder, program, loading, engine):
    tokenizer = GOLDEN / json.loads((folder / "model.json").read_text())["tokenizer"]
    cases = json.loads((folder / "expected_generate.json").read_text())
    cases = [case for case in cases if case["program"] == program]
    model = load(folder / cases[0]["model"], tokenizer, engine=engine, **loading)
    for case in cases:
        check_golden(model, case)


def sampled_by_hand(model, ids, n, seed, **settings):
    """One token after the other from the logits of whole passes."""
    sampler = Sampler(model.config.vocab_size, seed=seed, **settings)
    ids = list(ids)
    while len(ids) <= n:
        ids.append(sampler.sample(model.logits(ids[: model.config.seq_len])[-1], ids))
        if ids[-1] == 1:
            break
    return ids


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.0},
        {"temperature": 1.0, "top_p": 1.0},
        {"temperature": 0.7, "top_p": 0.8, "top_k": 7, "repetition_penalty": 1.3},
    ],
    ids=["greedy", "plain", "everything"],
)
def test_tokens_are_those_of_the_sampler_on_whole_passes(model, settings):
    ids = draw_ids(GQA, 5, seed=3)
    result = model.generate(ids, n=20, seed=9, **settings)
    assert [1, *ids_of(result)] == sampled_by_hand(model, ids, 20, 9, **settings)


def test_rows_of_a_batch_are_single_generations(model):
    prompts = [draw_ids(GQA, length, seed=length) for length in (3, 9, 1, 5)]
    batch = model.generate(prompts, n=18, seed=[5, 6, 7, 8], temperature=0.9)
    for prompt, seed, row in zip(prompts, (5, 6, 7, 8), batch, strict=True):
        assert row == model.generate(prompt, n=18, seed=seed, temperature=0.9)


@pytest.mark.parametrize("options", [{}, {"echo": False}, {"stop": ["AB", "Q"]}, {"n": 2}])
def test_the_pieces_of_a_stream_are_the_text(model, options):
    for seed in range(1, 6):
        how = {"n": 20, "seed": seed} | options
        stream = model.stream("HELLO", **how)
        assert "".join(stream) == stream.result.text
        assert stream.result == model.generate("HELLO", **how)


def test_echo_is_the_prompt_in_front(model):
    whole, new = (model.generate("HELLO", n=20, seed=4, echo=echo) for echo in (True, False))
    assert whole.text == "HELLO" + new.text
    assert whole.tokens == new.tokens


def test_a_stop_string_ends_the_text_before_it(model):
    full = model.generate("HE", n=24, temperature=0.8, seed=11, echo=False)
    assert len(full.text) > 6
    stop = full.text[3:5]
    cut = model.generate("HE", n=24, temperature=0.8, seed=11, echo=False, stop=[stop])
    assert cut.text == full.text[: full.text.index(stop)]
    assert (cut.reason, cut.stop) == ("string", stop)


def test_a_stop_token_ends_the_text_and_is_not_printed(model):
    full = model.generate([1, 5], n=24, temperature=0.8, seed=11)
    stop = full.tokens[4]
    cut = model.generate([1, 5], n=24, temperature=0.8, seed=11, stop_tokens=[stop])
    assert cut.tokens == full.tokens[: full.tokens.index(stop)]
    assert (cut.reason, cut.stop) == ("token", stop)


def test_n_counts_the_prompt_and_one_token_follows_the_last(model):
    """As in run.c: n tokens are run, and each gives one."""
    for n in (5, 6, 9):
        result = model.generate(draw_ids(GQA, 5), n=n, stop_tokens=[], seed=2)
        assert len(result.prompt_tokens) + len(result.tokens) == n + 1
    assert model.generate(draw_ids(GQA, 5), n=3).tokens == ()
    assert (
        model.generate(draw_ids(GQA, 5), n=3).text == model.generate(draw_ids(GQA, 4), n=3).text
    )


def test_n_beyond_the_context_is_cut_and_says_so(model):
    whole = model.generate([1, 4], n=0, temperature=0.0, stop_tokens=[])
    assert len(whole.tokens) == GQA.seq_len - 1
    for n in (GQA.seq_len + 1, -1):
        with pytest.warns(LlamaWarning, match=f"n = {n} becomes {GQA.seq_len}"):
            assert (
                model.generate([1, 4], n=n, temperature=0.0, stop_tokens=[]).tokens
                == whole.tokens
            )


def test_a_seed_from_the_clock_is_told_and_gives_the_same_text(model):
    first = model.generate("A", n=12)
    assert model.generate("A", n=12, seed=first.seed) == first


def test_not_a_number_is_said_with_its_position():
    weights = gentle_weights(MHA)
    weights.token_embedding[7] = np.nan
    broken = make_model(MHA, weights)
    with pytest.raises(LlamaError, match="row 0: nothing can be chosen for position 2"):
        broken.generate([1, 7], n=9, seed=1)
    with pytest.raises(LlamaError, match="row 1: nothing can be chosen for position 2"):
        broken.generate([[1, 6], [1, 7]], n=9, seed=1)


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ([], {}, "the prompt: empty"),
        ([1, 40], {}, "token 40 at position 1"),
        ([1] * 25, {}, "25 tokens, but the context"),
        ("A", {"n": 2.5}, "n is 2.5"),
        ("A", {"seed": [1, 2]}, r"2 seeds were given for 1 prompt"),
        ("A", {"seed": 0}, "the seed is 0"),
        ("A", {"temperature": -1}, "temperature is -1"),
        ("A", {"stop": [""]}, "empty"),
        ("A", {"stop_tokens": [99]}, "stop_tokens: token 99"),
    ],
)
def test_refused(model, prompt, options, words):
    with pytest.raises(LlamaError, match=words):
        model.generate(prompt, **{"seed": 1} | options)


def test_texts_need_a_tokenizer_of_the_same_size(tmp_path):
    bare = make_model(MHA)
    with pytest.raises(LlamaError, match="a text needs a tokenizer"):
        bare.generate("A")
    with pytest.raises(LlamaError, match="stop strings need a tokenizer"):
        bare.generate([1], stop=["A"])
    assert bare.generate([1], n=3, seed=1).text is None


def test_prompts_may_come_one_by_one(model):
    how = {"n": 6, "temperature": 0, "seed": 1}
    assert model.generate(iter(["AB", "C"]), **how) == model.generate(["AB", "C"], **how)
    assert model.generate(iter([1, 5]), **how) == model.generate([1, 5], **how)
    with pytest.raises(LlamaError, match="among the prompts is 7, neither a text nor"):
        model.generate(["AB", 7])


def test_a_model_without_bos_can_be_run():
    config = LlamaConfig(16, 24, 1, 4, 1, 1, 24, False)
    assert make_model(config).generate([0], n=3).tokens == (0, 0, 0)
    with pytest.raises(LlamaError, match="stop_tokens: token 1 at position 0 is not in"):
        make_model(config).generate([0], n=3, stop_tokens=[1])


def test_unknown_handling_of_errors_is_refused(model):
    with pytest.raises(LlamaError, match="errors is 'strickt', which Python does not know"):
        model.generate("AB", errors="strickt")


def test_a_temperature_that_makes_logits_infinite_is_named(model):
    with pytest.raises(LlamaError, match="the temperature or the penalty is too small"):
        model.generate("AB", temperature=1e-38)
