"""Models that are too weak, or wrong, are refused; what is certified answers rightly."""

import numpy as np
import pytest

from tests.certifying.models import (
    PROGRAMS,
    answers_rightly,
    claimed,
    compiled,
    copied,
    derived,
)
from tracr_lite.certifying.claims import MLP


def attention(params):
    return params["transformer/layer_0/attn/query"]["w"]


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - {"length"}))
def test_weak_attention_is_refused(name):
    """A quarter of the sharpness leaves a percent of the weight elsewhere; `length` has
    none."""
    params = copied(compiled(name, 12).params)
    for module, group in params.items():
        if module.endswith("attn/query"):
            group["w"] *= np.float32(0.2)
    found = derived(name, params, 12)
    assert not found.holds
    assert any("too weak" in line for line in found.why_not())


@pytest.mark.parametrize("name", ["length", "hist", "reverse", "sort", "double_histogram"])
@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1])
def test_wrong_slopes_are_refused(name, factor):
    params = copied(compiled(name, 12).params)
    for held in claimed(name, 12).held:
        raw = held.columns[0]
        if held.half != MLP and held.numbers:
            for layer in range(compiled(name, 12).model_config.num_layers):
                params[f"transformer/layer_{layer}/mlp/linear_1"]["w"][raw] *= np.float32(
                    factor
                )
    found = derived(name, params, 12)
    assert not found.holds
    assert any("may be off by" in line for line in found.why_not())


def changes(params):
    """Every nonzero parameter, with what it is changed to."""
    for module, group in params.items():
        for name, array in group.items():
            for at in zip(*np.nonzero(array), strict=True):
                for factor in (-1.0, 0.0, 2.0):
                    yield module, name, at, np.float32(factor) * array[at]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "hist" else pytest.mark.heavy)
        for name in PROGRAMS
    ],
)
def test_each_changed_weight_is_refused_or_harmless(name):
    params, refused, harmless = copied(compiled(name, 2).params), 0, 0
    for module, leaf, at, value in list(changes(params)):
        array = params[module][leaf]
        before, array[at] = array[at], value
        if derived(name, params, 2).holds:
            harmless += 1
            assert answers_rightly(name, params, 2), (module, leaf, at, value)
        else:
            refused += 1
        array[at] = before
    assert refused > harmless > 0


@pytest.mark.parametrize("name", ["reverse", "frac_prevs"])
def test_a_weight_where_none_belongs_is_refused_or_harmless(name):
    rng = np.random.default_rng(0)
    params, refused = copied(compiled(name).params), 0
    for module, group in params.items():
        for leaf, array in group.items():
            at = tuple(int(rng.integers(size)) for size in array.shape)
            before, array[at] = array[at], array[at] + np.float32(0.75)
            if derived(name, params).holds:
                assert answers_rightly(name, params), (module, leaf, at)
            else:
                refused += 1
            array[at] = before
    assert refused > 0


@pytest.mark.parametrize(
    "value", [np.float32("nan"), np.float32("inf")], ids=["not_a_number", "infinite"]
)
def test_parameters_that_are_not_finite_are_refused(value):
    params = copied(compiled("hist").params)
    attention(params)[0, 0] = value
    assert any("not finite" in line for line in derived("hist", params).why_not())


def test_a_bias_is_refused():
    params = copied(compiled("hist").params)
    params["transformer/layer_0/mlp/linear_2"]["b"][0] = 1e-3
    assert any("bias" in line for line in derived("hist", params).why_not())
