"""Parameters without zeros: each array, made alone or with all others, holds the same bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracr_lite.transformer import sparse_params
from tracr_lite.transformer.sparse_params import SparseParams

SIZES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
LEAVES = st.dictionaries(st.sampled_from(["w", "b", "embeddings"]), SIZES, max_size=3)
MODULES = st.dictionaries(st.sampled_from(["a", "a/b", "c"]), LEAVES, max_size=3)


@given(MODULES, st.data())
def test_arrays_made_one_by_one_are_those_made_together(shapes, data):
    size = SparseParams(shapes, np.zeros(0, np.int32), np.zeros(0, np.float32)).size
    bits = st.sampled_from([0.0, -0.0, 1.5, -2.0, 1e-30])
    vector = np.array([data.draw(bits) for _ in range(size)], np.float32)
    positions = np.flatnonzero(vector.view(np.uint32)).astype(np.int32)
    params = SparseParams(shapes, positions, vector[positions])
    limit = data.draw(st.sampled_from([1, sparse_params.LARGE]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_params, "LARGE", limit)
        together, alone = params.dense(), params.one_by_one()
        assert list(together) == list(alone)
        for module, group in together.items():
            assert list(group) == list(alone[module])
            assert len(group) == len(alone[module])
            for leaf, array in group.items():
                found = alone[module][leaf]
                assert found.shape == array.shape
                assert found.tobytes() == array.tobytes()
                assert not found.flags.writeable
