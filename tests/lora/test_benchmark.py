"""The cost of training: what `use_implicit_args` makes is what one would write by hand."""

import re
import sys
from collections import Counter
from functools import partial

import jax.numpy as jnp
import pytest

from tracr_lite.lora import benchmark

optax = pytest.importorskip("optax")


def test_as_many_flops_as_by_hand_and_fewer_than_dense():
    costs = benchmark.measure(64, times=1)
    for i in (0, 1):  # forward, step
        assert costs["lora"][i].flops == costs["by hand"][i].flops
    assert costs["lora"][1].flops < costs["dense"][1].flops
    dense, low = costs["dense"][2], costs["lora"][2]
    assert costs["by hand"][2] == low
    assert dense > 2 * 2 * 64 * 64 * 4
    assert low < dense / 3


@pytest.mark.parametrize("size", benchmark.SIZES)
def test_the_compiled_training_step_is_what_one_would_write_by_hand(size):
    tx = optax.adam(1e-3)
    x = jnp.ones((benchmark.TOKENS, size))
    found, memory = {}, {}
    for way in benchmark.variants(size)[1:]:
        step = partial(benchmark.train_step, way.apply, tx)
        args = (way.trained, tx.init(way.trained), way.frozen, x, x)
        made, cost = benchmark.compiled(step, *args)
        steps = Counter(re.findall(r" = \S+ ([a-z-]+)\(", made.as_text()))
        found[way.name] = (cost.flops, steps["dot"], steps["transpose"])
        memory[way.name] = made.memory_analysis().temp_size_in_bytes
    assert found["lora"] == found["by hand"]
    assert found["lora"][1] > 4  # products were found
    assert memory["lora"] <= 1.01 * memory["by hand"]


def test_the_command_prints_a_table(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--sizes", "32", "--times", "1"])
    monkeypatch.setenv("COLUMNS", "120")
    benchmark.main()
    text = capsys.readouterr().out
    assert all(way in text for way in ("dense", "by hand", "lora"))


@pytest.mark.heavy
@pytest.mark.parametrize("size", benchmark.SIZES)
def test_as_fast_as_by_hand(size):
    costs = benchmark.measure(size, times=60)
    for i in (0, 1):
        assert costs["lora"][i].seconds < 1.1 * costs["by hand"][i].seconds
        assert costs["lora"][i].flops == costs["by hand"][i].flops
