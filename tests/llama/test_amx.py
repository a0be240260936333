"""Products of many vectors, in AMX tiles and without: the sums of integers and of float64."""

import os
import subprocess
import sys
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

from tests.llama.models import ROOT

pytest.importorskip("numba", reason="the native engine needs numba")
import jax.numpy as jnp

from tracr_lite.llama.int8 import int8_matrix
from tracr_lite.llama.native import describe, processor
from tracr_lite.llama.native.edge import compiled
from tracr_lite.llama.native.packing import pack
from tracr_lite.llama.native.plan import OUT, UNIT
from tracr_lite.llama.native.processor import has_amx
from tracr_lite.llama.native.products import FEW, product, settle
from tracr_lite.llama.native.room import make_room
from tracr_lite.llama.native.wide import unit

F32 = np.float32
WAYS = [
    pytest.param(
        True,
        id="amx",
        marks=pytest.mark.skipif(not has_amx(), reason="this processor or system has no AMX"),
    ),
    pytest.param(False, id="tiles"),
]


@compiled
def multiply(matrix, batch, count, part, out, adds):
    for row in range(count):
        settle(matrix, batch, row, count)
    if count >= FEW:
        pack(matrix, batch, count, 1, 2)  # one thread's part, and then the other's
        pack(matrix, batch, count, 0, 2)
    product(matrix, batch, count, part, 0, out, adds)


