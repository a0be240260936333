"""Which parameter is frozen, trained densely, or low-rank."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from tracr_lite.lora import (
    LORA_FREEZE,
    LORA_FULL,
    LoraError,
    XRapTure,
    XRapTureConfig,
    make_lora_specs,
)

PARAMS = {
    "net/attn/query": {"w": jnp.ones((6, 8)), "b": jnp.ones(8)},
    "net/mlp/~/linear_0": {"w": jnp.ones((8, 6))},
    "head": {"w": jnp.ones((6, 3)), "scale": jnp.ones(())},
}


def chosen(**options):
    config = XRapTureConfig(4, verbose=False, **options)
    specs = XRapTure(config).make_lora_specs(PARAMS)
    return {f"{a}.{b}": r for a, inner in specs.items() for b, r in inner.items() if r}


def test_the_constants_are_those_of_the_original():
    assert (LORA_FREEZE, LORA_FULL) == (0, -1)


CASES = [
    pytest.param({}, {}, id="nothing is named"),
    pytest.param(
        {"lora_fine_tune_parameters": ["net/attn/query"]},
        {"net/attn/query.w": 4},
        id="a whole key; the vector stays frozen",
    ),
    pytest.param({"lora_fine_tune_parameters": ["query"]}, {}, id="part of a key is none"),
    pytest.param(
        {"lora_fine_tune_parameters": ["w"], "fully_fine_tune_parameters": ["head"]},
        {"net/attn/query.w": 4, "net/mlp/~/linear_0.w": 4, "head.w": -1},
        id="full wins",
    ),
    pytest.param(
        {"lora_fine_tune_parameters": ["*/linear_?"]}, {"net/mlp/~/linear_0.w": 4}, id="glob"
    ),
    pytest.param(
        {"lora_fine_tune_parameters": [re.compile("query|head")]},
        {"net/attn/query.w": 4, "head.w": 4},
        id="regular expression",
    ),
]


@pytest.mark.parametrize(("options", "want"), CASES)
def test_names_choose_parameters(options, want):
    assert chosen(**options) == want


def test_vectors_are_trained_only_if_that_is_asked_for():
    rapture = XRapTure(XRapTureConfig(4, lora_fine_tune_parameters=["w"], verbose=False))
    assert rapture.make_lora_specs(PARAMS)["net/attn/query"]["b"] == LORA_FREEZE
    specs = rapture.make_lora_specs(PARAMS, tune_vectors=True)
    assert specs["net/attn/query"] == {"w": 4, "b": LORA_FULL}
    assert specs["head"]["scale"] == LORA_FULL


def test_a_decision_function_sees_path_and_array_of_what_has_two_axes():
    seen = []

    def decide(path, array):
        seen.append((path[-1].key, array.shape))
        return 2 if array.shape[0] == 6 else 0

    specs = make_lora_specs(PARAMS, decide)
    assert sorted(seen) == [("w", (6, 3)), ("w", (6, 8)), ("w", (8, 6))]
    assert specs["head"] == {"w": 2, "scale": 0}


def test_patterns_give_each_layer_its_rank():
    specs = make_lora_specs(PARAMS, {"query/w$": 2, "head/scale": LORA_FULL, "/w$": 3})
    assert specs["net/attn/query"] == {"w": 2, "b": 0}
    assert specs["net/mlp/~/linear_0"]["w"] == 3
    assert specs["head"] == {"w": 3, "scale": LORA_FULL}


def test_a_pattern_that_chooses_nothing_is_an_error():
    with pytest.raises(LoraError, match=r"1 pattern\(s\) choose no parameter: 'qery'"):
        make_lora_specs(PARAMS, {"qery": 2, "head/w": 2})


def test_a_text_that_is_no_pattern_is_an_error():
    with pytest.raises(LoraError, match="is no regular expression"):
        make_lora_specs(PARAMS, {"(": 2})


@pytest.mark.parametrize("decision", [-2, True, 1.5, "full", None])
def test_other_decisions_are_refused(decision):
    """The original died with a TypeError inside of jnp.zeros for -2."""
    with pytest.raises(ValueError, match=r"decision for '.*'"):
        make_lora_specs(PARAMS, lambda path, array: decision)


def test_numpy_integers_are_decisions():
    assert make_lora_specs({"w": jnp.ones((2, 2))}, lambda *_: np.int64(1)) == {"w": 1}


def test_without_a_decision_all_is_frozen():
    assert set(make_lora_specs(PARAMS)["head"].values()) == {LORA_FREEZE}


def test_one_text_in_the_place_of_a_list_is_an_error():
    for name in ("head", re.compile("head")):
        with pytest.raises(LoraError, match="names must be a list"):
            XRapTureConfig(4, lora_fine_tune_parameters=name)
    with pytest.raises(LoraError, match="must be a function or a table; got 'head'"):
        make_lora_specs(PARAMS, "head")


def test_verbose_tells_names_that_choose_nothing(capsys):
    XRapTure(XRapTureConfig(4, ["haed"], [re.compile("qery"), "head"])).make_lora_specs(PARAMS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "no parameter is named 'haed'",
        "no parameter is named re.compile('qery')",
    ]
    assert lines[2:] == ["head/w: low-rank, rank 4"]


def test_verbose_prints_a_line_per_trained_parameter(capsys):
    config = XRapTureConfig(4, ["head"], ["net/attn/query"])
    XRapTure(config).make_lora_specs(PARAMS)
    lines = sorted(capsys.readouterr().out.splitlines())
    assert lines == ["head/w: trained densely", "net/attn/query/w: low-rank, rank 4"]
