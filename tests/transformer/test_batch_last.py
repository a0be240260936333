"""With the batch as the last axis the answers are the same."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transformer.test_precision import assert_highest
from tests.transformer.test_pruning import (
    D_MODEL,
    PAD,
    PLAIN,
    POSITIONS,
    VOCAB,
    some_params,
    transformed,
)
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.errors import CompileError
from tracr_lite.sampling import sample_program
from tracr_lite.transformer import batch_last
from tracr_lite.transformer.pruning import narrowed, prune


def run(pruned, config, tokens):
    """[batch, seq, columns]"""
    options = {"key_size": config.key_size, "causal": config.causal, "pad_token": PAD}
    stream = jax.jit(partial(batch_last.run, **options))(pruned, tokens.T)
    return np.moveaxis(np.asarray(stream), 0, -1).swapaxes(0, 1)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    kept=st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]),
    causal=st.booleans(),
    padding=st.integers(0, 3),
    columns=st.permutations(range(D_MODEL)).flatmap(
        lambda order: st.integers(1, D_MODEL).map(lambda size: tuple(order[:size]))
    ),
)
def test_the_stream_is_that_of_all_parameters(seed, kept, causal, padding, columns):
    """Also when columns that nothing reads are left out."""
    config = dataclasses.replace(PLAIN, causal=causal)
    params = some_params(config, seed, kept)
    tokens = np.random.default_rng(seed).integers(1, VOCAB, (3, POSITIONS))
    tokens[:, POSITIONS - padding :] = PAD
    real = slice(None), slice(POSITIONS - padding)
    expected = np.asarray(transformed(config).apply(params, tokens))[real]
    pruned = prune(params, config)
    np.testing.assert_allclose(run(pruned, config, tokens)[real], expected, atol=1e-5)
    narrow = run(narrowed(pruned, columns), config, tokens)[real]
    assert narrow.shape[-1] <= D_MODEL
    np.testing.assert_allclose(
        narrow[..., -len(columns) :], expected[..., list(columns)], atol=1e-5
    )


@pytest.mark.parametrize("choices", [0, 32])
def test_tokens_are_looked_up_in_either_way(choices, monkeypatch):
    monkeypatch.setattr(batch_last, "MOST_CHOICES", choices)
    params = some_params(PLAIN, seed=3)
    tokens = np.random.default_rng(0).integers(1, VOCAB, (4, POSITIONS))
    expected = transformed(PLAIN).apply(params, tokens)
    np.testing.assert_allclose(run(prune(params, PLAIN), PLAIN, tokens), expected, atol=1e-5)


def test_columns_that_nothing_reads_are_left_out():
    params = some_params(PLAIN, seed=0)
    for layer in (0, 1):
        for part in ("attn/query", "attn/key", "attn/value", "mlp/linear_1"):
            params[f"transformer/layer_{layer}/{part}"]["w"][[2, 5]] = 0.0
    narrow = narrowed(prune(params, PLAIN), (7, 5, 0))
    assert narrow.token_embed.shape == (VOCAB, D_MODEL - 1)  # 5 is read in the end, 2 is not
    tokens = np.array([[1, 2, 3, 4]])
    expected = np.asarray(transformed(PLAIN).apply(params, tokens))
    found = run(narrow, PLAIN, tokens)
    np.testing.assert_allclose(found[..., -3:], expected[..., [7, 5, 0]], atol=1e-5)
    for writing in (narrow.layers[0].heads[0].out, narrow.layers[1].neurons.write):
        assert (np.diff(writing.columns) > 0).all()


def test_long_wide_and_mixed_models_run_otherwise():
    pruned = prune(some_params(PLAIN, seed=1), PLAIN)
    assert batch_last.suits(pruned, 1)
    assert batch_last.suits(pruned, 16)
    assert not batch_last.suits(pruned, 17)
    assert not batch_last.suits(pruned, 0)
    table = np.zeros((1000, D_MODEL), np.float32)
    assert not batch_last.suits(pruned._replace(token_embed=table), 4)
    mixed = pruned._replace(token_embed=pruned.token_embed.astype(np.float16))
    assert not batch_last.suits(mixed, 4)
    head = pruned.layers[0].heads[0]
    lanes = head.query._replace(weights=np.zeros((D_MODEL, 100), np.float32))
    layer = pruned.layers[0]._replace(heads=(head._replace(query=lanes),))
    assert not batch_last.suits(pruned._replace(layers=(layer,)), 4)


def test_equal_scores_weigh_exactly_the_same():
    """Three keys of five are seen; a division of one by three, and nothing else."""
    scores = jnp.where(jnp.arange(5)[:, None, None] < 3, 7.25, -1e30) * jnp.ones((5, 2, 9))
    mixed = batch_last._mix(scores, jnp.ones((1, 5, 9)), jnp.ones(()))
    third = np.float32(1) / np.float32(3)
    assert (np.asarray(mixed) == third + third + third).all()


def test_every_product_asks_for_the_highest_precision():
    pruned = prune(some_params(PLAIN, seed=1), PLAIN)
    forward = lambda p, tokens: batch_last.run(  # noqa: E731
        p, tokens, key_size=4, causal=False, pad_token=PAD
    )
    assert_highest(forward, pruned, np.ones((4, 8), np.int32), count=8)


def programs(count):
    """Compiled random programs: the model, its vocabulary and the longest input."""
    seed = 0
    while count:
        drawn = sample_program(seed, nodes=(3, 9), max_seq_len=4, vocab_size=3)
        seed += 1
        try:
            model = compile_rasp_to_model(drawn.program, drawn.vocab, 4, causal=drawn.causal)
        except CompileError:
            continue
        sizes = [array.size for group in model.params.values() for array in group.values()]
        if sum(sizes) < 200_000:
            count -= 1
            yield model, drawn.vocab


def compare(count):
    rng, bos, ran = np.random.default_rng(0), "compiler_bos", 0
    for model, vocab in programs(count):
        lengths = [1, 4, 4, 2, 3, 1, 4]
        inputs = [[vocab[i] for i in rng.integers(0, len(vocab), n)] for n in lengths]
        inputs[1] = [vocab[0]] * 4
        batch = [[bos, *xs] for xs in inputs]
        ran += batch_last.suits(model.pruned(), 5)
        assert model.apply_batch(batch) == [model.apply(tokens).decoded for tokens in batch]
        jax.clear_caches()
    assert ran > count / 2


def test_random_programs_answer_as_they_do_on_their_own():
    compare(6)


@pytest.mark.heavy
def test_many_random_programs_answer_as_they_do_on_their_own():
    compare(150)
