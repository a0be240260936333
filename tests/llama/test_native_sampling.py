"""The sampler in compiled code: the tokens of `Sampler`, and its random numbers, bit by bit."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama.running import GQA, draw_ids, letters, make_model
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.runtime import Llama
from tracr_lite.llama.sampler import Sampler
from tracr_lite.llama.sampler_exp import exp_of_minus
from tracr_lite.llama.sampler_settings import SamplerSettings

pytest.importorskip("numba", reason="the native engine needs numba")
from tracr_lite.llama.native.choosing import NO_TOKEN, how_of, make_desk
from tracr_lite.llama.native.exponential import exactly, exps_of_minus
from tracr_lite.llama.native.sampling import choose

GOLDEN = Path(__file__).parents[3] / "shared/golden/sampler"
HEAVY = pytest.mark.heavy


def check_exponentials(t):
    found, wanted = np.empty_like(t), exp_of_minus(np, t)
    exps_of_minus(t, found)
    np.testing.assert_array_equal(found.view(np.int32), wanted.view(np.int32))


def test_exponentials_have_the_bits_of_the_reference():
    rng = np.random.default_rng(0)
    ends = np.array([0, 1e-45, 85.99999, 86, 103.972084, 103.99999, 104, 1e30, np.inf])
    check_exponentials(ends.astype(np.float32))
    for high in (110, 1, 20, 0.01, 90):
        check_exponentials(rng.uniform(0, high, 100_000).astype(np.float32))
    check_exponentials(rng.integers(0, 0x42D00000, 100_000).astype(np.int32).view(np.float32))


def test_each_exponential_by_itself_too():
    t = np.random.default_rng(1).uniform(0, 110, 5_000).astype(np.float32)
    found = np.array([exactly(each) for each in t], np.float32)
    np.testing.assert_array_equal(found.view(np.int32), exp_of_minus(np, t).view(np.int32))


@HEAVY
def test_all_exponentials():
    """Every float32 from 2**-30 to 104."""
    first, last = (int(np.float32(x).view(np.int32)) for x in (2**-30, 104))
    for start in range(first, last, 1 << 22):
        stop = min(start + (1 << 22), last)
        check_exponentials(np.arange(start, stop, dtype=np.int32).view(np.float32))


def tokens_of(rows, chosen, seed, mask):
    """The tokens of rows of logits, and the generator behind them."""
    random, desk = np.array([seed], np.uint64), make_desk(rows.shape[1])
    with np.errstate(all="ignore"):
        ids = [choose(row, how_of(chosen), random, mask, desk) for row in rows]
    return ids, int(random[0])


def expected_of(rows, chosen, seed, mask):
    other = Sampler(
        rows.shape[1],
        chosen.temperature,
        chosen.top_p,
        seed,
        chosen.top_k,
        chosen.repetition_penalty,
    )
    return [other.sample(row, np.flatnonzero(mask)) for row in rows], other.rng.state


SPREAD = {"flat": 0.01, "ties": 1, "usual": 3, "sharp": 30}


@settings(max_examples=150, deadline=None)
@given(
    size=st.sampled_from([1, 2, 3, 17, 100, 1500]),
    kind=st.sampled_from([*SPREAD, "holes"]),
    temperature=st.sampled_from([0.0, 0.3, 0.7, 1.0, 5.0, 1e-6]),
    top_p=st.sampled_from([0.0, 1e-6, 0.05, 0.5, 0.9, 0.9999999, 1.0]),
    top_k=st.sampled_from([None, 1, 2, 40, 2000]),
    penalty=st.sampled_from([None, 1.0, 1.3, 0.7]),
    seed=st.integers(1, 2**64 - 1),
)
def test_tokens_and_generators_are_those_of_the_sampler(
    size, kind, temperature, top_p, top_k, penalty, seed
):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(3, size)) * SPREAD.get(kind, 10)
    if kind == "ties":
        rows = np.round(rows * 2) / 2  # with zeros of both signs
    if kind == "holes":
        rows[:, 1:][rng.random((3, size - 1)) < 0.5] = -np.inf
    rows, mask = rows.astype(np.float32), rng.random(size) < 0.4
    chosen = SamplerSettings(temperature, top_p, top_k, penalty)
    expected = expected_of(rows, chosen, seed, mask)
    assert tokens_of(rows, chosen, seed, mask) == expected


def test_many_tokens_are_put_in_order():
    """Of 32000 almost equal ones, most are among the likely ones."""
    rows = (0.01 * np.random.default_rng(0).normal(size=(4, 32000))).astype(np.float32)
    chosen, mask = SamplerSettings(1.0, 0.99), np.zeros(32000, bool)
    assert tokens_of(rows, chosen, 8, mask) == expected_of(rows, chosen, 8, mask)


@pytest.mark.parametrize(
    ("row", "chosen"),
    [
        ([-0.0, 0.0, 0.1, -0.0], SamplerSettings(9.0, 1.0, top_k=2)),  # the first zero stays
        ([0.0, -0.0, 0.1, 0.0], SamplerSettings(9.0, 1.0, top_k=3)),
        ([2.0] * 4, SamplerSettings(1.0, 0.5)),  # two of four are not above a half
        ([2.0] * 4, SamplerSettings(1.0, 0.25)),
    ],
    ids=str,
)
def test_ties_at_a_boundary(row, chosen):
    rows, mask = np.array([row] * 64, np.float32), np.zeros(len(row), bool)
    assert tokens_of(rows, chosen, 5, mask) == expected_of(rows, chosen, 5, mask)


@pytest.mark.parametrize("top_k", [2**63, 2**70, np.int32(7), np.uint8(7)])
def test_top_k_may_be_any_integer(top_k):
    """Larger than 64 bits, or of numpy, for whose types all would be compiled once more."""
    rows, mask = np.random.default_rng(2).normal(size=(3, 30)), np.zeros(30, bool)
    rows, chosen = rows.astype(np.float32), SamplerSettings(1.0, 0.9, top_k)
    assert type(how_of(chosen).top_k) is int
    assert tokens_of(rows, chosen, 3, mask) == expected_of(rows, chosen, 3, mask)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden data lie beside the checkout")
def test_tokens_are_the_golden_ones():
    arrays = np.load(GOLDEN / "logits.npz")
    for case in json.loads((GOLDEN / "sampler.json").read_text()):
        rows = arrays[case["logits"]]
        chosen = SamplerSettings(case["temperature"], case["topp"])
        ids, _ = tokens_of(rows, chosen, case["seed"], np.zeros(rows.shape[1], bool))
        assert ids == case["ids"], case


BROKEN = [[1, np.nan, 0], [1, np.inf, 0], [-np.inf] * 3]


@pytest.mark.parametrize("logits", BROKEN, ids=str)
@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_where_there_are_no_probabilities_there_is_no_token(logits, top_p):
    rows, chosen = np.array([logits], np.float32), SamplerSettings(1.0, top_p)
    assert tokens_of(rows, chosen, 1, np.zeros(3, bool))[0] == [NO_TOKEN]
    with pytest.raises(LlamaError):
        expected_of(rows, chosen, 1, np.zeros(3, bool))


@pytest.mark.parametrize(
    "how",
    [
        {"temperature": 0.9},
        {"temperature": 1.4, "top_k": 9, "top_p": 1.0},
        {"temperature": 0.8, "repetition_penalty": 1.3},
        {"temperature": 0.0, "repetition_penalty": 1.3},
    ],
    ids=str,
)
def test_each_text_of_a_batch_has_its_own_random_numbers(how):
    params = make_model(GQA).params
    models = [Llama(GQA, params, letters(), engine) for engine in ("jax", "native")]
    prompts = [draw_ids(GQA, length, seed=length) for length in (3, 9, 1, 24, 12)]
    how = {"n": 0, "seed": [7, 2**64 - 1, 1, 5, 7], **how}
    wanted, found = (model.generate(prompts, **how) for model in models)
    assert found == wanted
    alone = [
        models[1].generate(prompt, **how | {"seed": seed})
        for prompt, seed in zip(prompts, how["seed"], strict=True)
    ]
    assert alone == found
