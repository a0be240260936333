"""Certificates of large models skip zeros, and say the same to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.certifying.models import PROGRAMS, derived
from tracr_lite.certifying import sparse_matrices
from tracr_lite.certifying.sparse_matrices import Factor, csr
from tracr_lite.compiler.compiling import compile_once


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_without_zeros_a_certificate_is_the_same(name, dtype, monkeypatch):
    texts = []
    for large in (0, 2**60):
        monkeypatch.setattr(sparse_matrices, "LARGE", large)
        texts.append(derived(name, dtype=dtype).to_json())
    assert texts[0] == texts[1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**20), st.sampled_from([0.0, 0.1, 0.6]))
def test_products_are_the_same_to_the_last_bit(seed, filled):
    rng = np.random.default_rng(seed)
    a, b, c = rng.integers(1, 12, 3).tolist()

    def some(*shape):
        return np.where(rng.random(shape) < filled, rng.normal(size=shape), 0.0)

    left, right = some(a, b), some(b, c)
    rows = slice(b // 3, b)
    for held in (right, csr(right)):
        factor = Factor(held)
        assert np.array_equal(factor.after(csr(left)), csr(left) @ right)
        part = factor[rows].after(csr(left[:, rows]))
        assert np.array_equal(part, csr(left[:, rows]) @ right[rows])


def test_parameters_may_be_made_one_by_one():
    """So that those of a large model are never all in memory."""
    program, vocab = PROGRAMS["double_histogram"]
    sparse = compile_once(program, vocab, 3, sparse=True)
    found = derived("double_histogram", params=sparse.params.one_by_one())
    assert found.to_json() == derived("double_histogram").to_json()
