"""Guessed tokens: the texts stay what they are without guesses, and so does each bit."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.llama.running import GQA, LOADING, gentle_weights, letters, make_model
from tracr_lite.llama import LlamaConfig
from tracr_lite.llama.engines import MOST_AHEAD, choose_engine
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.runtime import Llama

pytest.importorskip("numba", reason="the native engine needs numba")
from tracr_lite.llama.native.batch import Row, fill
from tracr_lite.llama.native.engine import NativeEngine
from tracr_lite.llama.native.lookahead import Lookahead
from tracr_lite.llama.native.plan import ALONE
from tracr_lite.llama.native.products import FEW
from tracr_lite.llama.native.room import make_caches, make_room

# heads that fill vectors and not; groups of whole vectors; chunks; sizes that fill nothing
WIDE = LlamaConfig(64, 160, 2, 2, 1, 41, 40, True)
CHUNKED = LlamaConfig(768, 256, 1, 8, 8, 19, 40, False)
ODD = LlamaConfig(36, 50, 1, 6, 3, 37, 40, False)
LONG = LlamaConfig(16, 24, 1, 4, 2, 40, 200, True)


def logits_of(engine, ids, sizes, threads):
    """The logits of every token, from passes of so many tokens, all with `ALONE`."""
    caches, found, first = make_caches(engine.model, 1, len(ids)), [], 0
    room = make_room(engine.model, caches, FEW - 1, FEW - 1, threads)
    room.counts[ALONE] = 1
    for size in sizes:
        part = ids[first : first + size]
        fill(room, [Row(0, first + i, t) for i, t in enumerate(part)], range(len(part)))
        engine.run(room, 0, np.zeros(0, np.int64), np.zeros((1, 0), np.int64))
        found.append(room.logits[: len(part)].copy())
        first += size
    return np.concatenate(found)


@pytest.mark.parametrize("kind", LOADING)
@pytest.mark.parametrize("config", [WIDE, CHUNKED, ODD], ids=["wide", "chunks", "odd"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_bits_of_a_pass_are_those_of_passes_for_each_token(config, kind, threads):
    assert FEW - 1 == MOST_AHEAD + 1
    model = make_model(config, **LOADING[kind])
    engine = NativeEngine(model.params, config, threads)
    ids = np.random.default_rng(1).integers(0, config.vocab_size, 40).tolist()
    alone = logits_of(engine, ids, [1] * 40, threads)
    for sizes in ([7] * 5 + [5], [2, 3, 4, 5, 6] * 2):
        np.testing.assert_array_equal(logits_of(engine, ids, sizes, threads), alone)


def with_and_without(config, ahead, **loading):
    params = make_model(config, **loading).params
    return [Llama(config, params, letters(), "native", None, each) for each in (0, ahead)]


@settings(max_examples=25, deadline=None)
@given(
    ahead=st.integers(1, MOST_AHEAD),
    prompt=st.lists(st.integers(3, 8), min_size=1, max_size=30),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
    penalty=st.sampled_from([None, 1.1]),
    stops=st.lists(st.integers(3, 39), max_size=2),
    n=st.integers(1, 200),
    seed=st.integers(1, 99),
)
@example(6, [5, 6, 7] * 6, 0.0, None, [], 0, 1)
def test_texts_stay_what_they_are(ahead, prompt, temperature, penalty, stops, n, seed):
    plain, looking = with_and_without(LONG, ahead)
    how = {"temperature": temperature, "repetition_penalty": penalty, "n": n, "seed": seed}
    how["stop_tokens"] = stops
    assert looking.generate(prompt, **how) == plain.generate(prompt, **how)
    pieces = list(looking.stream(prompt, **how))
    assert "".join(pieces) == plain.generate(prompt, **how).text


@pytest.mark.parametrize("temperature", [0.0, 0.5, 2.0])
def test_conversations_stay_what_they_are(temperature):
    turns = []
    for model in with_and_without(LONG, 6):
        chat = model.chat(seed=3, temperature=temperature)
        turns.append([list(chat.turn(m)) for m in ("AB", "AB", "EF") if chat.room])
    assert turns[0] == turns[1]


def test_a_text_that_repeats_itself_takes_few_passes(monkeypatch):
    """Greedily, a random model ends in a loop: 7 tokens of it are run together."""
    _, looking = with_and_without(LONG, 6)
    passes = []
    run = NativeEngine.run

    def counted(self, batch, steps, stops, found, *how):
        passes.append(max(1, found.shape[1]))
        run(self, batch, steps, stops, found, *how)

    monkeypatch.setattr(NativeEngine, "run", counted)
    result = looking.generate([1, 5, 6], temperature=0.0, n=200, stop_tokens=())
    assert len(result.tokens) == 198
    assert sum(passes) < 80


def test_rows_of_a_batch_are_not_looked_ahead_for():
    plain, looking = with_and_without(GQA, 6)
    prompts, how = [[1, 5, 6], [1, 5, 5]], {"temperature": 0.0, "n": 24, "seed": 1}
    assert looking.generate(prompts, **how) == plain.generate(prompts, **how)


def test_broken_logits_are_said_where_they_come():
    """A token that makes everything NaN once it is run, in the middle of a text."""
    config = LlamaConfig(16, 24, 1, 4, 2, 40, 200, False)
    how = {"temperature": 1.0, "seed": 4, "n": 120, "stop_tokens": ()}
    tokens = make_model(config).generate([1, 5], **how).tokens
    late = next(t for i, t in enumerate(tokens) if i > 9 and t not in tokens[:i])
    weights, said = gentle_weights(config), []
    weights.token_embedding[late] = np.nan
    params = make_model(config, weights).params
    for ahead in (0, 6):
        with pytest.raises(LlamaError, match="nothing can be chosen for position") as error:
            Llama(config, params, None, "native", None, ahead).generate([1, 5], **how)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_guesses_are_what_followed_last_time():
    ahead = Lookahead(6)
    ahead.see([1, 2, 3, 4, 9, 1, 2, 3])
    assert ahead.guess(5) == [4, 9]  # at first two
    ahead.learn(2, 2)
    assert ahead.guess(5) == [4, 9, 1, 2]
    ahead.learn(4, 4)
    assert ahead.guess(5) == [4, 9, 1, 2, 3]
    assert ahead.guess(0) == []
    ahead.learn(5, 0)
    assert ahead.guess(5) == [4]
    ahead.see([8])
    assert ahead.guess(5) == []  # nothing ended in 3, 8 or 2, 3, 8 before


def test_guesses_go_on_in_a_loop():
    ahead = Lookahead(6)
    ahead.learn(2, 2)
    ahead.learn(4, 4)
    ahead.see([5, 6, 7, 5, 6, 7])
    assert ahead.guess(6) == [5, 6, 7, 5, 6, 7]
    ahead.see([7, 7, 7])
    assert ahead.guess(6) == [7] * 6


@pytest.mark.parametrize("ahead", [-1, 7, 1.0, True, "6"])
def test_how_far_is_checked(ahead):
    model = make_model(GQA)
    with pytest.raises(LlamaError, match=r"lookahead is .* not an integer from 0 to 6"):
        choose_engine("auto", model.params, GQA, None, ahead)


def test_jax_does_not_look_ahead():
    model = make_model(GQA)
    with pytest.raises(LlamaError, match="looking ahead is for the native engine"):
        choose_engine("jax", model.params, GQA, None, 1)