def found(matrix, x, amx, part=None, before=None):
    """`x W^T` as the engine computes it, for rows of W in `part`; added to `before`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(describe, "has_amx", lambda: amx)
        kept = []
        line = np.array(describe._row(matrix, matrix.shape, kept), np.int64)
    assert bool(line[UNIT]) == amx
    cache = np.zeros((1, 1, 1, 1, 1), F32)
    sizes = SimpleNamespace(dim=x.shape[1], kv_dim=0, hidden=0, vocab=1, size=1)
    sizes.norms = sizes.cos = sizes.sin = cache
    batch = make_room(sizes, (cache, cache), len(x), 1, 2)
    batch.given[:] = x
    out = np.full((len(x), line[OUT]), 77, F32) if before is None else before.copy()
    part = (0, int(line[OUT])) if part is None else part
    multiply(line, batch, len(x), part, out, before is not None)
    return out


def draw_int8(rng, out, groups, size, activations, scales=None):
    values = rng.integers(-128, 128, (out, groups * size)).astype(np.int8)
    if scales is None:
        scales = rng.uniform(1e-3, 1e-2, (out, groups)).astype(F32)
    return values, scales, int8_matrix(values, scales, activations)


def close(values, wanted, most):
    """Within 2e-6 of the sum of all magnitudes, which is what float32 allows."""
    np.testing.assert_array_less(np.abs(values - wanted), 2e-6 * most + 1e-30)


@pytest.mark.parametrize("amx", WAYS)
@pytest.mark.parametrize("activations", ["float32", "q80"])
@pytest.mark.parametrize(
    ("out", "groups", "size", "count"),
    [
        (16, 1, 16, 8),
        (48, 9, 32, 16),
        (33, 12, 64, 17),
        (5, 3, 48, 9),
        (17, 2, 80, 33),
        (64, 2, 128, 70),
    ],
)
def test_sums_of_int8_are_exact(amx, activations, out, groups, size, count):
    """Scales that are powers of 2 and integers up to 127: float32 holds every sum."""
    rng = np.random.default_rng(size)
    powers = 2.0 ** rng.integers(-1, 2, (out, groups))
    values, scales, matrix = draw_int8(rng, out, groups, size, activations, powers.astype(F32))
    x = rng.integers(-127, 128, (count, groups, size))
    x[:, :, -1] = np.where(rng.random((count, groups)) < 0.5, -127, 127)
    x[rng.random((count, groups)) < 0.2] = 0
    if count > 9:
        values[:2], x[3, 0], x[4, -1] = [[-128], [127]], 127, -127
        matrix = int8_matrix(values, scales, activations)
    parts = values.reshape(out, groups, size).astype(np.int64)
    wanted = np.einsum("ogk,ngk,og->no", parts, x, scales.astype(float))
    x = x.reshape(count, -1).astype(F32)
    assert np.array_equal(found(matrix, x, amx), wanted)
    before = rng.integers(-9, 9, wanted.shape).astype(F32)
    assert np.array_equal(found(matrix, x, amx, before=before), wanted + before)
    part = (min(3, out - 1), out - 1)
    some = found(matrix, x, amx, part)
    assert np.array_equal(some[:, part[0] : part[1]], wanted[:, part[0] : part[1]])
    assert (some[:, : part[0]] == 77).all()
    assert (some[:, part[1] :] == 77).all()


@pytest.mark.parametrize("amx", WAYS)
@pytest.mark.parametrize("size", [16, 32, 64, 96])
def test_float_activations_keep_their_digits(amx, size):
    rng = np.random.default_rng(size)
    values, scales, matrix = draw_int8(rng, 40, 6, size, "float32")
    x = rng.standard_normal((19, 6 * size)).astype(F32)
    x[:, 1] *= 1000  # one number of a group far greater than the others
    x[2] *= F32(1e-30)
    x[3] *= F32(1e25)
    x[4, :size] = 0
    whole = values * scales.repeat(size, axis=1).astype(float)
    wanted = x.astype(float) @ whole.T
    magnitudes = np.abs(x).astype(float).reshape(19, 6, size)
    magnitudes += magnitudes.max(axis=2, keepdims=True) / 20  # their last digit: 1e-7 of it
    close(found(matrix, x, amx), wanted, magnitudes.reshape(19, -1) @ np.abs(whole).T)


@pytest.mark.parametrize("amx", WAYS)
@pytest.mark.parametrize("size", [16, 32, 64])
def test_activations_of_q80_are_those_of_runq(amx, size):
    rng = np.random.default_rng(size)
    values, scales, matrix = draw_int8(rng, 40, 6, size, "q80")
    x = (rng.standard_normal((19, 6, size)) * 3).astype(F32)
    x[1, 2, :3] = [2.5, -2.5, 127]  # halves go away from zero
    own = (np.abs(x).max(axis=2) / F32(127)).astype(F32)
    ratios = (x / own[:, :, None]).astype(F32)
    whole = np.trunc(ratios + np.copysign(F32(0.5), ratios)).astype(np.int64)
    sums = np.einsum("ogk,ngk->nog", values.reshape(40, 6, size).astype(np.int64), whole)
    terms = sums * scales[None].astype(float) * own[:, None].astype(float)
    got = found(matrix, x.reshape(19, -1), amx)
    close(got, terms.sum(axis=2), np.abs(terms).sum(axis=2))


@pytest.mark.parametrize("amx", WAYS)
@pytest.mark.parametrize(
    ("out", "width", "count"), [(16, 32, 8), (33, 96, 17), (7, 16, 64), (50, 272, 81)]
)
def test_products_of_bfloat16(amx, out, width, count):
    rng = np.random.default_rng(width)
    w = rng.standard_normal((out, width)).astype(ml_dtypes.bfloat16)
    x = rng.standard_normal((count, width)).astype(F32)
    rounded = x.astype(ml_dtypes.bfloat16).astype(float)
    wanted, most = rounded @ w.astype(float).T, np.abs(rounded) @ np.abs(w.astype(float)).T
    matrix = jnp.asarray(w)
    close(found(matrix, x, amx), wanted, most)
    before = rng.standard_normal(wanted.shape).astype(F32)
    close(found(matrix, x, amx, before=before), wanted + before, most + np.abs(before))
    whole = np.trunc(rng.uniform(-9, 9, x.shape)).astype(F32)
    exact = jnp.asarray(np.trunc(w.astype(float) * 4).astype(ml_dtypes.bfloat16))
    wanted = whole.astype(float) @ np.asarray(exact, float).T
    assert np.array_equal(found(exact, whole, amx), wanted)


@pytest.mark.parametrize("amx", WAYS)
@pytest.mark.parametrize("kind", ["float32", "q80", "bfloat16"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_with_its_vector(amx, kind, bad):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 64)).astype(F32)
    if kind == "bfloat16":
        matrix = jnp.asarray(rng.standard_normal((17, 64)).astype(ml_dtypes.bfloat16))
    else:
        matrix = draw_int8(rng, 17, 2, 32, kind)[2]
    good = found(matrix, x, amx)
    x[5, 40] = bad
    broken = found(matrix, x, amx)
    assert not np.isfinite(broken[5]).any()
    others = np.arange(20) != 5
    assert np.array_equal(broken[others], good[others])


def test_which_matrices_have_tiles():
    sizes = [(1, 288, 0), (1, 48, 0), (1, 172, 0), (0, 288, 0), (2, 288, 32), (3, 64, 64)]
    assert [unit(*each) for each in sizes] == [32, 16, 0, 0, 32, 64]
    assert [unit(2, 960, size) for size in (96, 80, 48, 40, 4)] == [48, 16, 48, 0, 0]


def test_a_system_that_refuses_means_no_amx(monkeypatch):
    asked = []

    def refuse(*args):
        asked.append(args)
        return -1

    monkeypatch.setattr(processor, "compiles_amx", lambda: True)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: SimpleNamespace(syscall=refuse))
    assert not has_amx.__wrapped__()
    assert asked == [(158, 0x1023, 18)]


@pytest.mark.parametrize(
    ("what", "value"), [("sys.platform", "darwin"), ("platform.machine", lambda: "aarch64")]
)
def test_other_systems_are_not_asked(monkeypatch, what, value):
    monkeypatch.setattr(what, value)
    monkeypatch.delattr("ctypes.CDLL")
    assert not has_amx.__wrapped__()


PLAIN = """
from tracr_lite.llama import load
from tracr_lite.llama.native.processor import has_amx
assert not has_amx()
how = {"dtype": "int8", "activations": "q80", "engine": "native"}
model = load("docs/story/story.bin", "docs/story/tokenizer.bin", **how)
print(model.generate("Once upon a time there was a", temperature=0, n=30).text)
"""


@pytest.mark.heavy
def test_a_processor_that_llvm_knows_little_of():
    """Without vectors of 512 bits, AMX and all: everything is compiled anew."""
    run = subprocess.run(
        [sys.executable, "-c", PLAIN],
        cwd=ROOT,
        env=os.environ | {"NUMBA_CPU_NAME": "generic"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.startswith("Once upon a time"), run.stderr
