"""Known keys are found, and others never are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.transformer.known_keys import KnownKeys

keys = st.integers(0, 2**64 - 1)


@given(st.lists(keys, min_size=1, max_size=20, unique=True), st.lists(keys, max_size=20))
def test_each_known_key_is_found_at_its_place_and_no_other_is(known, others):
    table = KnownKeys(known)
    places, right = table.find(np.array([*known, *others], np.uint64))
    expected = [*range(len(known)), *(known.index(k) if k in known else None for k in others)]
    found = [place if yes else None for place, yes in zip(places, right, strict=True)]
    assert found == expected


@pytest.mark.parametrize("step", [1, 16, 48, 2**23])
def test_neighbours_do_not_share_a_slot(step):
    """As addresses of objects made one after the other, and bits of small whole numbers."""
    known = 0x7F00_1234_5670 + step * np.arange(64, dtype=np.uint64)
    places, right = KnownKeys(known).find(known)
    assert right.all()
    assert places.tolist() == list(range(64))


def test_of_thousands_most_are_found_and_none_wrongly():
    known = np.random.default_rng(0).integers(0, 2**64, 4000, np.uint64)
    places, right = KnownKeys(known).find(known)
    assert 0.9 < right.mean() < 1
    assert (places[right] == np.flatnonzero(right)).all()
    assert not KnownKeys(known[:2000]).find(known[2000:])[1].any()
