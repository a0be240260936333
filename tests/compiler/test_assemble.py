"""From craft models to transformers: the same numbers, in the layout that is promised."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compiler.checking import BOS, compiled
from tracr_lite.compiler import lib
from tracr_lite.compiler.assemble import assemble_craft_model
from tracr_lite.craft import bases
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis, direct_sum
from tracr_lite.craft.transformers import (
    MLP,
    AttentionHead,
    MultiAttentionHead,
    SeriesWithResiduals,
)
from tracr_lite.craft.vectorspace_fns import Linear, ScalarBilinear
from tracr_lite.rasp import rasp

T, I = rasp.tokens, rasp.indices
TOKENS = VectorSpaceWithBasis.from_values("tokens", ["a", "b", "bos", "pad"])
INDICES = VectorSpaceWithBasis.from_values("indices", range(4))
ONE = VectorSpaceWithBasis.from_names(["one"])
OUT = VectorSpaceWithBasis.from_values("out", [0, 1, 2])
WORK = VectorSpaceWithBasis.from_names(["p", "q"])
WIDE = VectorSpaceWithBasis.from_values("wide", range(7))
RNG = np.random.default_rng(0)
IDS = np.array([[2, 0, 1, 1], [2, 1, 0, 1]])


def linear(reads, writes):
    return Linear(reads, writes, RNG.normal(size=(reads.num_dims, writes.num_dims)))


def head(keys, queries, values, writes, causal=False):
    w_qk = ScalarBilinear(queries, keys, RNG.normal(size=(queries.num_dims, keys.num_dims)))
    return AttentionHead(w_qk, linear(values, writes), causal=causal)


def mlp(reads, writes, hidden=5):
    units = VectorSpaceWithBasis.from_values(f"hidden{RNG.integers(1e9)}", range(hidden))
    return MLP(linear(reads, units), linear(units, writes))


def several(*heads):
    return MultiAttentionHead(heads)


CRAFT = {  # name: blocks with or without a causal mask, layers they must take
    "one_mlp": (lambda c: [mlp(direct_sum(TOKENS, ONE), OUT)], 1),
    "one_head": (lambda c: [head(TOKENS, INDICES, TOKENS, OUT, c)], 1),
    "head_then_mlp": (lambda c: [head(TOKENS, INDICES, TOKENS, WORK, c), mlp(WORK, OUT)], 1),
    "mlp_then_head": (lambda c: [mlp(TOKENS, WORK), head(WORK, INDICES, WORK, OUT, c)], 2),
    "two_heads_in_turn": (
        lambda c: [head(TOKENS, INDICES, INDICES, WORK, c), head(WORK, TOKENS, WORK, OUT, c)],
        2,
    ),
    "heads_side_by_side": (
        lambda c: [
            several(
                head(TOKENS, INDICES, TOKENS, OUT, c),
                several(head(INDICES, INDICES, INDICES, OUT, c), head(ONE, ONE, ONE, WORK, c)),
            ),
            mlp(direct_sum(WORK, ONE), OUT),
        ],
        1,
    ),
    "values_wider_than_keys": (
        lambda c: [head(ONE, ONE, direct_sum(TOKENS, INDICES), WIDE, c), mlp(WIDE, OUT, 1)],
        1,
    ),
    "few_values_to_many": (lambda c: [head(TOKENS, TOKENS, ONE, WIDE, c), mlp(WIDE, OUT)], 1),
    "three_layers": (
        lambda c: [
            mlp(TOKENS, WORK, 2),
            mlp(WORK, WIDE, 9),
            head(WIDE, INDICES, WIDE, OUT, c),
            mlp(direct_sum(OUT, ONE), OUT),
        ],
        3,
    ),
}


def made(name, causal=False, output=OUT, categorical=True):
    blocks, _ = CRAFT[name]
    craft = SeriesWithResiduals(blocks(causal))
    model = assemble_craft_model(craft, TOKENS, INDICES, output, categorical, causal)
    return craft, model


def space_of(model, craft):
    space = bases.join_vector_spaces(craft.residual_space, TOKENS, INDICES, OUT, ONE)
    assert list(map(str, space.basis)) == model.residual_labels
    return space


both_masks = pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
every_model = pytest.mark.parametrize("name", CRAFT)


@both_masks
@every_model
def test_the_transformer_computes_what_the_craft_model_does(name, causal):
    craft, model = made(name, causal)
    out = model.forward(model.params, IDS).transformer_output
    stream = space_of(model, craft).make_vector(np.asarray(out.input_embeddings, np.float64))
    expected = craft.apply(stream)
    found = (
        space_of(model, craft)
        .make_vector(np.asarray(out.output))
        .project(expected.basis_directions)
    )
    np.testing.assert_allclose(found.magnitudes, expected.magnitudes, rtol=1e-4, atol=1e-5)


@every_model
def test_blocks_take_the_fewest_layers_of_attention_then_mlp(name):
    assert made(name)[1].model_config.num_layers == CRAFT[name][1]


@every_model
def test_names_and_shapes_are_those_of_haikus_own_init(name):
    _, model = made(name)
    forward = hk.transform(lambda ids: model.get_compiled_model()(ids, use_dropout=False))
    found = jax.eval_shape(forward.init, jax.random.PRNGKey(0), IDS)
    expected = {m: {k: (a.shape, a.dtype) for k, a in g.items()} for m, g in found.items()}
    given = {m: {k: (a.shape, a.dtype) for k, a in g.items()} for m, g in model.params.items()}
    assert given == expected


def test_parameters_are_named_and_laid_out_as_input_by_output():
    _, model = made("heads_side_by_side")
    config, d = model.model_config, len(model.residual_labels)
    keys = config.num_heads * config.key_size
    assert config.num_heads == 3
    shapes = {
        **dict.fromkeys((f"attn/{x}" for x in ("query", "key", "value")), (d, keys)),
        "attn/linear": (keys, d),
        "mlp/linear_1": (d, config.mlp_hidden_size),
        "mlp/linear_2": (config.mlp_hidden_size, d),
    }
    for name, shape in shapes.items():
        group = model.params[f"transformer/layer_0/{name}"]
        assert (group["w"].shape, group["b"].shape) == (shape, shape[1:])
    assert model.params["token_embed"]["embeddings"].shape == (4, d)
    assert model.params["pos_embed"]["embeddings"].shape == (5, d)


def test_embeddings_are_one_hots_with_a_one_and_the_zeroth_position_has_none():
    _, model = made("one_mlp")
    labels = model.residual_labels
    token, place = (model.params[k]["embeddings"] for k in ("token_embed", "pos_embed"))
    hot = [sorted(labels[i] for i in np.flatnonzero(row)) for row in token]
    assert hot == [["one", f"tokens:{t}"] for t in ("a", "b", "bos", "pad")]
    assert not place[0].any()
    hot = [[labels[i] for i in np.flatnonzero(row)] for row in place[1:]]
    assert hot == [[f"indices:{i}"] for i in range(4)]


def test_heads_that_a_layer_lacks_are_zeros():
    craft = SeriesWithResiduals(
        [
            several(*(head(TOKENS, INDICES, TOKENS, WORK) for _ in range(3))),
            head(WORK, TOKENS, WORK, OUT),
        ]
    )
    model = assemble_craft_model(craft, TOKENS, INDICES, OUT, True)
    size, attn = model.model_config.key_size, "transformer/layer_1/attn"
    assert model.params[f"{attn}/query"]["w"][:, :size].any()
    for part in ("query", "key", "value"):
        assert not model.params[f"{attn}/{part}"]["w"][:, size:].any()
    assert not model.params[f"{attn}/linear"]["w"][size:].any()


def test_without_encoders_ids_go_in_and_out():
    _, model = made("head_then_mlp")
    out = model.apply([2, 0, 1])
    assert (model.input_encoder, model.output_encoder) == (None, None)
    assert out.decoded == np.asarray(out.unembedded)[0].tolist()
    assert set(out.decoded) <= {0, 1, 2}


def test_categorical_output_is_the_largest_of_its_directions():
    _, model = made("one_head")
    out = model.forward(model.params, IDS)
    columns = [model.residual_labels.index(f"out:{i}") for i in range(3)]
    stream = np.asarray(out.transformer_output.output)
    np.testing.assert_array_equal(out.unembedded_output, stream[..., columns].argmax(-1))


def number_model(output):
    writes = mlp(TOKENS, VectorSpaceWithBasis([BasisDirection("out")]))
    return assemble_craft_model(SeriesWithResiduals([writes]), TOKENS, INDICES, output, False)


def test_numerical_output_is_the_number_itself():
    model = number_model(VectorSpaceWithBasis([BasisDirection("out")]))
    out = model.forward(model.params, IDS)
    column = model.residual_labels.index("out")
    stream = np.asarray(out.transformer_output.output)[..., column]
    np.testing.assert_array_equal(out.unembedded_output, stream)


def test_numerical_output_has_one_direction():
    with pytest.raises(ValueError, match=r"one direction; got out:0, out:1, out:2"):
        number_model(OUT)


def test_parameters_are_read_only_until_they_are_replaced():
    _, model = made("one_mlp")
    with pytest.raises(ValueError, match="read-only"):
        model.params["token_embed"]["embeddings"][0] = 1.0
    before = model.apply([2, 0]).transformer_output
    model.params = jax.tree_util.tree_map(lambda x: x * 2, model.params)
    assert not np.allclose(model.apply([2, 0]).transformer_output, before)


# What the outputs hold

MODEL = compiled(lib.make_reverse(T), ("a", "b", "c"), 6)
SORT = compiled(lib.make_sort(T, T, max_seq_len=4, min_key=1), (1, 2), 4)


@pytest.mark.parametrize("model", [MODEL, SORT], ids=["reverse", "sort"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_outputs_have_the_promised_shapes(model, size):
    token = model.input_encoder.basis[0].value
    out = model.apply([BOS] + [token] * size)
    b, t, d, layers = 1, size + 1, len(model.residual_labels), model.model_config.num_layers
    assert (len(out.decoded), out.decoded[0]) == (t, BOS)
    assert out.unembedded.shape == (b, t)
    assert [x.shape for x in out.residuals] == [(b, t, d)] * (2 * layers)
    assert [x.shape for x in out.layer_outputs] == [(b, t, d)] * (2 * layers)
    heads = model.model_config.num_heads
    assert [x.shape for x in out.attn_logits] == [(b, heads, t, t)] * layers
    assert out.transformer_output.shape == out.input_embeddings.shape == (b, t, d)
    assert all(isinstance(x, jax.Array) for x in (out.unembedded, *out.residuals))


def test_residuals_are_sums_of_what_the_half_layers_add():
    out = MODEL.apply([BOS, *"abca"])
    stream = out.input_embeddings
    for added, residual in zip(out.layer_outputs, out.residuals, strict=True):
        stream = stream + added
        np.testing.assert_allclose(stream, residual, atol=1e-6)
    np.testing.assert_array_equal(out.residuals[-1], out.transformer_output)


def test_the_forks_extras_are_there():
    matrix, labels = MODEL.unembedding
    out = MODEL.apply([BOS, *"cab"])
    scores = np.asarray(out.transformer_output) @ matrix
    assert scores.argmax(-1).tolist() == np.asarray(out.unembedded).tolist()
    assert [label.rsplit(":", 1)[1] for label in labels] == ["a", "b", "c"]
    assert [d.value for d in MODEL.output_encoder.basis] == ["a", "b", "c"]
    assert len(MODEL.graph.nodes) == len(MODEL.graph.labels) > 4
    assert MODEL.graph.labels[MODEL.graph.root] in MODEL.nodes


PROGRAMS = {
    "reverse": (lib.make_reverse(T), ("a", "b", "c"), 5),
    "hist": (lib.make_hist(), ("a", "b"), 5),
    "dyck": (lib.make_shuffle_dyck(["()"]), ("(", ")"), 6),
    "frac_prevs": (lib.make_frac_prevs(T == "a"), ("a", "b"), 5),
}


@both_masks
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_craft_model_of_a_compiled_program_computes_the_same(name, causal):
    if name == "reverse" and causal:
        name = "hist"
    model = compiled(*PROGRAMS[name], causal)
    out = model.apply([BOS, *(PROGRAMS[name][1] * 3)[:5]])
    craft = model.craft_model
    columns = [model.residual_labels.index(x) for x in map(str, craft.residual_space.basis)]
    stream = np.asarray(out.input_embeddings, np.float64)[..., columns]
    found = craft.apply(craft.residual_space.make_vector(stream)).magnitudes
    expected = np.asarray(out.transformer_output)[..., columns]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_every_node_says_where_it_is():
    program = lib.make_sort(T, T, max_seq_len=4, min_key=1)
    model = compiled(program, (1, 2), 4)
    place, config = model.node(program), model.model_config
    assert place.directions == tuple(model.residual_labels[i] for i in place.columns)
    assert set(place.directions) == set(model.unembedding[1])
    for node in model.nodes.values():
        assert all(layer < config.num_layers for layer, _ in (*node.heads, *node.neurons))
        assert all(number < config.num_heads for _, number in node.heads)
        assert all(r.stop <= config.mlp_hidden_size for _, r in node.neurons)
    heads = [place for node in model.nodes.values() for place in node.heads]
    assert heads
    with pytest.raises(KeyError, match="no part of the compiled program"):
        model.node(lib.make_hist())


# Forward is an ordinary function of parameters and token ids


def ids_of(model, *sequences):
    return np.array([model.input_encoder.encode([BOS, *xs]) for xs in sequences])


def test_forward_is_the_same_under_jit():
    ids = ids_of(MODEL, "abc", "cca")
    plain = MODEL.forward(MODEL.params, ids).unembedded_output
    np.testing.assert_array_equal(
        jax.jit(MODEL.forward)(MODEL.params, ids).unembedded_output, plain
    )
    assert MODEL.output_encoder.decode(plain[0].tolist())[1:] == ["c", "b", "a"]


def test_forward_is_the_same_under_vmap():
    ids = ids_of(MODEL, "abc", "cca", "bab")
    plain = MODEL.forward(MODEL.params, ids).unembedded_output
    one = jax.vmap(lambda row: MODEL.forward(MODEL.params, row[None]).unembedded_output[0])
    np.testing.assert_array_equal(one(ids), plain)


def test_forward_has_the_gradient_of_its_differences():
    model = compiled(lib.make_frac_prevs(T == "a"), ("a", "b"), 4)
    ids = ids_of(model, "abba")
    weights = jnp.array([0.0, 1, -2, 3, 5])

    def loss(params):
        return (model.forward(params, ids).unembedded_output[0] * weights).sum()

    params = jax.tree_util.tree_map(jnp.asarray, model.params)
    gradient = jax.grad(loss)(params)
    assert jax.tree_util.tree_structure(gradient) == jax.tree_util.tree_structure(params)
    rng = np.random.default_rng(0)
    step = jax.tree_util.tree_map(
        lambda x: jnp.array(rng.normal(size=x.shape), x.dtype), params
    )
    slope = sum(
        jax.tree_util.tree_leaves(
            jax.tree_util.tree_map(lambda g, s: (g * s).sum(), gradient, step)
        )
    )
    _, exact = jax.jvp(loss, (params,), (step,))
    assert np.isfinite(slope)
    assert slope != 0
    np.testing.assert_allclose(slope, exact, rtol=1e-3)


def test_forward_of_a_model_with_changed_parameters_changes():
    ids = ids_of(MODEL, "abc")
    zeros = jax.tree_util.tree_map(np.zeros_like, MODEL.params)
    assert not np.asarray(MODEL.forward(zeros, ids).transformer_output.output).any()


# Padding


@both_masks
@pytest.mark.parametrize("name", ["hist", "frac_prevs", "dyck"])
@pytest.mark.parametrize("extra", [1, 2, 3])
def test_padding_changes_nothing(name, causal, extra):
    program, vocab, n = PROGRAMS[name]
    model = compiled(program, vocab, n, causal)
    xs = [vocab[0], vocab[1]]
    ids = ids_of(model, xs)
    padding = np.full((1, extra), model.input_encoder.pad_encoding)
    plain = model.forward(model.params, ids)
    padded = model.forward(model.params, np.concatenate([ids, padding], axis=1))
    found, expected = (np.asarray(x.unembedded_output)[0, 1:3] for x in (padded, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert model.apply([BOS, *xs]).decoded == model.apply_batch([[BOS, *xs], [BOS] + xs * 2])[0]


def test_a_batch_answers_as_its_sequences_do_one_by_one():
    batch = [[BOS, *xs] for xs in ("a", "abcabc", "bb", "cab", "a", "cccccc")]
    assert MODEL.apply_batch(batch) == [MODEL.apply(xs).decoded for xs in batch]
    assert MODEL.predict(batch[3]) == ["b", "a", "c"]


def test_the_column_of_a_number_is_not_called_none():
    before = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LT)
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    count = rasp.SelectorWidth(same).named("count")
    mean = rasp.numerical(rasp.Aggregate(before, count).named("mean"))
    labels = compiled(mean, ("a", "b"), 3).residual_labels
    own = [label for label in labels if label.startswith(("count", "mean"))]
    assert own == ["count_3", "count_3:1/(1+width)", "mean_4", "mean_4:None"]
