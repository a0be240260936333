import numpy as np
import pytest

from tests.llama.models import CONFIG, SHARED, make_weights
from tracr_lite.llama import LlamaWeights, Quantized
from tracr_lite.llama.errors import WeightsError
from tracr_lite.llama.weights import check_weights, shapes, to_float32

VALUES = np.arange(-12, 12, dtype=np.int8).reshape(2, 3, 4)
SCALES = np.arange(1, 13, dtype=np.float32).reshape(2, 6)


def test_dequantize_multiplies_each_group_by_its_scale():
    found = Quantized(VALUES, SCALES, 2).dequantize()
    wanted = VALUES.reshape(12, 2) * SCALES.reshape(12, 1)
    assert found.dtype == np.float32
    assert (found == wanted.reshape(VALUES.shape)).all()


def test_a_layer_of_a_stack_and_its_scales_by_row():
    tensor = Quantized(VALUES, SCALES, 2)
    assert (tensor[1].dequantize() == tensor.dequantize()[1]).all()
    assert tensor.row_scales.shape == (2, 3, 2)
    assert (tensor.row_scales[1, 0] == [7, 8]).all()


def test_groups_that_reach_across_rows_dequantize_but_have_no_row_scales():
    tensor = Quantized(VALUES, SCALES[:, :2], 6)
    assert (
        tensor.dequantize().reshape(2, 2, 6)
        == VALUES.reshape(2, 2, 6) * tensor.scales[..., None]
    ).all()
    with pytest.raises(WeightsError, match="across rows"):
        _ = tensor.row_scales


BAD = [
    (VALUES.astype(np.int16), SCALES, 2, "int16"),
    (VALUES, SCALES.astype(np.float64), 2, "float64"),
    (VALUES, SCALES, 5, "groups of 5"),
    (VALUES, SCALES, 0, "groups of 0"),
    (VALUES, SCALES, 4, r"have shape \(2, 3\)"),
    (VALUES, SCALES.reshape(-1), 2, r"have shape \(2, 6\)"),
]


@pytest.mark.parametrize(("values", "scales", "group", "said"), BAD)
def test_parts_that_do_not_fit_are_refused(values, scales, group, said):
    with pytest.raises(WeightsError, match=said):
        Quantized(values, scales, group)


def test_a_matrix_alone_has_no_layers():
    with pytest.raises(WeightsError, match="stacked"):
        _ = Quantized(VALUES[0], SCALES[0], 2)[0]


def test_shapes_are_those_of_llama2c():
    assert shapes(CONFIG)["wk"] == (2, 8, 16)
    assert shapes(CONFIG)["w2"] == (2, 16, 32)
    assert shapes(CONFIG)["classifier"] == (11, 16)
    assert "classifier" not in shapes(SHARED)


def test_tensors_leave_out_a_shared_classifier():
    assert "classifier" not in make_weights(SHARED).tensors()
    assert list(make_weights(CONFIG).tensors()) == list(shapes(CONFIG))


def changed(**tensors):
    return LlamaWeights(**(make_weights(CONFIG).tensors() | tensors))


ONES = np.ones((2, 16), np.int8)
MISFITS = [
    (changed(wq=np.zeros((2, 16, 15), np.float32)), CONFIG, "wq has shape"),
    (changed(wq=np.zeros((2, 16, 16))), CONFIG, "wq is float64"),
    (changed(classifier=None), CONFIG, "classifier is missing"),
    (changed(), SHARED, "classifier is there"),
    (changed(ffn_norm=Quantized(ONES, np.ones(2, np.float32), 16)), CONFIG, "norms never are"),
]


@pytest.mark.parametrize(("weights", "config", "said"), MISFITS)
def test_weights_of_another_model_are_refused(weights, config, said):
    with pytest.raises(WeightsError, match=said):
        check_weights(config, weights)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_to_float32_is_exact(dtype):
    every = np.arange(1 << 16, dtype=np.uint16).view(make_weights(CONFIG, 0, dtype).wq.dtype)
    with np.errstate(invalid="ignore"):  # signalling NaN
        finite = every[np.isfinite(every)]
    assert (
        to_float32(finite).astype(every.dtype).view(np.uint16) == finite.view(np.uint16)
    ).all()
