"""Batches: every sequence once, in bounded chunks, and answered as it is on its own."""

import dataclasses
import gc
import random
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compiler.checking import BOS, compiled, inputs, interpreted, same
from tracr_lite import load
from tracr_lite.compiler import batches, compile_rasp_to_model, lib, running
from tracr_lite.compiler.assemble import assemble_craft_model
from tracr_lite.compiler.forward import jitted_answer
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.transformers import AttentionHead, SeriesWithResiduals
from tracr_lite.craft.vectorspace_fns import Linear, ScalarBilinear
from tracr_lite.errors import CompileError, InputError
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder

SORT = lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=9, min_key=1)
FRACTION = lib.make_frac_prevs(rasp.tokens == "a")


@given(
    lengths=st.lists(st.integers(1, 40), max_size=60),
    width=st.integers(1, 10**7),
)
def test_every_sequence_is_in_one_chunk_that_fits(lengths, width):
    plan = batches.plan(lengths, 40, width)
    order = plan.order or range(len(lengths))
    assert sorted(order) == list(range(len(lengths)))
    assert [c.start for c in plan.chunks] == [0, *(c.stop for c in plan.chunks)][:-1]
    assert sum(c.stop - c.start for c in plan.chunks) == len(lengths)
    for chunk in plan.chunks:
        assert max(lengths[i] for i in order[chunk.start : chunk.stop]) <= chunk.size <= 40
        assert chunk.stop - chunk.start <= chunk.rows
        widest = chunk.size * max(width, chunk.size)
        assert chunk.rows == 1 or chunk.rows * widest <= batches.CHUNK


def test_where_padding_cannot_be_hidden_lengths_are_not_mixed():
    plan = batches.plan([3, 5, 3, 4], 40, 10, pads=False)
    assert plan.order == (0, 2, 3, 1)
    assert [(c.start, c.stop, c.size) for c in plan.chunks] == [(0, 2, 3), (2, 3, 4), (3, 4, 5)]


def test_few_shapes_are_compiled_for_batches_of_any_size():
    shapes = {
        (chunk.rows, chunk.size)
        for count in range(1, 3000, 7)
        for chunk in batches.plan([7] * count, 9, 100).chunks
    }
    assert len(shapes) <= 8


def test_a_model_without_a_padding_token_answers_mixed_lengths():
    """A head that averages over all tokens would count padding in."""
    one, out = BasisDirection("one"), BasisDirection("out")
    tokens = [BasisDirection("tokens", v) for v in range(3)]
    indices = [BasisDirection("indices", i) for i in range(4)]
    space = VectorSpaceWithBasis([one, out, *tokens, *indices])
    read = VectorSpaceWithBasis(tokens)
    head = AttentionHead(
        ScalarBilinear(space, space, np.zeros((space.num_dims, space.num_dims))),
        Linear(read, VectorSpaceWithBasis([out]), np.array([[0.0], [1.0], [4.0]])),
        space,
    )
    model = assemble_craft_model(
        SeriesWithResiduals([head]),
        read,
        VectorSpaceWithBasis(indices),
        VectorSpaceWithBasis([out]),
        categorical_output=False,
    )
    assert model.apply_batch([[1, 1, 2, 2], [2], [1, 2]]) == [[2.5] * 4, [4.0], [2.5] * 2]


@pytest.mark.parametrize("chunk", [1, 2**8, 2**20])
@pytest.mark.parametrize(
    ("program", "vocab"), [(SORT, (1, 2, 3)), (FRACTION, ("a", "b"))], ids=["sort", "fraction"]
)
def test_a_batch_of_mixed_lengths_answers_as_its_sequences_do(
    program, vocab, chunk, monkeypatch
):
    monkeypatch.setattr(batches, "CHUNK", chunk)
    model = compiled(program, vocab, 9)
    rng = np.random.default_rng(0)
    lengths = [9, 1, 4, 9, 2, 8, 1, 3]
    batch = [[BOS, *(vocab[i] for i in rng.integers(0, len(vocab), n))] for n in lengths]
    found = model.apply_batch(iter(map(tuple, batch)))
    assert found == [model.apply(tokens).decoded for tokens in batch]


