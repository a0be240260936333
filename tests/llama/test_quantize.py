from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama.models import CONFIG, GOLDEN, make_weights, needs_golden
from tracr_lite.llama import LlamaConfig, Target, load_checkpoint, save_checkpoint
from tracr_lite.llama.errors import CannotStore, WeightsError
from tracr_lite.llama.formats.quantize import (
    choose_group_size,
    dequantize_groups,
    quantize,
    quantize_groups,
)

BACK_OFF = [(288, 64, 32), (48, 64, 16), (40, 64, 8), (10, 64, 2), (64, 48, 1), (96, 48, 48)]


@pytest.mark.parametrize(("dim", "start", "size"), BACK_OFF)
def test_the_group_size_is_halved_until_it_divides_dim(dim, start, size):
    config = LlamaConfig(dim, 960, 1, 1, 1, 4, 4, True)
    assert choose_group_size(config, start) == size


def test_a_hidden_dim_that_the_groups_do_not_divide_is_refused_with_one_that_works():
    config = LlamaConfig(64, 96, 1, 1, 1, 4, 4, True)
    with pytest.raises(CannotStore, match=r"hidden_dim 96 .* group size 64.* group size of 32"):
        choose_group_size(config)
    assert choose_group_size(config, 32) == 32


def test_ties_go_to_the_even_number():
    numbers = np.array([127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5], np.float32)
    values, scales = quantize_groups(numbers, 8)
    assert values.tolist() == [127, 0, 2, 2, 0, -2, -2, 126]
    assert scales.tolist() == [1.0]


def test_the_scale_is_a_true_quotient():
    """Multiplying by 1 / 127 gives other bits for about every third number."""
    peaks = np.random.default_rng(0).random(1000, dtype=np.float32)
    _, scales = quantize_groups(peaks, 1)
    assert (scales == (peaks.astype(np.float64) / 127).astype(np.float32)).all()
    assert (scales != peaks * (np.float32(1) / np.float32(127))).any()


def test_a_group_of_zeros_has_scale_zero():
    values, scales = quantize_groups(np.zeros(8, np.float32), 4)
    assert not values.any()
    assert not scales.any()


def test_subnormal_groups_keep_their_signs():
    """The scale is so coarse there that w / scale passes 127; it is cut, not wrapped."""
    numbers = np.array([132.8, -132.8, 5, 0], np.float32) * np.float32(1.4e-44)
    values, scales = quantize_groups(numbers, 4)
    assert values[0] == 127
    assert values[1] == -127
    assert np.isfinite(dequantize_groups(values, scales)).all()
    tiniest = np.array([1e-45, 0], np.float32)
    assert not np.concatenate(quantize_groups(tiniest, 2)).any()


@settings(deadline=None)
@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=8, max_size=8),
    st.sampled_from([1, 2, 4, 8]),
)
def test_the_error_is_at_most_half_a_step(numbers, group):
    numbers = np.array(numbers, np.float32)
    values, scales = quantize_groups(numbers, group)
    assert np.abs(values.astype(int)).max(initial=0) <= 127
    gaps = np.abs(dequantize_groups(values, scales).astype(np.float64) - numbers)
    normal = scales.repeat(group) > 1e-36
    assert (gaps[normal] <= scales.repeat(group)[normal] * 0.50001).all()


def test_quantizing_is_done_for_each_matrix_alone():
    stack = make_weights(CONFIG, 5).w1
    found = quantize(stack, 8)
    assert found.scales.shape == (2, 64)
    assert (found[1].values == quantize(stack[1], 8).values).all()
    assert quantize(found, 8) is found


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("format", ["v0", "v1", "v2", "hf"])
def test_a_weight_that_is_not_finite_is_refused_by_name(tmp_path, bad, format):
    weights = make_weights(CONFIG)
    weights.w3[1, 2, 3] = bad
    with pytest.raises(WeightsError, match="w3 of layer 1: number 35 is"):
        save_checkpoint(tmp_path / "out", CONFIG, weights, Target(format))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("ulps", range(4))
def test_numbers_whose_products_overflow_are_refused(tmp_path, ulps):
    """127 * (3.4e38 / 127) can be rounded to infinity; then nothing is written."""
    weights = make_weights(CONFIG)
    largest = np.float32(float(np.finfo(np.float32).max) * (1 - ulps * 2.0**-24))
    weights.wv[0, 0, 0] = largest
    with np.errstate(over="ignore"):
        fits = np.isfinite(np.float32(127) * (largest / np.float32(127)))
    expected = nullcontext() if fits else pytest.raises(CannotStore, match="wv of layer 0")
    with expected:
        save_checkpoint(tmp_path / "out", CONFIG, weights, "v2")
    assert (tmp_path / "out").exists() == fits
    if fits:
        load_checkpoint(tmp_path / "out").check_numbers()


def test_errors_are_reported_for_each_quantized_tensor(tmp_path):
    weights = make_weights(CONFIG, 6)
    written = save_checkpoint(tmp_path / "out.bin", CONFIG, weights, Target("v2", group_size=8))
    found = load_checkpoint(tmp_path / "out.bin").weights.tensors()
    assert written.group_size == 8
    for name, tensor in weights.tensors().items():
        if "norm" in name:
            assert name not in written.errors
        else:
            assert written.errors[name] == np.abs(found[name].dequantize() - tensor).max()


@needs_golden
@pytest.mark.parametrize("case", ["normal", "halves", "zeros", "tiny"])
def test_golden_vectors(case):
    with np.load(GOLDEN / "sampler" / "quantize.npz") as found:
        numbers, group = found[f"{case}_x"], int(found[f"{case}_gs"])
        values, scales = quantize_groups(numbers, group)
        assert (scales == found[f"{case}_s_export"]).all()
        # where it passes 127 the exporter wraps around to the other sign; we do not
        fits = np.abs(np.rint(numbers / scales.clip(1e-45).repeat(group))) <= 127
        assert (values == found[f"{case}_q_export"])[fits].all()
        assert fits.all() == (case != "tiny")
