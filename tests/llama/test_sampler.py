"""The sampler: run.c's tokens, its arithmetic step by step, the options, the refusals."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tracr_lite.errors import TracrLiteError
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.sampler import Sampler
from tracr_lite.llama.sampler_exp import exp_of_minus
from tracr_lite.llama.sampler_rng import Xorshift, run_c_seed, step
from tracr_lite.llama.sampler_settings import SamplerSettings

GOLDEN = Path(__file__).parents[3] / "shared/golden/sampler"
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the golden data of run.c lie beside the checkout, not in it"
)
f32 = np.float32

# The generator


def test_seed_42_starts_with_the_numbers_of_run_c():
    rng = Xorshift(42)
    assert [rng.next_u32() for _ in range(3)] == [1456360119, 3359763283, 3393612768]


def test_floats_are_the_upper_24_bits():
    rng, same = Xorshift(42), Xorshift(42)
    for _ in range(100):
        number = rng.next_f32()
        assert number == (same.next_u32() >> 8) / 2**24
        assert 0 <= number < 1 == len({number, float(f32(number))})


@needs_golden
def test_the_generator_gives_the_golden_states_and_floats():
    cases = json.loads((GOLDEN / "rng.json").read_text())
    assert len(cases) >= 3
    for case in cases:
        state = int(case["seed"])
        rng = Xorshift(state) if state else None
        for u32, bits, after in zip(
            *(case[k] for k in ("u32", "f32_bits", "states")), strict=1
        ):
            state = step(state)
            assert state == int(after)
            if rng:
                assert (rng.next_u32(), rng.state) == (u32, state)
                assert f32((u32 >> 8) / 2**24).view(np.uint32) == bits


@given(st.integers(1, 2**64 - 1))
def test_a_step_never_leads_to_zero(state):
    assert 0 < step(state) < 2**64


@pytest.mark.parametrize("seed", [0, -1, 2**64, 1.0, True, None, "1"])
def test_seeds_that_the_generator_cannot_hold_are_refused(seed):
    with pytest.raises(LlamaError, match="the seed is"):
        Sampler(5, seed=seed)


SEEDS = [  # the number after -s, the state run.c starts from
    (42, 42),
    (-1, 2**64 - 1),
    (2**32 + 1, 1),
    (2**31, 2**64 - 2**31),
    (-(2**31), 2**64 - 2**31),
    (0, 0),
    (2**63, 2**64 - 1),  # more than 64 bits: the largest long, whose lower half is -1
    (10**20, 2**64 - 1),
    (-(10**20), 0),
]


@pytest.mark.parametrize(("argument", "state"), SEEDS)
def test_seeds_of_the_command_line_are_those_of_atoi(argument, state):
    assert run_c_seed(argument) == state


# exp


@settings(deadline=None)
@given(hnp.arrays(np.float32, 200, elements=st.floats(0, 110, width=32)))
def test_exp_is_within_one_unit_of_the_exact_value(t):
    exact = np.array([math.exp(-float(each)) for each in t])
    found = exp_of_minus(np, t)
    assert (np.abs(found - exact) <= np.spacing(np.maximum(exact.astype(f32), found))).all()


def test_exp_is_correctly_rounded_nearly_always():
    t = np.random.default_rng(0).uniform(0, 104, 100_000).astype(f32)
    correct = np.exp(-t.astype(np.float64)).astype(f32)
    assert (exp_of_minus(np, t) == correct).mean() > 0.9999
    assert exp_of_minus(np, f32([0, 1e-30, 200, np.inf])).tolist() == [1, 1, 0, 0]


# The same arithmetic, one number at a time as in C


def plainly(logits, temperature, top_p, seed):
    """One token, with loops over float32 scalars; None where run.c leaves its array."""
    values = [f32(x) / f32(temperature) for x in logits]
    greatest = max(values)
    powers = [exp_of_minus(np, np.array([greatest - x]))[0] for x in values]
    total = f32(0)
    for each in powers:
        total = f32(total + each)
    pairs = [(f32(each / total), i) for i, each in enumerate(powers)]
    coin, last = f32(Xorshift(seed).next_f32()), len(pairs) - 1
    top_p = f32(top_p)
    if 0 < top_p < 1:
        cutoff = (f32(1) - top_p) / f32(max(last, 1))
        pairs = sorted((pair for pair in pairs if pair[0] >= cutoff), key=lambda p: -p[0])
        if not pairs:
            return None
        total, last = f32(0), len(pairs) - 1
        for i, (each, _) in enumerate(pairs):
            total = f32(total + each)
            if total > top_p:
                last = i
                break
        coin = f32(coin * total)
    cdf = f32(0)
    for each, i in pairs[: last + 1]:
        cdf = f32(cdf + each)
        if coin < cdf:
            return i
    return pairs[last][1]


LOGITS = hnp.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.one_of(st.floats(-90, 90, width=32), st.sampled_from([0.0, 1.0, 2.0])),
)
TOP_P = st.one_of(st.sampled_from([0.0, 1.0, 0.9, 0.01]), st.floats(0, 1))


@settings(max_examples=300, deadline=None)
@given(LOGITS, st.floats(0.125, 5, width=32), TOP_P, st.integers(1, 2**64 - 1))
def test_tokens_are_those_of_the_plain_loops(logits, temperature, top_p, seed):
    expected = plainly(logits, temperature, top_p, seed)
    found = Sampler(len(logits), temperature, top_p, seed).sample(logits)
    assert found == (int(logits.argmax()) if expected is None else expected)


@needs_golden
def test_tokens_are_the_golden_ones():
    arrays = np.load(GOLDEN / "logits.npz")
    cases = json.loads((GOLDEN / "sampler.json").read_text())
    assert len(cases) >= 96
    for case in cases:
        rows = arrays[case["logits"]]
        sampler = Sampler(rows.shape[1], case["temperature"], case["topp"], case["seed"])
        assert [sampler.sample(row) for row in rows] == case["ids"], case


# Rules


@given(LOGITS)
def test_greedy_takes_the_first_of_the_greatest_and_draws_nothing(logits):
    sampler = Sampler(len(logits), temperature=0.0, seed=7)
    assert sampler.sample(logits) == logits.tolist().index(max(logits))
    assert sampler.rng.state == 7


def test_every_other_choice_draws_exactly_one_number():
    for top_p in (0.0, 0.9, 1.0):
        sampler = Sampler(4, 1.0, top_p, seed=7)
        sampler.sample(f32([1, 2, 3, 4]))
        assert sampler.rng.state == step(7)


def test_a_stored_state_goes_on_where_it_was():
    logits = np.random.default_rng(0).normal(size=50).astype(f32)
    sampler, other = Sampler(50, seed=3), Sampler(50, seed=9)
    for _ in range(5):
        sampler.sample(logits)
    other.rng.state = sampler.rng.state
    rest = [sampler.sample(logits) for _ in range(20)]
    assert rest == [other.sample(logits) for _ in range(20)]


def test_nothing_above_the_cutoff_means_the_most_likely_token():
    logits = np.zeros(1000, f32)
    logits[17] = 1e-3
    assert Sampler(1000, 1.0, 1e-6, seed=5).sample(logits) == 17


def test_a_vocabulary_of_one_token_always_gives_it():
    for temperature, top_p in [(0.0, 0.9), (1.0, 0.9), (1.0, 1.0)]:
        assert Sampler(1, temperature, top_p, seed=2).sample(f32([3.0])) == 0


def test_logits_are_not_modified():
    logits = f32([3, 1, 2])
    Sampler(3, 0.5, 0.9, 1, top_k=2, repetition_penalty=2.0).sample(logits, seen=[0])
    assert logits.tolist() == [3, 1, 2]


def test_numbers_of_numpy_are_numbers():
    sampler = Sampler(np.int64(3), f32(0.5), np.float64(0.9), np.uint64(7), np.int32(2), f32(2))
    other = Sampler(3, 0.5, 0.9, 7, 2, 2)
    rows = np.random.default_rng(0).normal(size=(20, 3))
    assert [sampler.sample(row, [1]) for row in rows] == [other.sample(r, [1]) for r in rows]


# Options


@given(LOGITS, st.integers(1, 45), st.integers(1, 2**64 - 1))
def test_top_k_keeps_the_greatest_of_equals_the_first(logits, k, seed):
    kept = sorted(range(len(logits)), key=lambda i: (-logits[i], i))[:k]
    assert Sampler(len(logits), 3.0, 1.0, seed, top_k=k).sample(logits) in kept


@given(LOGITS, st.integers(1, 2**64 - 1))
def test_top_k_of_one_is_greedy_and_of_all_is_nothing(logits, seed):
    size = len(logits)
    assert Sampler(size, 1.0, 1.0, seed, top_k=1).sample(logits) == logits.argmax()
    whole = Sampler(size, 1.0, 0.9, seed, top_k=size).sample(logits)
    assert whole == Sampler(size, 1.0, 0.9, seed).sample(logits)


def test_the_penalty_divides_positive_logits_and_multiplies_the_others():
    greedy = Sampler(3, temperature=0, repetition_penalty=2.0)
    assert greedy.sample(f32([3, 2, 1])) == 0
    assert greedy.sample(f32([3, 2, 1]), seen=[0, 0, 0]) == 1
    assert greedy.sample(f32([-3, -2, -5]), seen=[1]) == 0
    assert greedy.sample(f32([-3, -2, -5]), seen=iter([0, 1])) == 1


def test_the_penalty_acts_before_top_k():
    sampler = Sampler(3, 1.0, 1.0, seed=1, top_k=1, repetition_penalty=10.0)
    assert sampler.sample(f32([3, 2, 1]), seen=[0]) == 1


@given(LOGITS, st.integers(1, 2**64 - 1))
def test_a_penalty_of_one_changes_nothing(logits, seed):
    size = len(logits)
    penalised = Sampler(size, seed=seed, repetition_penalty=1.0)
    assert penalised.sample(logits, range(size)) == Sampler(size, seed=seed).sample(logits)


def test_minus_infinity_bars_a_token():
    logits = np.full(8, -np.inf, f32)
    logits[5] = 0
    for top_p in (0.9, 1.0):
        assert Sampler(8, 1.0, top_p, seed=3).sample(logits) == 5


# Refusals

SETTINGS = [
    ({"temperature": -0.1}, "temperature is -0.1"),
    ({"temperature": math.nan}, "temperature is nan"),
    ({"temperature": 1e39}, "temperature is 1e"),
    ({"temperature": "1"}, "temperature is '1'"),
    ({"top_p": 1.5}, "top_p is 1.5"),
    ({"top_p": math.nan}, "top_p is nan"),
    ({"top_k": 0}, "top_k is 0"),
    ({"top_k": 2.0}, "top_k is 2.0"),
    ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0"),
    ({"repetition_penalty": math.inf}, "repetition_penalty is inf"),
    ({"top_p": -1, "temperature": -1}, "temperature is -1.*top_p is -1"),
]


@pytest.mark.parametrize(("wrong", "message"), SETTINGS)
def test_settings_without_meaning_are_refused(wrong, message):
    with pytest.raises(LlamaError, match=message):
        SamplerSettings(**wrong)


INPUTS = [
    ([1, math.nan, 2], {}, "logit 1 is NaN"),
    ([1, 2], {}, r"shape \(2,\)"),
    ([[1, 2, 3]], {}, r"shape \(1, 3\)"),
    ([1, math.inf, 2], {}, "no probabilities"),
    ([-math.inf] * 3, {}, "no probabilities"),
    ([1e30, 0, 0], {"temperature": 1e-30}, "no probabilities.*temperature 0"),
    ([1, 2, 3], {"repetition_penalty": 2.0, "seen": [3]}, "ids from 3 to 3"),
    ([1, 2, 3], {"repetition_penalty": 2.0, "seen": [-1, 1]}, "ids from -1 to 1"),
]


@pytest.mark.parametrize(("logits", "options", "message"), INPUTS)
def test_logits_without_an_answer_are_refused(logits, options, message):
    seen = options.pop("seen", ())
    with pytest.raises(TracrLiteError, match=message):
        Sampler(3, **options).sample(f32(logits), seen)


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_vocabularies_without_tokens_are_refused(size):
    with pytest.raises(LlamaError, match="vocab_size"):
        Sampler(size)
