"""The sampler of compiled loops gives the tokens of `Sampler`, or none where that refuses."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracr_lite.llama import sampler, sampler_jax
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler import Sampler
from tracr_lite.llama.sampler_exp import exp_of_minus
from tracr_lite.llama.sampler_jax import draw, prepare, random_state, sample, state_number
from tracr_lite.llama.sampler_rng import Xorshift, step
from tracr_lite.llama.sampler_settings import SamplerSettings

GOLDEN = Path(__file__).parents[3] / "shared/golden/sampler"


@jax.jit
def in_a_loop(rows, state, how, seen=None):
    """Tokens of all rows, one after the other inside one compiled loop."""

    def body(state, row):
        token, state = sample(row, state, how, seen)
        return state, token

    return jax.lax.scan(body, state, rows)


@settings(deadline=None)
@given(st.integers(1, 2**64 - 1))
def test_the_generator_is_that_of_run_c(seed):
    assert state_number(random_state(seed)) == seed
    coin, after = draw(random_state(seed))
    assert state_number(after) == step(seed)
    assert float(coin) == Xorshift(seed).next_f32()


def test_exp_and_softmax_have_the_same_bits():
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 110, 50_000).astype(np.float32)
    found = np.asarray(jax.jit(lambda t: exp_of_minus(jnp, t))(t))
    assert np.array_equal(found.view(np.int32), exp_of_minus(np, t).view(np.int32))
    for scale in (0.1, 3.0):
        logits = (rng.normal(size=32000) * scale).astype(np.float32)
        softmax = jax.jit(partial(sampler_jax._softmax, in_order=True))
        assert np.array_equal(np.asarray(softmax(logits)), sampler.softmax(logits))


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden data lie beside the checkout")
def test_tokens_are_the_golden_ones():
    arrays = np.load(GOLDEN / "logits.npz")
    for case in json.loads((GOLDEN / "sampler.json").read_text()):
        how = prepare(SamplerSettings(case["temperature"], case["topp"]))
        _, ids = in_a_loop(arrays[case["logits"]], random_state(case["seed"]), how)
        assert ids.tolist() == case["ids"], case


def rows_of(kind, size, rng):
    rows = (
        rng.normal(size=(25, size)) * {"flat": 0.01, "ties": 1, "usual": 3, "sharp": 10}[kind]
    )
    return (np.round(rows * 2) / 2 if kind == "ties" else rows).astype(np.float32)


SETTINGS = [
    SamplerSettings(0.0, 0.9),
    SamplerSettings(1.0, 1.0),
    SamplerSettings(0.7, 0.9),
    SamplerSettings(1.3, 0.05),
    SamplerSettings(2.5, 0.0, top_k=7),
    SamplerSettings(0.9, 0.95, top_k=3, repetition_penalty=1.3),
]


@pytest.mark.parametrize("chosen", SETTINGS, ids=str)
@pytest.mark.parametrize("size", [1, 2, 17, 1500])
def test_tokens_and_states_are_those_of_the_sampler(chosen, size):
    rng = np.random.default_rng(size)
    mask = rng.random(size) < 0.5
    for seed, kind in enumerate(["flat", "ties", "usual", "sharp"], 1):
        rows = rows_of(kind, size, rng)
        other = Sampler(size, chosen.temperature, chosen.top_p, seed)
        other.settings = chosen
        expected = [other.sample(row, np.flatnonzero(mask)) for row in rows]
        state, ids = in_a_loop(rows, random_state(seed), prepare(chosen), mask)
        assert ids.tolist() == expected
        assert state_number(state) == other.rng.state


def test_more_likely_tokens_than_are_tried_first_make_it_sort_all():
    rows = rows_of("flat", 3000, np.random.default_rng(0))
    other, how = Sampler(3000, 1.0, 0.9, 8), prepare(SamplerSettings(1.0, 0.9))
    expected = [other.sample(row) for row in rows]
    assert max((row > row[i]).sum() for row, i in zip(rows, expected, strict=True)) > 1024
    assert in_a_loop(rows, random_state(8), how)[1].tolist() == expected


def test_batches_are_rows_of_vmap():
    rows = rows_of("usual", 100, np.random.default_rng(3))
    states = jnp.stack([random_state(seed) for seed in range(1, 26)])
    batch = jax.jit(jax.vmap(sample, in_axes=(0, 0, None)))
    for top_p in (0.9, 1.0):
        ids, _ = batch(rows, states, prepare(SamplerSettings(1.0, top_p)))
        others = [Sampler(100, 1.0, top_p, seed) for seed in range(1, 26)]
        expected = [each.sample(row) for each, row in zip(others, rows, strict=True)]
        assert ids.tolist() == expected


def test_sums_in_any_order_rarely_change_a_token():
    rows = rows_of("usual", 1500, np.random.default_rng(4))
    how = prepare(SamplerSettings(1.0, 0.9))
    any_order = jax.jit(lambda row, state: sample(row, state, how, in_order=False)[0])
    found = [int(any_order(row, random_state(i))) for i, row in enumerate(rows, 1)]
    expected = [Sampler(1500, 1.0, 0.9, i).sample(row) for i, row in enumerate(rows, 1)]
    assert sum(a != b for a, b in zip(found, expected, strict=True)) <= 1


BROKEN = [[1, np.nan, 0], [1, np.inf, 0], [-np.inf] * 3]


@pytest.mark.parametrize("logits", BROKEN, ids=str)
@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_where_there_are_no_probabilities_there_is_no_token(logits, top_p):
    row = np.array(logits, np.float32)
    token, _ = sample(row, random_state(1), prepare(SamplerSettings(1.0, top_p)))
    assert int(token) == sampler_jax.NO_TOKEN


def test_greedy_has_no_token_only_for_nan():
    greedy = prepare(SamplerSettings(0.0))
    assert int(sample(np.float32([1, np.nan]), random_state(1), greedy)[0]) == -1
    token, state = sample(np.float32([1, np.inf]), random_state(1), greedy)
    assert (int(token), state_number(state)) == (1, 1)


def test_other_numbers_of_the_same_kind_need_no_new_compilation():
    rows = np.zeros((2, 5), np.float32)
    in_a_loop(rows, random_state(1), prepare(SamplerSettings(0.5, 0.3)))
    before = in_a_loop._cache_size()
    in_a_loop(rows, random_state(2), prepare(SamplerSettings(0.7, 0.9)))
    assert in_a_loop._cache_size() == before


def test_a_penalty_without_the_tokens_seen_is_refused():
    with pytest.raises(LlamaError, match="needs `seen`"):
        sample(jnp.zeros(3), random_state(1), prepare(SamplerSettings(repetition_penalty=2.0)))
