"""Random basis values, spaces and vectors."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, -2.0, 2.0**60, float("inf"), float("-inf")]),
    st.sampled_from(["", "a", "b", "1", "10", "None"]),
)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=2).map(tuple), max_leaves=4)
DIRECTIONS = st.builds(BasisDirection, st.sampled_from(["x", "y", "one"]), VALUES)
SPACES = st.lists(DIRECTIONS, unique=True, max_size=8).map(VectorSpaceWithBasis)


def random_vector(space, *leading, seed=0):
    """Standard normal magnitudes, shape [*leading, dims]."""
    shape = (*leading, space.num_dims)
    return space.make_vector(np.random.default_rng(seed).normal(size=shape))
