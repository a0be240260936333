"""Craft blocks against numpy written out by hand."""

import numpy as np
import pytest

from tests.craft.strategies import random_vector
from tracr_lite.craft.bases import VectorSpaceWithBasis
from tracr_lite.craft.transformers import (
    MLP,
    AttentionHead,
    MultiAttentionHead,
    SeriesWithResiduals,
    relu,
)
from tracr_lite.craft.vectorspace_fns import Linear, ScalarBilinear

RNG = np.random.default_rng(0)
Q, K = VectorSpaceWithBasis.from_names("qr"), VectorSpaceWithBasis.from_names("kl")
V, O = VectorSpaceWithBasis.from_names("vw"), VectorSpaceWithBasis.from_names("op")
ALL = VectorSpaceWithBasis.from_names("klopqrvwz")
SEQ = 4


def head(causal=False, residual_space=None):
    scores = ScalarBilinear(Q, K, RNG.normal(size=(2, 2)))
    return AttentionHead(scores, Linear(V, O, RNG.normal(size=(2, 2))), residual_space, causal)


def mlp(read, write, hidden="hi"):
    units = VectorSpaceWithBasis.from_names(hidden)
    fst = Linear(read, units, RNG.normal(size=(read.num_dims, units.num_dims)))
    return MLP(fst, Linear(units, write, RNG.normal(size=(units.num_dims, write.num_dims))))


def attend_by_hand(h, x):
    """What each query gets, by loops over positions."""
    queries, keys = x.project(Q).magnitudes, x.project(K).magnitudes
    values = x.project(V).magnitudes @ h.w_ov.matrix
    out = np.zeros((len(queries), 2))
    for i, query in enumerate(queries):
        seen = range(i + 1) if h.causal else range(len(keys))
        weights = np.array([np.exp(query @ h.w_qk.matrix @ keys[j]) for j in seen])
        out[i] = (weights / weights.sum()) @ values[list(seen)]
    return out


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_softmax_of_unscaled_scores(causal):
    h, x = head(causal), random_vector(ALL, SEQ)
    out = h.apply(x)
    assert out in h.residual_space
    np.testing.assert_allclose(out.project(O).magnitudes, attend_by_hand(h, x), rtol=1e-12)
    assert not out.project(Q).magnitudes.any()


def test_query_side_is_the_left_space():
    swapped = ScalarBilinear(Q, K, np.array([[0.0, 50.0], [0.0, 0.0]]))
    h = AttentionHead(swapped, Linear(V, O, np.eye(2)))
    x = np.zeros((2, ALL.num_dims))
    x[0, ALL.indices_of(Q)] = [1, 0]  # only the query at 0 scores, and only with the key at 1
    x[1, ALL.indices_of(K)] = [0, 1]
    x[:, ALL.indices_of(V)] = [[1, 0], [0, 1]]
    out = h.apply(ALL.make_vector(x)).project(O).magnitudes
    np.testing.assert_allclose(out, [[0, 1], [0.5, 0.5]], atol=1e-12)


def test_large_scores_do_not_overflow():
    h = AttentionHead(ScalarBilinear(Q, K, np.full((2, 2), 1e6)), Linear(V, O, np.eye(2)))
    assert np.isfinite(h.apply(random_vector(ALL, SEQ)).magnitudes).all()


def test_batches_are_handled_one_by_one():
    h, m, x = head(True), mlp(V, O), random_vector(ALL, 3, SEQ)
    model = SeriesWithResiduals([h, m])
    for i in range(3):
        single = model.apply(ALL.make_vector(x.magnitudes[i]))
        np.testing.assert_allclose(model.apply(x).magnitudes[i], single.magnitudes, rtol=1e-12)


def test_residual_space_defaults_to_what_is_used_and_must_contain_it():
    assert head().residual_space == VectorSpaceWithBasis.from_names("klopqrvw")
    assert head(residual_space=ALL).residual_space == ALL
    with pytest.raises(ValueError, match="no direction v, w"):
        head(residual_space=VectorSpaceWithBasis.from_names("klopqr"))


def test_heads_side_by_side_add_up():
    heads = [head(), head(True), head(residual_space=ALL)]
    nested = MultiAttentionHead([MultiAttentionHead(heads[:2]), heads[2]])
    x = random_vector(ALL, SEQ)
    expected = sum(h.apply(x).project(ALL).magnitudes for h in heads)
    np.testing.assert_allclose(nested.apply(x).magnitudes, expected, rtol=1e-12)
    assert list(nested.heads()) == heads
    assert nested.num_heads == 3
    assert nested.as_multi() is nested
    assert list(heads[0].as_multi().heads()) == heads[:1]


def test_mlp_is_two_matrices_around_a_relu():
    m, x = mlp(V, O, "hijk"), random_vector(ALL, SEQ)
    hidden = np.maximum(x.project(V).magnitudes @ m.fst.matrix, 0)
    out = m.apply(x)
    assert out in m.residual_space
    np.testing.assert_allclose(out.project(O).magnitudes, hidden @ m.snd.matrix, rtol=1e-12)


def test_relu_leaves_no_negative_and_keeps_the_rest():
    x = V.make_vector(np.array([-1.0, 2.0]))
    assert relu(x) == V.make_vector(np.array([0.0, 2.0]))


def test_mlp_refuses_hidden_spaces_that_differ():
    with pytest.raises(ValueError, match="hidden units"):
        MLP(Linear(V, O, np.eye(2)), Linear(V, O, np.eye(2)))


@pytest.mark.parametrize("hidden", [("hi", "hi"), ("hi", "ij"), ("hi", "jk")], ids=str)
def test_parallel_mlps_add_up_even_when_hidden_names_clash(hidden):
    first, second = (
        mlp(V, O, hidden[0]),
        mlp(VectorSpaceWithBasis.from_names("wz"), O, hidden[1]),
    )
    both, x = MLP.combine_in_parallel([first, second]), random_vector(ALL, SEQ)
    expected = first.apply(x).project(O).magnitudes + second.apply(x).project(O).magnitudes
    np.testing.assert_allclose(both.apply(x).project(O).magnitudes, expected, rtol=1e-12)
    assert both.fst.output_space.num_dims == 4


def test_hidden_names_stay_when_they_do_not_clash():
    both = MLP.combine_in_parallel([mlp(V, O, "hi"), mlp(V, O, "jk")])
    assert list(map(str, both.fst.output_space.basis)) == ["h", "i", "j", "k"]


def test_many_clashing_mlps_stay_apart_when_combined_again():
    parts = [mlp(V, O) for _ in range(11)]
    once = MLP.combine_in_parallel(parts)
    twice, x = MLP.combine_in_parallel([once, once]), random_vector(ALL, SEQ)
    expected = 2 * sum(part.apply(x).magnitudes for part in parts)
    np.testing.assert_allclose(twice.apply(x).magnitudes, expected, rtol=1e-12)


def test_series_adds_each_output_before_the_next_block_reads():
    h, m = head(), mlp(O, V)
    model = SeriesWithResiduals([h, m])
    x = random_vector(model.residual_space, SEQ)
    middle = x + h.apply(x).project(model.residual_space)
    expected = middle + m.apply(middle).project(model.residual_space)
    assert model.apply(x) == expected
    short = random_vector(V, SEQ)  # missing directions are zero
    assert model.apply(short) == model.apply(short.project(model.residual_space))
