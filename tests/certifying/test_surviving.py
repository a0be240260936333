"""What is said of narrow formats agrees with running in them, on all of `programs/`."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.certifying.models import compiled
from tracr_lite import catalog, survives
from tracr_lite.certifying.certify import certify
from tracr_lite.certifying.rounding import FORMATS
from tracr_lite.certifying.surviving import CERTIFIED, FAILS, RIGHT, RIGHT_SO_FAR, stored_in
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.rasp import rasp
from tracr_lite.verifying.verification import verify

CATALOG = catalog.load_all()
NARROW = ["bfloat16", "float16"]


def small(entry):
    """The model of a program for inputs that are few."""
    n = min(entry.max_seq_len, 4)
    while n > 1 and sum(len(entry.vocab) ** k for k in range(1, n + 1)) > 400:
        n -= 1
    return compile_rasp_to_model(entry.program, set(entry.vocab), n, causal=entry.causal)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=() if number % 9 == 0 else pytest.mark.heavy, id=entry.name)
        for number, entry in enumerate(CATALOG)
    ],
)
def test_what_is_said_is_what_happens(entry, dtype):
    """All inputs are run: those certified are right, and those that fail are not certified."""
    model = small(entry)
    survival = survives(model, dtype)
    assert survival.survives is not None
    report = verify(stored_in(model, dtype), progress=False)
    assert report.exhaustive
    assert report.agrees == survival.survives
    if not survival.certificate.holds:
        assert survival.needs


def test_a_certified_model_is_not_run():
    survival = survives(compiled("hist"), "float16")
    assert survival.verdict == CERTIFIED
    assert survival.report is None
    assert survival.lines() == []


def test_a_model_that_fails_comes_with_a_witness_and_the_bits_it_needs():
    """1 / 115 and its neighbours are stored too coarsely: 110 tokens work, 120 do not."""
    assert certify(compile_rasp_to_model(lib.make_length(), {"a"}, 110), "bfloat16").holds
    model = compile_rasp_to_model(lib.make_length(), {"a"}, 120)
    survival = survives(model, "bfloat16")
    assert survival.verdict == FAILS
    assert survival.survives is False
    assert not survival.certificate.holds
    xs = list(survival.report.smallest.tokens)
    run = stored_in(model, "bfloat16")
    assert run.predict([model.input_encoder.bos_token, *xs]) != lib.make_length()(xs)
    needs = [need for need in survival.needs.values() if need is not None]
    assert needs
    assert all(FORMATS["bfloat16"].bits < need <= 24 for need in needs)
    assert any("bfloat16 has 8" in line for line in survival.lines())


def test_inputs_past_the_budget_are_a_sample():
    model = compile_rasp_to_model(lib.make_reverse(rasp.tokens), {"a", "b"}, 4)
    survival = survives(model, "bfloat16", budget=5)
    assert survival.verdict in (CERTIFIED, RIGHT_SO_FAR, RIGHT)
    assert (survival.verdict == RIGHT_SO_FAR) == (survival.survives is None)


@pytest.mark.parametrize("dtype", NARROW)
def test_what_is_stored_is_rounded_as_jax_rounds(dtype):
    values = np.array([0.0, 1.0, -0.3, 1 / 3, 255.5, 257.0, 1e-5, 3e-8, -(2.0**-14), 65504.0])
    expected = values.astype(jnp.dtype(dtype)).astype(float)
    found = FORMATS[dtype].cast(values)
    for one, other in zip(found.tolist(), expected.tolist(), strict=True):
        assert one == other


def test_bounds_say_where_a_narrow_format_stores_another_number():
    """1/3 is stored as 0.33398 in bfloat16: off by what the certificate says, and no more."""
    model = compile_rasp_to_model(lib.make_length(), {"a"}, 2)
    found = certify(model, "bfloat16")
    error = next(node.error for node in found.nodes if node.name.startswith("length"))
    assert error == pytest.approx(abs(0.333984375 - 1 / 3), rel=1e-3)


def test_why_last_occurrence_fails_in_bfloat16():
    """A step's column is stored as 0.992 at some keys and 1 at others, so a count is wrong."""
    entry = next(entry for entry in CATALOG if entry.name == "last_occurrence")
    model = compile_rasp_to_model(entry.program, set(entry.vocab), 4)
    run = stored_in(model, "bfloat16").apply(["compiler_bos", "b", "b", "a", "a"])
    assert run.decoded[1:] == [2] * 4  # not 3

    def column(half, label):
        at = model.residual_labels.index(label)
        return np.asarray(run.residuals[half], float)[0, 1:, at].tolist()

    assert column(0, "selector_width_4:1/(1+width)") == [0.333984375] * 3 + [0.5]
    assert column(1, "not_past_5:True") == [0.9921875] * 3 + [1.0]
    scores = np.asarray(run.attn_logits[1], float)[0, 0, 1]
    assert scores.tolist() == [32.0, 31.625, 31.625, 31.625, 32.0]
    assert column(2, "count_True_7:1/(1+width)") == [0.24609375] * 4
