"""Neurons of both architectures compute their units: exactly, or to a few roundings."""

from __future__ import annotations

import numpy as np
import pytest

from tracr_lite.craft.bases import BasisDirection
from tracr_lite.targets import gpt2_neurons, llama_neurons
from tracr_lite.targets.blocks import Above, Both, Copy, Nothing, Product, Step
from tracr_lite.targets.forward import _gelu, _silu
from tracr_lite.targets.rope import offset_head, slow_pairs
from tracr_lite.targets.rows import ONE_COLUMN, constant, total

BOS, X, Y, Z, OUT = (BasisDirection(name) for name in ("bos", "x", "y", "z", "out"))
NB = constant(BOS)


def value(row, columns):
    return np.float32(
        sum(np.float32(c) * np.float32(columns.get(d, 0.0)) for d, c in row.items())
    )


def run(unit, columns, architecture, **options):
    """What the unit writes at a position with these columns."""
    columns = {ONE_COLUMN: 1.0, **columns}
    found = np.float32(0)
    if architecture == "llama":
        for n in llama_neurons.neurons(unit, BOS, **options):
            hidden = _silu(value(n.gate, columns)) * value(n.up, columns)
            found += hidden * np.float32(n.down[OUT])
    else:
        for n in gpt2_neurons.neurons(unit, BOS):
            found += _gelu(value(n.read, columns)) * np.float32(n.down[OUT])
    return float(found)


both = pytest.mark.parametrize("architecture", ["llama", "gpt2"])


@both
@pytest.mark.parametrize("xs", [(X,), (X, Z)], ids=["two", "three"])
def test_and_is_exact_on_bits_and_silent_at_bos(architecture, xs):
    unit = Both(tuple({d: 1.0} for d in xs), {Y: 1.0}, {OUT: 3.0})
    for bits in np.ndindex(*(2,) * (len(xs) + 1)):
        columns = dict(zip((*xs, Y), map(float, bits), strict=True))
        assert run(unit, columns, architecture) == 3.0 * all(bits)
    assert run(unit, {BOS: 1.0}, architecture) == 0.0


@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_bounded_ands_of_many_stay_above_the_overflow(count):
    names = [BasisDirection("x", i) for i in range(count)]
    unit = Both(tuple({d: 1.0} for d in names), {Y: 1.0}, {OUT: 1.0})
    for bits in np.ndindex(*(2,) * count):
        columns = dict(zip(names, map(float, bits), strict=True)) | {Y: 1.0}
        assert run(unit, columns, "llama", bounded=True) == pytest.approx(
            float(all(bits)), abs=1e-6
        )
        gate = llama_neurons.neurons(unit, BOS, bounded=True)[0].gate
        assert value(gate, {ONE_COLUMN: 1.0, **columns}) >= -88


@both
def test_above_is_exactly_zero_below_and_the_number_above(architecture):
    unit = Above({X: 1.0}, 0.01, {OUT: 1.0})
    assert run(unit, {X: 0.25}, architecture) == 0.25
    assert run(unit, {X: -0.01}, architecture) == 0.0
    assert run(unit, {X: -5.0}, architecture) == 0.0


@both
def test_nothing_asks_whether_it_is_exactly_zero(architecture):
    unit = Nothing({X: 1.0}, 0.001, NB, {OUT: 1.0})
    assert run(unit, {X: 0.0}, architecture) == 1.0
    assert run(unit, {X: 0.001}, architecture) == 0.0
    assert run(unit, {X: 7.0}, architecture) == 0.0
    assert run(unit, {BOS: 1.0}, architecture) == 0.0


@both
@pytest.mark.parametrize("x", [-123.456, -1.0, 0.0, 1e-6, 0.3, 1e4])
def test_copies_are_linear_everywhere(architecture, x):
    found = run(Copy({X: 1.0}, {OUT: -1.0}), {X: x}, architecture)
    assert found == pytest.approx(-np.float32(x), rel=3e-7)
    if architecture == "llama":
        assert found == -np.float32(x)  # exactly, so that columns can be freed


@pytest.mark.parametrize("x", [-30.0, -1.5, 0.0, 0.1, 200.0])
def test_products(x):
    unit = Product({X: 1.0}, {Y: 1.0}, {OUT: 1.0})
    assert run(unit, {X: x, Y: -2.5}, "llama") == pytest.approx(-2.5 * x, rel=1e-6)


def test_steps_are_flat_away_from_their_middle():
    unit = Step({X: 1.0}, 8.0, NB, {OUT: 1.0})
    assert run(unit, {X: 70.0}, "llama") == pytest.approx(1.0, abs=1e-6)
    assert abs(run(unit, {X: -70.0}, "llama")) < 1e-24


@pytest.mark.parametrize(("size", "pairs"), [(8, 2), (16, 4), (32, 8), (64, 17), (256, 70)])
def test_slow_pairs_over_64_positions(size, pairs):
    assert slow_pairs(size, 64, 10_000.0) == pairs


@pytest.mark.parametrize("positions", [64, 256, 1024])
def test_offset_heads_tell_the_right_distance_by_more_than_the_softmax_resolves(positions):
    found = offset_head(64, positions, 10_000.0)
    turn = 10_000.0 ** -(np.arange(0, 64, 2) / 64)[: found.pairs]
    away = np.arange(-positions + 1, positions)
    scores = found.scale * np.cos(turn * away[:, None]).sum(axis=1)
    right = scores[away == 0][0]
    assert (scores[away != 0] <= right - 260 + 1).all()
    assert right - found.bos == 128


def test_rows_add_up_without_zeros():
    assert total([{X: 1.0, Y: 2.0}, {X: -1.0}]) == {Y: 2.0}