def test_an_empty_batch_has_no_answers():
    assert compiled(SORT, (1, 2, 3), 9).apply_batch([]) == []


def test_a_wrong_sequence_is_named():
    model = compiled(SORT, (1, 2, 3), 9)
    with pytest.raises(InputError, match=r"sequence 1 of the batch: unknown token 7 at"):
        model.apply_batch([[BOS, 1], [BOS, 2, 7]])
    with pytest.raises(InputError, match="sequence 0 of the batch: the input is empty"):
        model.apply_batch([[]])
    with pytest.raises(InputError, match=r"sequence 1 .* 10 tokens"):
        model.apply_batch([[BOS, 1], [BOS, *[1] * 10]])


def test_an_edited_weight_is_seen():
    """Both copies on the device follow `params`, replaced as a whole or leaf by leaf."""
    model = compiled(SORT, (1, 2, 3), 9)
    batch = [[BOS, 3, 1, 2]]
    assert model.apply_batch(batch) == [[BOS, 1, 2, 3]]
    kept = model.params
    try:
        cut = {**kept["transformer/layer_2/attn/value"]}
        cut["w"] = np.zeros_like(cut["w"])
        for writeable in (True, False):
            cut["w"].flags.writeable = writeable
            model.params = {**kept, "transformer/layer_2/attn/value": cut}
            assert model.apply_batch(batch)[0] == model.apply(batch[0]).decoded
            assert model.apply_batch(batch) != [[BOS, 1, 2, 3]]
    finally:
        model.params = kept
    assert model.apply_batch(batch) == [[BOS, 1, 2, 3]]


def test_biases_of_ones_own_are_not_lost():
    """Such parameters cannot be pruned: the whole network runs."""
    model = compiled(FRACTION, ("a", "b"), 9)
    kept = model.params
    linear = f"transformer/layer_{model.model_config.num_layers - 1}/mlp/linear_2"
    shifted = {name: np.array(array) for name, array in kept[linear].items()}
    shifted["b"][:] = 0.25
    for array in shifted.values():
        array.flags.writeable = False
    model.params = {**kept, linear: shifted}
    try:
        assert model.pruned() is None
        plain = np.asarray(model.apply([BOS, "b", "b"]).unembedded)[0, 1:]
        encoder, model.output_encoder = model.output_encoder, None
        assert model.apply_batch([[BOS, "b", "b"]])[0][1:] == plain.tolist() == [0.25, 0.25]
        model.output_encoder = encoder
    finally:
        model.params = kept


def test_without_encoders_a_batch_holds_ids():
    model = compiled(SORT, (1, 2, 3), 9)
    encoders = model.input_encoder, model.output_encoder
    assert isinstance(encoders[0], CategoricalEncoder)
    ids = encoders[0].encode([BOS, 3, 1])
    model.input_encoder = model.output_encoder = None
    try:
        (answers,) = model.apply_batch([ids])
        with pytest.raises(InputError, match="11 tokens with BOS, but the model has 10"):
            model.apply_batch([[*ids, *[ids[1]] * 8]])
    finally:
        model.input_encoder, model.output_encoder = encoders
    assert model.output_encoder.decode(answers[1:]) == [1, 3]


def test_a_long_sequence_is_refused_though_the_others_make_up_for_it():
    model = compile_rasp_to_model(SORT, {1, 2, 3}, 9)
    model.input_encoder = model.output_encoder = None
    lengths = [11, 9, *[10] * 6]  # 8 rows of 10 on the whole
    with pytest.raises(InputError, match="11 tokens with BOS, but the model has 10"):
        model.apply_batch([[3] * n for n in lengths])


class Short(Encoder):
    """Refuses to decode more than four numbers."""

    def encode(self, inputs):
        raise NotImplementedError

    def decode(self, encodings):
        encodings = list(encodings)
        assert len(encodings) <= 4
        return [f"<{number:.2f}>" for number in encodings]


