"""From two sets of weights to the adapter between them."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lora.weights import array, assert_close, dense, lora
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.lora import LoraError, attach, from_delta, merge_adapter, use_implicit_args
from tracr_lite.rasp import rasp

BASE = {"w": array(8, 9), "stack": array(3, 6, 6), "b": array(9), "same": array(4, 4)}
TUNED = {
    "w": BASE["w"] + lora(8, 9, rank=3).delta(),
    "stack": BASE["stack"].at[1].add(lora(6, 6, rank=2).delta()),
    "b": BASE["b"] + 1,
    "same": BASE["same"],
}


def test_a_low_rank_change_is_found_with_its_rank():
    adapter, fits = from_delta(BASE, TUNED, tolerance=1e-5)
    assert adapter.ranks == {"w": 3, "stack": 2}
    assert list(adapter.full) == ["b"]
    assert fits["w"].error < 1e-5
    assert fits["stack"].largest < 1e-4
    assert_close(dense(attach(BASE, adapter)), TUNED, 1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(0, 1000))
def test_no_matrix_of_that_rank_is_closer(rank, seed):
    rng = np.random.default_rng(seed)
    one, two = (rng.standard_normal((7, 9)).astype(np.float32) for _ in range(2))
    adapter, fits = from_delta({"w": one}, {"w": two}, rank=rank)
    s = np.linalg.svd(np.float64(two) - one, compute_uv=False)
    assert adapter.ranks["w"] == rank
    assert fits["w"].error == pytest.approx(
        np.linalg.norm(s[rank:]) / np.linalg.norm(s), rel=1e-3, abs=1e-6
    )


def test_kernels_and_stacks_are_told_apart():
    change = np.zeros((3, 3, 4, 5), np.float32)
    change[1, 2] = 1
    adapter, fits = from_delta({"k": 0 * change}, {"k": change}, tolerance=1e-6)
    assert adapter.weights["k"].a.shape == (1, 1, 1, 5)
    assert fits["k"].error < 1e-6
    adapter, _ = from_delta({"k": 0 * change}, {"k": change}, rank=1, stacked=True)
    assert adapter.weights["k"].a.shape == (3, 3, 1, 5)


def test_both_limits_hold():
    adapter, fits = from_delta(BASE, TUNED, rank=1, tolerance=1e-5)
    assert adapter.ranks == {"w": 1, "stack": 1}
    assert fits["w"].error > 0.1


def test_integers_are_replaced():
    adapter, _ = from_delta({"n": jnp.eye(3, dtype=int)}, {"n": jnp.ones((3, 3), int)}, rank=1)
    assert list(adapter.full) == ["n"]


def test_16_bits_reach_the_tolerance_too():
    base, tuned = ({"w": x["w"].astype(jnp.bfloat16)} for x in (BASE, TUNED))
    adapter, fits = from_delta(base, tuned, tolerance=1e-5)
    assert fits["w"].error < 1e-5
    merged = merge_adapter(base, adapter)["w"]
    np.testing.assert_array_equal(merged, tuned["w"])


REFUSED = [
    pytest.param({**BASE, "w": BASE["w"] + 1j}, "w: complex numbers", id="complex"),
    pytest.param({**BASE, "more": array(2)}, "more: only in one", id="names"),
    pytest.param({**BASE, "w": array(9, 8)}, r"w: \(8, 9\) and \(9, 8\)", id="shapes"),
    pytest.param({**BASE, "w": BASE["w"] * np.nan}, "w: not all numbers are finite", id="nan"),
    pytest.param({**BASE, "w": lora(8, 9)}, "w: has an adapter", id="adapter"),
]


@pytest.mark.parametrize(("tuned", "text"), REFUSED)
def test_what_cannot_be_compared_is_refused(tuned, text):
    with pytest.raises(LoraError, match=text):
        from_delta(BASE, tuned, rank=1)


def compiled(program, **options):
    return compile_rasp_to_model(program, {"a", "b", "c"}, 4, compiler_bos="BOS", **options)


def test_one_compiled_program_becomes_a_patch_on_another():
    """The same shapes, so the patch changes what the program does, and nothing else."""

    def shifted(by):
        return rasp.Map(lambda t: "abc"[("abc".index(t) + by) % 3], rasp.tokens)

    one, two = compiled(shifted(1)), compiled(shifted(2))
    adapter, fits = from_delta(one.params, two.params, tolerance=1e-6)
    assert fits
    assert all(fit.error < 1e-6 for fit in fits.values())
    tokens = ["BOS", "a", "b", "c", "a"]
    ids = np.array([one.input_encoder.encode(tokens)])
    assert one.predict(tokens) == ["b", "c", "a", "b"]
    forward = use_implicit_args(one.forward, strict=True)
    for params, run in (
        (attach(one.params, adapter), forward),
        (merge_adapter(one.params, adapter), one.forward),
    ):
        answer = run(params, ids).unembedded_output[0].tolist()
        assert one.output_encoder.decode(answer)[1:] == two.predict(tokens)
