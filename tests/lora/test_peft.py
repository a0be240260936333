"""PEFT's files and our Llama: folders written here, by the book, without PEFT."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.llama.running import GQA, MQA, by_the_book, draw_ids, gentle_weights, make_model
from tests.lora.weights import assert_no_delta
from tracr_lite.llama import LlamaWeights
from tracr_lite.llama.cache import empty_cache
from tracr_lite.llama.formats.hf_names import from_hf, to_hf
from tracr_lite.llama.model import forward, logits
from tracr_lite.lora import (
    Adapter,
    EmptyNode,
    LoraError,
    LoraWeight,
    adapter_of,
    attach,
    init_lora_parameters,
    make_lora_specs,
    use_implicit_args,
)
from tracr_lite.lora.peft import from_llama, load_peft, save_peft, to_llama

MODULES = {
    "wq": "self_attn.q_proj",
    "wk": "self_attn.k_proj",
    "wv": "self_attn.v_proj",
    "wo": "self_attn.o_proj",
    "w1": "mlp.gate_proj",
    "w2": "mlp.down_proj",
    "w3": "mlp.up_proj",
}
PREFIX = "base_model.model."


def write(folder, tensors, **config):
    folder.mkdir(exist_ok=True)
    save_file(
        {PREFIX + name: x for name, x in tensors.items()}, folder / "adapter_model.safetensors"
    )
    known = {"peft_type": "LORA", "r": 2, "lora_alpha": 3, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps({**known, **config}))
    return folder


def random_folder(folder, config, chosen, seed=0, **options):
    """A folder for the chosen tensors, and the weights with it merged, by the definition."""
    rng = np.random.default_rng(seed)
    weights = {n: np.array(x) for n, x in gentle_weights(config).tensors().items()}
    tensors = {}
    for name in chosen:
        for layer in range(config.n_layers):
            module = f"model.layers.{layer}.{MODULES[name]}"
            outs, ins = weights[name][layer].shape
            rank = options.get("rank_pattern", {}).get(MODULES[name].split(".")[1], 2)
            a = rng.standard_normal((rank, ins)).astype(np.float32)
            b = rng.standard_normal((outs, rank)).astype(np.float32) / 4
            tensors[f"{module}.lora_A.weight"], tensors[f"{module}.lora_B.weight"] = a, b
            alpha = options.get("alpha_pattern", {}).get(MODULES[name].split(".")[1], 3)
            scale = alpha / (np.sqrt(rank) if options.get("use_rslora") else rank)
            theirs = to_hf(config, name, weights[name][layer]) + scale * b @ a
            weights[name][layer] = from_hf(config, name, theirs)
    return write(folder, tensors, **options), LlamaWeights(**weights)


def run(model):
    def scores(params, tokens):
        cache = empty_cache(model.config, 1, tokens.shape[1])
        x, _ = forward(params, model.config, tokens, jnp.zeros(1, jnp.int32), cache)
        return logits(params, x)[0]

    return use_implicit_args(scores, strict=True)


CASES = [
    pytest.param(["wq", "wv"], {}, id="queries and values"),
    pytest.param(["wk"], {"use_rslora": True}, id="keys, rank-stabilised"),
    pytest.param(["w1", "w2", "w3", "wo"], {"alpha_pattern": {"up_proj": 7}}, id="alphas"),
    pytest.param(list(MODULES), {"rank_pattern": {"q_proj": 4, "down_proj": 1}}, id="ranks"),
]


@pytest.mark.parametrize(("chosen", "options"), CASES)
@pytest.mark.parametrize("config", [GQA, MQA], ids=["grouped", "multi-query"])
def test_a_folder_by_peft_runs_on_our_llama(tmp_path, config, chosen, options):
    folder, merged = random_folder(tmp_path / "a", config, chosen, **options)
    model = make_model(config)
    params = attach(model.params, to_llama(load_peft(folder), config))
    tokens = draw_ids(config, 7)
    got = jax.jit(run(model))(params, jnp.array([tokens]))
    np.testing.assert_allclose(got, by_the_book(config, merged, tokens), atol=2e-4)
    assert np.abs(np.asarray(got) - model.logits(tokens)).max() > 0.01


def test_the_dense_change_is_not_built_in_our_llama(tmp_path):
    folder, _ = random_folder(tmp_path / "a", GQA, list(MODULES))
    model = make_model(GQA)
    params = attach(model.params, to_llama(load_peft(folder), GQA))
    assert_no_delta(run(model), params, jnp.array([[1, 5, 7]]))
    assert_no_delta(run(model), params, jnp.array([[1]]))


def test_training_on_our_llama_and_back_to_peft(tmp_path):
    model = make_model(GQA)
    spec = make_lora_specs(model.params, {"wqkv": 2, "w2": 3})
    params = init_lora_parameters(model.params, spec)
    tokens = jnp.array([draw_ids(GQA, 6)])

    def loss(params):
        scores = jax.nn.log_softmax(run(model)(params, tokens))
        return -scores[jnp.arange(5), tokens[0, 1:]].mean()

    gradients = jax.jit(jax.grad(loss))(params)
    params = jax.tree.map(lambda p, g: p - g, params, gradients)
    adapter = adapter_of(params)
    save_peft(tmp_path, from_llama(adapter, GQA), "base")
    again = to_llama(load_peft(tmp_path), GQA)
    for name, weight in adapter.weights.items():
        np.testing.assert_allclose(again.weights[name].delta(), weight.delta(), atol=1e-6)


def test_there_and_back_is_the_same_to_the_bit(tmp_path):
    folder, _ = random_folder(tmp_path / "a", GQA, list(MODULES))
    adapter = load_peft(folder)
    save_peft(tmp_path / "b", from_llama(to_llama(adapter, GQA), GQA), "base")
    again = load_peft(tmp_path / "b")
    assert jax.tree.structure(again) == jax.tree.structure(adapter)
    one, two = (load_file(tmp_path / x / "adapter_model.safetensors") for x in "ab")
    assert one.keys() == two.keys()
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)


def test_scales_that_differ_within_a_joined_matrix_go_into_its_factors(tmp_path):
    options = {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"v_proj": 1}}
    folder, _ = random_folder(tmp_path / "a", GQA, list(MODULES), **options)
    adapter = load_peft(folder)
    again = from_llama(to_llama(adapter, GQA), GQA)
    assert again.ranks == adapter.ranks
    for name, weight in adapter.weights.items():
        np.testing.assert_allclose(again.weights[name].delta(), weight.delta(), atol=1e-6)


def test_embedding_and_output_of_untied_models():
    rng = np.random.default_rng(0)
    weights = {
        "model.embed_tokens": LoraWeight(
            EmptyNode, jnp.array(rng.random((2, 16))), jnp.array(rng.random((40, 2))), 3.0
        ),
        "lm_head": LoraWeight(
            EmptyNode, jnp.array(rng.random((2, 40))), jnp.array(rng.random((16, 2))), 3.0
        ),
    }
    ours = to_llama(Adapter(weights), MQA)
    assert ours.weights.keys() == {"embedding", "classifier"}
    attach(make_model(MQA).params, ours)
    back = from_llama(ours, MQA)
    for name, weight in weights.items():
        np.testing.assert_array_equal(back.weights[name].a, weight.a)
        np.testing.assert_array_equal(back.weights[name].b, weight.b)
    with pytest.raises(LoraError, match="one matrix for embedding and output"):
        to_llama(Adapter(weights), GQA)
    with pytest.raises(LoraError, match="no counterpart for embedding; this model"):
        from_llama(Adapter({"embedding": ours.weights["embedding"]}), GQA)


def test_modules_trained_whole(tmp_path):
    norm = np.arange(16, dtype=np.float32)
    tensors = {"model.layers.0.input_layernorm.weight": norm, "model.norm.weight": norm}
    adapter = load_peft(write(tmp_path / "a", tensors))
    ours = to_llama(adapter, MQA)
    assert ours.full.keys() == {"layers/0/attention_norm", "final_norm"}
    attach(make_model(MQA).params, ours)
    save_peft(tmp_path / "b", from_llama(ours, MQA))
    assert load_peft(tmp_path / "b").full.keys() == adapter.full.keys()
    config = json.loads((tmp_path / "b" / "adapter_config.json").read_text())
    assert config["modules_to_save"] == ["model.layers.0.input_layernorm", "model.norm"]


PAIR = {
    "x.lora_A.weight": np.ones((2, 4), np.float32),
    "x.lora_B.weight": np.ones((5, 2), np.float32),
}
STRANGE = [
    pytest.param({"use_dora": True}, "use_dora is True", id="dora"),
    pytest.param({"bias": "all"}, "bias is 'all'", id="bias"),
    pytest.param({"peft_type": "IA3"}, "peft_type is 'IA3', not 'LORA'", id="type"),
    pytest.param({"layer_replication": [[0, 2]]}, "layer_replication", id="replication"),
    pytest.param(
        {"init_lora_weights": "pissa_niter_4"}, "belongs to a changed base", id="pissa"
    ),
    pytest.param({"something_new": 1}, "something_new is 1", id="unknown"),
    pytest.param({"lora_alpha": "3"}, "is '3', not a number", id="alpha"),
    pytest.param({"alpha_pattern": {"(": 3}}, r"'\(' is no regular expression", id="pattern"),
    pytest.param({"rank_pattern": ["x"]}, r"rank_pattern is \['x'\], no table", id="table"),
    pytest.param({"r": 7}, "x has rank 2, but adapter_config.json says 7", id="rank"),
    pytest.param({"rank_pattern": {"x": 3}}, "x has rank 2, but", id="rank of a pattern"),
]


@pytest.mark.parametrize(("config", "text"), STRANGE)
def test_configurations_that_mean_something_else_are_refused(tmp_path, config, text):
    with pytest.raises(LoraError, match=text):
        load_peft(write(tmp_path / "a", PAIR, **config))


def test_all_that_is_wrong_with_a_configuration_is_listed(tmp_path):
    with pytest.raises(LoraError, match=r"(?s)lora_bias is True.*use_dora.*bias is 'all'"):
        load_peft(write(tmp_path / "a", PAIR, use_dora=True, bias="all", lora_bias=True))


TENSORS = [
    pytest.param({"x.lora_A.weight": PAIR["x.lora_A.weight"]}, "x has lora_A only", id="half"),
    pytest.param({**PAIR, "x.lora_B.weight": np.ones((2, 5))}, "do not fit", id="shapes"),
    pytest.param({"x.lora_magnitude_vector": np.ones(2)}, "is not understood", id="strange"),
    pytest.param({}, "has no tensors of an adapter", id="empty"),
    pytest.param({n: x.astype(int) for n, x in PAIR.items()}, "must be floats", id="integers"),
]


@pytest.mark.parametrize(("tensors", "text"), TENSORS)
def test_tensors_that_are_no_adapter_are_refused(tmp_path, tensors, text):
    with pytest.raises(LoraError, match=text):
        load_peft(write(tmp_path / "a", tensors))


def test_folders_without_a_file_are_refused(tmp_path):
    with pytest.raises(LoraError, match=r"adapter_config.json cannot be read"):
        load_peft(tmp_path)
    write(tmp_path, PAIR)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(LoraError, match="a pickle, which could run code"):
        load_peft(tmp_path)


def test_modules_the_model_has_not_are_refused(tmp_path):
    with pytest.raises(LoraError, match="no counterpart for x"):
        to_llama(load_peft(write(tmp_path / "a", PAIR)), MQA)
    wrong = {f"model.layers.0.self_attn.q_proj.{n[2:]}": x for n, x in PAIR.items()}
    with pytest.raises(LoraError, match="an adapter from 4 to 5 for a matrix from 16 to 16"):
        to_llama(load_peft(write(tmp_path / "a", wrong)), MQA)
    with pytest.raises(LoraError, match="no counterpart for layers/9/wo"):
        from_llama(Adapter({"layers/9/wo": LoraWeight(EmptyNode, PAIR, PAIR)}), MQA)


def test_stacked_factors_have_no_place_in_peft(tmp_path):
    weight = LoraWeight(EmptyNode, jnp.ones((3, 2, 4)), jnp.ones((3, 5, 2)))
    with pytest.raises(LoraError, match="factors of 3 axes"):
        save_peft(tmp_path, Adapter({"x": weight}))