def test_a_decoder_of_ones_own_sees_no_padding():
    model = compile_rasp_to_model(FRACTION, {"a", "b"}, 9)
    model.output_encoder = Short()
    batch = [[BOS, "a", "b"], [BOS, "b"]]
    assert model.apply_batch(batch) == [[BOS, "<1.00>", "<0.50>"], [BOS, "<0.00>"]]
    assert model.apply_batch(batch) == [model.apply(tokens).decoded for tokens in batch]


def test_an_edit_behind_a_read_only_view_is_seen():
    model = compile_rasp_to_model(FRACTION, {"a", "b"}, 9)
    last = f"transformer/layer_{model.model_config.num_layers - 1}/attn/linear"
    weights = np.array(model.params[last]["w"])
    view = weights.view()
    view.flags.writeable = False
    model.params = {**model.params, last: {**model.params[last], "w": view}}
    assert model.apply_batch([[BOS, "a", "b"]]) == [[BOS, 1.0, 0.5]]
    weights[:] = 0
    assert model.apply_batch([[BOS, "a", "b"]]) == [[BOS, 0.0, 0.0]]


def test_parameters_that_cannot_change_are_sent_to_the_device_once(tmp_path):
    model = compile_rasp_to_model(FRACTION, {"a", "b"}, 9)
    for each in (model, load(model.save(tmp_path / "model"))):
        assert each.pruned() is each.pruned()


def test_answers_follow_the_shape_and_not_an_edited_configuration():
    model = compile_rasp_to_model(SORT, {1, 2, 3}, 9)
    model.model_config = dataclasses.replace(model.model_config, num_layers=1)
    assert model.apply_batch([[BOS, 3, 1]]) == [[BOS, 1, 3]]


def test_two_threads_may_share_a_model():
    model = compile_rasp_to_model(SORT, {1, 2, 3}, 9)
    batches_ = [[[BOS, *[3, 1, 2][:n]]] * 40 for n in (1, 2, 3)] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.apply_batch, batches_))
    assert found == [[[BOS, *sorted(x[1:])] for x in batch] for batch in batches_]


def test_batches_run_without_jit_and_with_64_bits():
    model = compile_rasp_to_model(FRACTION, {"a", "b"}, 9)
    batch = [[BOS, "a", "b"], [BOS, "b"]]
    for context in (jax.disable_jit(), jax.enable_x64(True)):
        with context:
            assert model.apply_batch(batch) == [[BOS, 1.0, 0.5], [BOS, 0.0]]


def test_answers_of_the_pruned_forward_are_an_ordinary_function():
    model = compiled(FRACTION, ("a", "b"), 9)
    pruned = model.pruned()
    ids = np.array([model.input_encoder.encode([BOS, *"abba"])])
    expected = np.asarray(jitted_answer(model.shape)(pruned, ids))
    np.testing.assert_allclose(expected[0, 1:], [1, 1 / 2, 1 / 3, 1 / 2], rtol=1e-6)
    both = jax.jit(jax.vmap(model.shape.answer, in_axes=(None, 0)))
    twice = both(pruned, np.stack([ids, ids]))
    np.testing.assert_allclose(twice, np.stack([expected, expected]), rtol=1e-6, atol=1e-9)
    loss = lambda p: model.shape.answer(p, ids)[0, 1:].sum()  # noqa: E731
    gradient = jax.jit(jax.grad(loss, allow_int=True))(pruned)  # column numbers are ints
    assert np.abs(gradient.layers[-1].heads[-1].value.weights).max() > 0


def test_ids_go_in_and_answers_come_out():
    model = compiled(SORT, (1, 2, 3), 9)
    batch = [[BOS, 3, 1, 2], [BOS, 2, 2, 1]] * 700
    ids = np.array([model.input_encoder.encode(tokens) for tokens in batch])
    answers = model.apply_ids(ids)
    assert answers.shape == ids.shape
    decoded = [model.output_encoder.decode(row[1:]) for row in answers.tolist()]
    assert decoded == [sorted(tokens[1:]) for tokens in batch]
    padded = np.full((2, 6), model.input_encoder.pad_encoding)
    padded[:, :4] = ids[:2]
    assert model.apply_ids(padded)[:, :4].tolist() == answers[:2].tolist()
    assert model.apply_ids(ids[:0]).shape == (0, 4)


