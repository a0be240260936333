"""All programs that have a causal form, in transformers, as long as 64 and 256 positions."""

from __future__ import annotations

import pytest

from tests.targets import at_length
from tracr_lite import catalog


def check(name, target, positions):
    pytest.importorskip("transformers")
    found = at_length.measured(name, target, positions)
    print(found.line())
    assert found.checked > 0
    assert set(found.wrong) == {0}, found.line()
    assert found.error <= (0.0 if target == "llama" else 2e-3), found.line()


def test_a_few_positions():
    check("previous_token", "llama", 16)
    check("reverse", "gpt2", 12)


@pytest.mark.heavy
@pytest.mark.parametrize("positions", [64, 256])
@pytest.mark.parametrize("target", list(at_length.COMPILERS))
@pytest.mark.parametrize("name", catalog.names())
def test_all_positions_are_right(name, target, positions):
    if not at_length.kind_of(name):
        pytest.skip("it needs more than one look ahead")
    check(name, target, positions)
