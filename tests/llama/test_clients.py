"""Other people's programs read what we write, and we read what they write.

pip install 'tracr_lite[clients]'     the first two need it; safetensors is always there
"""

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from tests.llama.forward import forward
from tests.llama.models import (
    CONFIG,
    SHARED,
    golden_models,
    make_weights,
    needs_golden,
    same_bits,
)
from tracr_lite.llama import (
    LlamaConfig,
    Target,
    convert,
    load,
    load_checkpoint,
    save_checkpoint,
)

GROUPED = LlamaConfig(48, 40, 2, 4, 2, 30, 16, False)  # heads of 12


@pytest.fixture
def transformers(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = pytest.importorskip("transformers", reason="needs transformers")
    found.utils.logging.set_verbosity_error()
    found.utils.logging.disable_progress_bar()
    return found


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs PyTorch")


def scaled(config, dtype="float32"):
    """Weights whose activations stay of moderate size."""
    weights = make_weights(config, 8, dtype)
    for tensor in weights.tensors().values():
        tensor *= tensor.dtype.type(0.2)
    return weights


def logits_of(transformers, torch, folder, tokens):
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return model, model(torch.tensor([tokens])).logits[0].numpy()


MODELS = [GROUPED, SHARED, LlamaConfig(32, 24, 1, 4, 1, 20, 9, True, 5e5, 1e-6)]


@pytest.mark.parametrize("config", MODELS, ids=["grouped", "shared", "other theta"])
@pytest.mark.parametrize("size", [None, 4000], ids=["single", "sharded"])
def test_transformers_computes_the_same_logits(tmp_path, transformers, torch, config, size):
    weights, tokens = scaled(config), [1, 7, 3, 3, 9, 0]
    save_checkpoint(tmp_path / "hf", config, weights, Target("hf", shard_bytes=size))
    model, logits = logits_of(transformers, torch, tmp_path / "hf", tokens)
    assert model.config.tie_word_embeddings == config.shared_classifier
    assert model.config.rope_parameters["rope_theta"] == config.rope_theta
    np.testing.assert_allclose(logits, forward(config, weights, tokens), atol=1e-4)


@pytest.mark.parametrize("config", [GROUPED, SHARED], ids=["grouped", "shared"])
def test_transformers_computes_the_same_logits_from_our_bfloat16(
    tmp_path, transformers, torch, config
):
    weights, tokens = scaled(config), [1, 7, 3, 3, 9, 0]
    save_checkpoint(tmp_path / "v0", config, weights, "v0")
    convert(tmp_path / "v0", tmp_path / "hf", Target("hf", dtype="bfloat16", shard_bytes=4000))
    _, logits = logits_of(transformers, torch, tmp_path / "hf", tokens)
    for rounded in load(tmp_path / "hf").logits(tokens), logits:
        assert np.abs(rounded - forward(config, weights, tokens)).max() > 1e-4
    np.testing.assert_allclose(logits, load(tmp_path / "hf").logits(tokens), atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("size", ["5GB", "4KB"], ids=["single", "sharded"])
@pytest.mark.parametrize("tied", [False, True], ids=["own", "tied"])
def test_what_transformers_saves_is_read(tmp_path, transformers, torch, dtype, size, tied):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        **{"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 11},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 20},
        **{"max_position_embeddings": 16, "rms_norm_eps": 1e-5, "tie_word_embeddings": tied},
    )
    model = transformers.LlamaForCausalLM(config).to(getattr(torch, dtype))
    model.save_pretrained(tmp_path / "hf", max_shard_size=size)
    ours, tokens = load_checkpoint(tmp_path / "hf"), [1, 5, 5, 2]
    assert {ours.source.dtype(n, 0).name for n in ours.weights.tensors()} == {dtype}
    with torch.no_grad():
        wanted = model.float()(torch.tensor([tokens])).logits[0].numpy()
    np.testing.assert_allclose(forward(ours.config, ours.weights, tokens), wanted, atol=1e-4)


@pytest.mark.parametrize("tied", [False, True], ids=["own", "tied"])
def test_single_files_are_those_of_transformers(tmp_path, transformers, torch, tied):
    config = SHARED if tied else CONFIG
    save_checkpoint(tmp_path / "ours", config, make_weights(config), "hf")
    model, _ = logits_of(transformers, torch, tmp_path / "ours", [1])
    model.save_pretrained(tmp_path / "theirs")
    ours, theirs = (tmp_path / each / "model.safetensors" for each in ("ours", "theirs"))
    assert ours.read_bytes() == theirs.read_bytes()
    found, kept = (json.loads((p.parent / "config.json").read_text()) for p in (ours, theirs))
    assert {key: kept[key] for key in found.keys() & kept.keys()} == {
        key: found[key] for key in found.keys() & kept.keys()
    }


@pytest.mark.parametrize("size", [3000, 1500], ids=["all fit", "some are larger"])
def test_shards_are_those_of_transformers(tmp_path, transformers, torch, size):
    """Matrices of 2048 bytes: with files of 1500, each is alone."""
    target = Target("hf", shard_bytes=size)
    save_checkpoint(tmp_path / "ours", CONFIG, make_weights(CONFIG), target)
    model, _ = logits_of(transformers, torch, tmp_path / "ours", [1])
    model.save_pretrained(tmp_path / "theirs", max_shard_size=size)
    names = {path.name for path in (tmp_path / "theirs").glob("model*")}
    assert {path.name for path in (tmp_path / "ours").glob("model*")} == names
    for name in names:
        assert (tmp_path / "ours" / name).read_bytes() == (
            tmp_path / "theirs" / name
        ).read_bytes()


def test_generation_by_transformers_follows_the_same_logits(tmp_path, transformers, torch):
    weights = scaled(GROUPED)
    save_checkpoint(tmp_path / "bin", GROUPED, weights, "v0")
    convert(tmp_path / "bin", tmp_path / "hf", "hf")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf")
    found = model.generate(
        torch.tensor([[1]]),
        max_new_tokens=6,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )[0].tolist()
    for end in range(1, len(found)):
        assert forward(GROUPED, weights, found[:end])[-1].argmax() == found[end]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_safetensors_reads_our_files(tmp_path, dtype):
    save_checkpoint(tmp_path / "hf", SHARED, make_weights(SHARED, 9, dtype), "hf")
    found = safetensors.numpy.load_file(tmp_path / "hf" / "model.safetensors")
    weights = make_weights(SHARED, 9, dtype)
    assert (found["model.embed_tokens.weight"] == weights.token_embedding).all()
    assert (found["model.layers.1.mlp.down_proj.weight"] == weights.w2[1]).all()
    with safetensors.safe_open(tmp_path / "hf" / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}


def test_safetensors_reads_bfloat16_through_torch(tmp_path, torch):
    from safetensors.torch import load_file

    weights = make_weights(SHARED, 9, "bfloat16")
    save_checkpoint(tmp_path / "hf", SHARED, weights, "hf")
    found = load_file(tmp_path / "hf" / "model.safetensors")["model.norm.weight"]
    assert (found.float().numpy() == weights.final_norm.astype(np.float32)).all()


def test_we_read_what_safetensors_writes(tmp_path):
    save_checkpoint(tmp_path / "hf", CONFIG, make_weights(CONFIG), "hf")
    path = tmp_path / "hf" / "model.safetensors"
    before, found = path.read_bytes(), safetensors.numpy.load_file(path)
    safetensors.numpy.save_file(found, path, metadata={"format": "pt"})
    assert path.read_bytes() == before
    assert same_bits(load_checkpoint(tmp_path / "hf").weights, make_weights(CONFIG))


@needs_golden
@pytest.mark.parametrize("folder", golden_models(), ids=lambda path: path.name)
@pytest.mark.parametrize("name", ["model_v0.bin", "hf"])
def test_golden_logits(folder, name):
    model = load_checkpoint(folder / name)
    with np.load(folder / "expected_logits.npz") as found:
        logits = forward(model.config, model.weights, found["tokens"])[found["positions"]]
        wanted = found["hf" if name == "hf" else "run_c"]
        np.testing.assert_allclose(logits, wanted, atol=1e-4)


@needs_golden
@pytest.mark.parametrize("folder", golden_models(), ids=lambda path: path.name)
def test_golden_models_converted_for_transformers(tmp_path, transformers, torch, folder):
    convert(folder / "model_v0.bin", tmp_path / "hf", "hf")
    with np.load(folder / "expected_logits.npz") as found:
        tokens = found["tokens"].tolist()
        _, logits = logits_of(transformers, torch, tmp_path / "hf", tokens)
        np.testing.assert_allclose(logits[found["positions"]], found["run_c"], atol=1e-4)