@pytest.mark.parametrize("ids", [np.zeros(4, int), np.zeros((2, 3)), [["a"]], [[1, 2], [1]]])
def test_what_is_no_array_of_ids_is_refused(ids):
    with pytest.raises(InputError, match="ids must be an array"):
        compiled(SORT, (1, 2, 3), 9).apply_ids(ids)


def test_ids_of_too_long_sequences_are_refused():
    with pytest.raises(InputError, match="11 tokens with BOS, but the model has 10"):
        compiled(SORT, (1, 2, 3), 9).apply_ids(np.zeros((2, 11), int))


@pytest.mark.parametrize("bad", [-1, 5])
def test_an_id_without_a_token_is_refused(bad):
    ids = np.zeros((2, 3), int)
    ids[1, 2] = bad
    with pytest.raises(
        InputError, match=rf"id {bad} \(row 1, position 2\); ids go from 0 to 4"
    ):
        compiled(SORT, (1, 2, 3), 9).apply_ids(ids)


def test_without_encoders_an_id_without_a_token_is_refused_everywhere():
    model = compiled(SORT, (1, 2, 3), 9)
    encoder, model.input_encoder = model.input_encoder, None
    try:
        for call in (model.apply, lambda ids: model.apply_batch([ids])):
            with pytest.raises(InputError, match="no token has id 9"):
                call([0, 1, 9])
    finally:
        model.input_encoder = encoder


def test_no_rows_of_ids_give_no_rows_of_numbers():
    empty = compiled(FRACTION, ("a", "b"), 9).apply_ids(np.zeros((0, 4), int))
    assert (empty.shape, empty.dtype) == ((0, 4), np.float32)
    with pytest.raises(InputError, match="11 positions"):
        compiled(FRACTION, ("a", "b"), 9).apply_ids(np.zeros((0, 11), int))


@pytest.mark.parametrize(
    "what", [7, None, {BOS, 1}, frozenset([BOS])], ids=lambda what: type(what).__name__
)
def test_what_is_no_sequence_is_named(what):
    """A set has no order, so no answer would be the right one."""
    model = compiled(SORT, (1, 2, 3), 9)
    with pytest.raises(InputError, match=r"sequence 1 of the batch is .* not a sequence"):
        model.apply_batch([[BOS, 1], what])
    with pytest.raises(InputError, match=r"the input is .* not a sequence"):
        model.apply(what)


@pytest.mark.parametrize("what", [7, None, np.array(7)], ids=repr)
def test_what_is_no_batch_is_named(what):
    with pytest.raises(InputError, match=r"the batch is .*, not a list of sequences"):
        compiled(SORT, (1, 2, 3), 9).apply_batch(what)


MAPS = (rasp.tokens + 1) * 2  # no heads
FIRST = rasp.SequenceMap(
    lambda token, i: i / 4 if token > i else None, rasp.tokens, rasp.indices
)


@pytest.mark.parametrize("program", [MAPS, FIRST], ids=["token", "token_and_position"])
@pytest.mark.parametrize("chunk", [1, 2**20])
def test_a_model_without_heads_is_a_table(program, chunk, monkeypatch):
    """Looked up where the table is small, and computed where it is not."""
    monkeypatch.setattr(running, "CHUNK", chunk)
    model = compile_rasp_to_model(program, {1, 2, 3}, 9)
    table = model._on_device().table(model.shape)
    assert (table is None) == (chunk == 1)
    rng = np.random.default_rng(0)
    batch = [[BOS, *rng.integers(1, 4, n).tolist()] for n in (9, 1, 4, 9, 2)]
    found = model.apply_batch(batch)
    assert found == [model.apply(tokens).decoded for tokens in batch]
    assert [row[1:] for row in found] == [program(tokens[1:]) for tokens in batch]
    ids = np.array([model.input_encoder.encode(batch[0])])
    answers = model.apply_ids(ids)
    assert answers.shape == (1, 10)
    assert model.output_encoder.decode(answers[0].tolist())[1:] == found[0][1:]


