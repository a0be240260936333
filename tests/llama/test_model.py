"""The forward pass: numbers, laws, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.llama.models import GOLDEN, golden_models
from tests.llama.running import (
    GQA,
    MHA,
    MQA,
    by_the_book,
    draw_ids,
    gentle_weights,
    make_model,
)
from tracr_lite.llama import LlamaConfig, LlamaWeights
from tracr_lite.llama.cache import empty_cache
from tracr_lite.llama.errors import LlamaError
from tracr_lite.llama.int8 import int8_rows, quantize_groups
from tracr_lite.llama.model import forward, logits
from tracr_lite.llama.runtime import load

golden = pytest.mark.parametrize("folder", golden_models(), ids=lambda folder: folder.name)
configs = pytest.mark.parametrize("config", [MHA, GQA, MQA], ids=["mha", "gqa", "mqa"])
run = jax.jit(forward, static_argnums=1)
CLOSE = 2e-5  # between two orders of summing in float32, for logits of about 1 to 10


def golden_errors(folder, file, expected, **loading):
    """The largest difference at each position that is listed."""
    wanted = np.load(folder / "expected_logits.npz")
    found = load(folder / file, **loading).logits(wanted["tokens"].tolist())
    return np.abs(found[wanted["positions"]] - wanted[expected]).max(axis=1)


@golden
@pytest.mark.parametrize(("file", "of"), [("model_v0.bin", "run_c"), ("hf", "hf")])
def test_golden_logits_of_float32(folder, file, of):
    assert golden_errors(folder, file, of).max() < 1e-4


@golden
def test_golden_logits_of_runq_c(folder):
    errors = golden_errors(folder, "model_v2.bin", "runq_c", activations="q80")
    assert np.median(errors) <= 1e-5
    assert (errors <= 1e-3).mean() >= 0.95
    assert errors.max() <= 0.2


@golden
def test_quantizing_while_loading_is_the_same_as_in_the_file(folder):
    kinds = {"model_v2.bin": None, "model_v0.bin": "int8"}
    one, two = (load(folder / file, dtype=dtype).params for file, dtype in kinds.items())
    assert all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(two)))


@golden
def test_bfloat16_is_within_a_tenth_of_the_spread_of_the_logits(folder):
    spread = np.load(folder / "expected_logits.npz")["run_c"].std()
    errors = golden_errors(folder, "model_v0.bin", "run_c", dtype="bfloat16")
    assert errors.max() < 0.1 * spread


@configs
def test_logits_are_those_of_the_book(config):
    weights, ids = gentle_weights(config), draw_ids(config, 13)
    found = make_model(config, weights).logits(ids)
    np.testing.assert_allclose(found, by_the_book(config, weights, ids), atol=CLOSE)


@configs
def test_bfloat16_is_close(config):
    ids = draw_ids(config, 13)
    exact = make_model(config).logits(ids)
    rounded = make_model(config, dtype="bfloat16").logits(ids)
    assert 0 < np.abs(exact - rounded).max() < 0.1 * exact.std()


@configs
def test_int8_is_the_dequantized_model(config):
    """`int8` with float activations computes with exactly the numbers of the file."""
    model, ids = make_model(config, dtype="int8"), draw_ids(config, 13)
    layer = model.params.layers[-1].w2
    whole = np.asarray(int8_rows(layer, jnp.arange(config.dim)))
    weights = gentle_weights(config)
    assert np.abs(whole - weights.w2[-1]).max() <= np.asarray(layer.scales).max() / 2 * 1.001
    exact = make_model(config, weights).logits(ids)
    assert 0 < np.abs(model.logits(ids) - exact).max() < 0.2 * exact.std()


def test_q80_rounds_halves_away_from_zero_and_divides_truly():
    rows = np.array([[127, 2.5, -2.5, 0.5], [0, 0, 0, 0]], np.float32)
    values, scales = jax.jit(quantize_groups, static_argnums=1)(rows[:, None], 1)
    assert values[:, 0, 0].tolist() == [[127, 3, -3, 1], [0, 0, 0, 0]]
    assert scales[:, 0, 0].tolist() == [1.0, 0.0]


@pytest.mark.skipif(
    not GOLDEN.exists(), reason="the golden files are not beside this repository"
)
def test_q80_has_the_bits_of_runq_c():
    with np.load(GOLDEN / "sampler/quantize.npz") as arrays:
        found = dict(arrays)
    for name in ("normal", "halves", "zeros"):  # "tiny" is below what XLA on CPUs keeps from 0
        groups = len(found[f"{name}_s_run"])
        parts = found[f"{name}_x"].reshape(groups, 1, -1)
        values, scales = jax.jit(quantize_groups, static_argnums=1)(parts, 1)
        assert np.array_equal(scales[:, 0, 0], found[f"{name}_s_run"])
        assert np.array_equal(values.reshape(-1), found[f"{name}_q_run"])


@pytest.mark.parametrize(
    ("config", "slots"), [(MHA, 13), (GQA, 16), (GQA, 40)], ids=["mha13", "gqa16", "gqa40"]
)
def test_prompt_and_then_token_by_token_is_one_pass(config, slots):
    """Whatever the length of the cache."""
    model, ids = make_model(config), draw_ids(config, 13)
    start, row = jnp.zeros(1, jnp.int32), jnp.asarray([ids])
    x, cache = run(model.params, config, row[:, :5], start, empty_cache(config, 1, slots))
    parts = [x]
    for i in range(5, 13):
        x, cache = run(model.params, config, row[:, i : i + 1], start, cache, jnp.int32(i))
        parts.append(x)
    found = logits(model.params, jnp.concatenate(parts, axis=1))[0]  # all passes together
    np.testing.assert_allclose(found, model.logits(ids), atol=CLOSE)


@pytest.mark.parametrize(
    ("config", "left", "right"), [(MHA, 0, 3), (GQA, 4, 0), (GQA, 2, 5), (MQA, 3, 3)]
)
def test_padding_has_no_effect(config, left, right):
    model, ids = make_model(config), draw_ids(config, 9)
    row = jnp.asarray([[7] * left + ids + [9] * right])
    cache = empty_cache(config, 1, row.shape[1])
    x, _ = run(model.params, config, row, jnp.asarray([left]), cache)
    found = logits(model.params, x)[0, left : left + 9]
    np.testing.assert_allclose(found, model.logits(ids), atol=CLOSE)


def test_grouped_queries_are_heads_with_repeated_keys_and_values():
    grouped = gentle_weights(GQA).tensors()
    shape = (GQA.n_layers, GQA.n_kv_heads, GQA.head_size, GQA.dim)
    for name in ("wk", "wv"):
        heads = grouped[name].reshape(shape).repeat(GQA.kv_repeat, axis=1)
        grouped[name] = heads.reshape(GQA.n_layers, GQA.dim, GQA.dim)
    sizes = {each: getattr(GQA, each) for each in GQA.__dataclass_fields__}
    full = LlamaConfig(**sizes | {"n_kv_heads": GQA.n_heads})
    ids = draw_ids(GQA, 11)
    repeated = make_model(full, LlamaWeights(**grouped)).logits(ids)
    np.testing.assert_allclose(repeated, make_model(GQA).logits(ids), atol=CLOSE)


@configs
def test_what_happened_inside_adds_up(config):
    model, ids = make_model(config), draw_ids(config, 9)
    found = model.apply(ids)
    np.testing.assert_allclose(found.logits, model.logits(ids), atol=CLOSE)
    stream = found.input_embeddings
    assert len(found.residuals) == len(found.layer_outputs) == 2 * config.n_layers
    for added, after in zip(found.layer_outputs, found.residuals, strict=True):
        np.testing.assert_allclose(stream + added, after, atol=1e-6)
        stream = after
    assert len(found.attn_logits) == config.n_layers
    scores = np.asarray(found.attn_logits[0])
    assert scores.shape == (1, config.n_heads, 9, 9)
    later = np.triu(np.ones((9, 9), bool), 1)
    assert (scores[..., later] == -1e30).all()
    assert (np.abs(scores[..., ~later]) < 100).all()


def test_the_forward_pass_can_be_differentiated():
    model, ids = make_model(MHA), jnp.asarray([draw_ids(MHA, 5)])

    def loss(params):
        x, _ = forward(params, MHA, ids, jnp.zeros(1, jnp.int32), empty_cache(MHA, 1, 5))
        return logits(params, x)[0, 2, 7]

    gradient = jax.jit(jax.grad(loss))(model.params).final_norm
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([], "empty"),
        ([1, 40], "token 40 at position 1"),
        ([-1], "token -1 at position 0"),
        ([1, 2.5], "2.5 at position 1"),
        ([1] * 25, "25 tokens, but the context of this model has room for 24"),
    ],
)
def test_refused_tokens(ids, words):
    with pytest.raises(LlamaError, match=words):
        make_model(MQA).logits(ids)


def test_q80_needs_int8_and_whole_groups():
    with pytest.raises(LlamaError, match="need int8"):
        make_model(MQA, activations="q80")


@pytest.mark.parametrize("odd", [{"dtype": "float16"}, {"activations": "int8"}])
def test_other_kinds_of_numbers_are_refused(odd):
    with pytest.raises(LlamaError, match="there are float32, bfloat16, int8, and float32, q80"):
        make_model(MQA, **odd)