def test_a_table_follows_the_weights_and_is_made_once():
    model = compile_rasp_to_model(MAPS, {1, 2, 3}, 4)
    assert model._on_device().table(model.shape) is model._on_device().table(model.shape)
    assert model.apply_batch([[BOS, 1, 3]]) == [[BOS, 4, 8]]
    linear = "transformer/layer_0/mlp/linear_2"
    weights = np.zeros_like(model.params[linear]["w"])
    model.params = {**model.params, linear: {**model.params[linear], "w": weights}}
    assert model._on_device().table(model.shape) is None  # the array may be edited
    assert model.apply_batch([[BOS, 1, 3]]) == [model.apply([BOS, 1, 3]).decoded]
    assert model.apply_batch([[BOS, 1, 3]]) != [[BOS, 4, 8]]


def test_a_model_with_heads_has_no_table():
    model = compiled(SORT, (1, 2, 3), 9)
    assert model._on_device().table(model.shape) is None


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled):
    model, was = compiled(SORT, (1, 2, 3), 9), gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        model.apply_batch([[BOS, 3, 1]])
        assert gc.isenabled() is enabled
        with pytest.raises(InputError):
            model.apply_batch([[BOS, 7]])
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("make", [np.array, lambda row: np.array(row, object), tuple, iter])
def test_sequences_may_be_arrays_tuples_and_iterators(make):
    model = compiled(lib.make_hist(), ("a", "b"), 9)
    batch = [[BOS, *"abba"[: n % 4 + 1]] for n in range(200)]
    expected = [[BOS, 1], [BOS, 1, 1], [BOS, 1, 2, 2], [BOS, 2, 2, 2, 2]] * 50
    assert model.apply_batch(map(make, batch)) == expected
    batch[7][1] = "c"
    with pytest.raises(InputError, match="sequence 7 of the batch: unknown token 'c'"):
        model.apply_batch(map(make, batch))


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int8])
def test_arrays_of_numbers_are_sequences(kind):
    model = compiled(SORT, (1, 2, 3), 9)
    encoder, model.input_encoder = model.input_encoder, None
    try:
        ids = np.array([encoder.encode([BOS, 3, 1, 2])] * 50, kind)
        assert model.apply_batch(ids) == model.apply_batch(ids.tolist())
        with pytest.raises(InputError, match="ids must be whole numbers"):
            model.apply_batch(ids.astype(float))
    finally:
        model.input_encoder = encoder


def check_large_batches(seeds):
    """Random programs on thousands of sequences: what the evaluator says, in every thread."""
    ran = 0
    for seed in seeds:
        drawn = sample_program(seed, nodes=(2, 9), max_seq_len=4, vocab_size=3)
        try:
            model = compile_rasp_to_model(drawn.program, drawn.vocab, 4, causal=drawn.causal)
        except CompileError:
            continue
        if sum(a.size for group in model.params.values() for a in group.values()) > 200_000:
            continue
        ran, rng = ran + 1, random.Random(seed)
        all_inputs = list(inputs(drawn.vocab, 4))
        expected = [interpreted(drawn.program, xs, drawn.causal) for xs in all_inputs]
        chosen = rng.choices(range(len(all_inputs)), k=rng.choice([500, 2047, 2049]))
        batch = [[BOS, *all_inputs[i]] for i in chosen]
        with ThreadPoolExecutor(2) as pool:
            once, twice = pool.map(model.apply_batch, [batch, batch])
        assert repr(once) == repr(twice)
        for i, found in zip(chosen, once, strict=True):
            assert found[0] == BOS
            if expected[i] is not None:
                assert len(found) == len(expected[i]) + 1
                assert all(map(same, expected[i], found[1:])), (seed, all_inputs[i])
        jax.clear_caches()
    return ran


def test_large_batches_of_random_programs_answer_as_the_evaluator_does():
    assert check_large_batches(range(8)) >= 3


@pytest.mark.heavy
def test_large_batches_of_many_random_programs_answer_as_the_evaluator_does():
    assert check_large_batches(range(1000, 1130)) >= 50
