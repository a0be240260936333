"""Laws of saving and converting: what is kept is kept to the bit."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama.models import (
    CONFIG,
    FLOATS,
    SHARED,
    configs,
    golden_models,
    make_weights,
    needs_golden,
    same_bits,
)
from tracr_lite.llama import LlamaWeights, Target, convert, load_checkpoint, save_checkpoint
from tracr_lite.llama.formats.quantize import quantize
from tracr_lite.llama.weights import NORMS, to_float32


def quantized(weights, group=8):
    """The same model with its matrices in Q8_0."""
    return LlamaWeights(
        **{
            name: tensor if name in NORMS else quantize(tensor, group)
            for name, tensor in weights.tensors().items()
        }
    )


def as_float32(weights):
    return LlamaWeights(**{name: to_float32(t) for name, t in weights.tensors().items()})


def content(path):
    """The bytes of a checkpoint, file by file."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [each.read_bytes() for each in files]


@settings(max_examples=30, deadline=None)
@given(configs(), st.sampled_from(FLOATS), st.integers(1, 4000))
def test_save_then_load_is_the_same_bits_for_folders(tmp_path_factory, config, dtype, shard):
    path = tmp_path_factory.mktemp("law") / "hf"
    weights = make_weights(config, 1, dtype)
    save_checkpoint(path, config, weights, Target("hf", shard_bytes=shard))
    model = load_checkpoint(path)
    assert model.config == config
    assert same_bits(model.weights, weights)


@settings(max_examples=30, deadline=None)
@given(configs(groups=True), st.booleans())
def test_save_then_load_is_the_same_bits_for_q80(tmp_path_factory, config, historical):
    path = tmp_path_factory.mktemp("law") / "model.bin"
    weights = quantized(make_weights(config, 2))
    format = "v1-q80" if historical and config.shared_classifier else "v2"
    written = save_checkpoint(path, config, weights, format)
    model = load_checkpoint(path)
    assert (model.config, model.group_size, written.errors) == (config, 8, {})
    assert same_bits(model.weights, weights)


@pytest.mark.parametrize("chain", list(itertools.permutations(["v1", "hf", "v0"])), ids=str)
@pytest.mark.parametrize("config", [CONFIG, SHARED], ids=["own", "shared"])
def test_chains_of_float_formats_return_to_the_same_bytes(tmp_path, chain, config):
    """Tables are computed alike each time, so v0 is reproduced as a whole."""
    first, last = tmp_path / "first", tmp_path / "last"
    save_checkpoint(first, config, make_weights(config), chain[0])
    here = first
    for number, format in enumerate([*chain[1:], chain[0]]):
        here, before = tmp_path / f"step{number}", here
        convert(before, here, format)
    last = here
    assert content(last) == content(first)


def test_chains_of_quantized_formats_return_to_the_same_bytes(tmp_path):
    save_checkpoint(tmp_path / "1", SHARED, make_weights(SHARED), "v2")
    convert(tmp_path / "1", tmp_path / "2", "v1-q80")
    written = convert(tmp_path / "2", tmp_path / "3", "v2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()
    assert (tmp_path / "1").read_bytes() != (tmp_path / "2").read_bytes()
    assert written.errors == {}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("format", ["v0", "v1"])
def test_halves_become_float32_exactly_and_return(tmp_path, dtype, format):
    weights = make_weights(CONFIG, 3, dtype)
    save_checkpoint(tmp_path / "hf", CONFIG, weights, "hf")
    written = convert(tmp_path / "hf", tmp_path / "bin", format)
    assert written.errors == {}
    assert same_bits(load_checkpoint(tmp_path / "bin").weights, as_float32(weights))
    convert(tmp_path / "bin", tmp_path / "again", Target("hf", dtype=dtype))
    assert content(tmp_path / "again") == content(tmp_path / "hf")


@pytest.mark.parametrize("target", ["v0", "v1", "hf"])
def test_quantized_files_become_the_products(tmp_path, target):
    save_checkpoint(tmp_path / "q", CONFIG, make_weights(CONFIG), "v2")
    written = convert(tmp_path / "q", tmp_path / "out", target)
    wanted = as_float32(load_checkpoint(tmp_path / "q").weights)
    assert written.errors == {}
    assert same_bits(load_checkpoint(tmp_path / "out").weights, wanted)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounding_is_reported(tmp_path, dtype):
    weights = make_weights(CONFIG, 4)
    written = save_checkpoint(tmp_path / "hf", CONFIG, weights, Target("hf", dtype=dtype))
    found = as_float32(load_checkpoint(tmp_path / "hf").weights).tensors()
    for name, tensor in weights.tensors().items():
        assert written.errors[name] == np.abs(found[name] - tensor).max() > 0


def test_tensors_of_different_types_keep_theirs(tmp_path):
    mixed = make_weights(CONFIG, 5).tensors()
    mixed["w1"] = mixed["w1"].astype(np.float16)
    mixed["wk"] = make_weights(CONFIG, 6, "bfloat16").wk
    save_checkpoint(tmp_path / "hf", CONFIG, LlamaWeights(**mixed), "hf")
    assert same_bits(load_checkpoint(tmp_path / "hf").weights, LlamaWeights(**mixed))


def test_groups_that_have_to_change_are_quantized_anew(tmp_path):
    save_checkpoint(tmp_path / "16", CONFIG, make_weights(CONFIG), "v2")
    written = convert(tmp_path / "16", tmp_path / "4", Target("v2", group_size=4))
    assert (written.group_size, load_checkpoint(tmp_path / "4").group_size) == (4, 4)
    assert set(written.errors) == {n for n in make_weights(CONFIG).tensors() if n not in NORMS}
    again = convert(tmp_path / "16", tmp_path / "same", Target("v2", group_size=16))
    assert again.errors == {}
    assert content(tmp_path / "same") == content(tmp_path / "16")


def test_tables_of_a_v0_file_are_carried_over(tmp_path):
    """PyTorch's differ from ours in the last bit; a conversion must not change them."""
    path = tmp_path / "v0"
    save_checkpoint(path, SHARED, make_weights(SHARED), "v0")
    data = bytearray(path.read_bytes())
    data[-4] ^= 1  # the last bit of the last sine
    path.write_bytes(data)
    assert load_checkpoint(path).notes == ()
    convert(path, tmp_path / "copy", "v0")
    assert (tmp_path / "copy").read_bytes() == data


def test_tables_of_another_theta_are_noted(tmp_path):
    path = tmp_path / "v0"
    save_checkpoint(path, SHARED, make_weights(SHARED), "v0")
    data = bytearray(path.read_bytes())
    data[-48:] = bytes(48)
    path.write_bytes(data)
    (note,) = load_checkpoint(path).notes
    assert "rotary tables" in note
    assert convert(path, tmp_path / "v1", "v1").notes == (note,)


@pytest.mark.parametrize("dtype", FLOATS)
def test_arrays_of_jax_are_written_too(tmp_path, dtype):
    import jax.numpy as jnp

    weights = make_weights(CONFIG, 7, dtype)
    arrays = {name: jnp.asarray(tensor) for name, tensor in weights.tensors().items()}
    save_checkpoint(tmp_path / "hf", CONFIG, LlamaWeights(**arrays), "hf")
    assert same_bits(load_checkpoint(tmp_path / "hf").weights, weights)


def test_writing_takes_any_layout_in_memory(tmp_path):
    """Transposed and strided arrays are written by value."""
    tensors = make_weights(CONFIG, 7).tensors()
    strided = {
        name: np.asfortranarray(np.repeat(tensor, 2, axis=-1))[..., ::2]
        for name, tensor in tensors.items()
    }
    save_checkpoint(tmp_path / "one", CONFIG, LlamaWeights(**tensors), "v0")
    save_checkpoint(tmp_path / "two", CONFIG, LlamaWeights(**strided), "v0")
    assert content(tmp_path / "one") == content(tmp_path / "two")


@needs_golden
@pytest.mark.parametrize("folder", golden_models(), ids=lambda path: path.name)
def test_golden_folders_come_out_of_the_golden_v0(tmp_path, folder):
    """Weights and index as transformers wrote them; it fills files of 100 kB in this order."""
    dtype = load_checkpoint(folder / "hf").source.dtype("wq", 0).name
    sharded = (folder / "hf" / "model.safetensors.index.json").exists()
    size = 100_000 if sharded else None
    convert(folder / "model_v0.bin", tmp_path / "hf", Target("hf", dtype, shard_bytes=size))
    for path in (folder / "hf").glob("model*"):
        assert (tmp_path / "hf" / path.name).read_bytes() == path.read_bytes()


@needs_golden
@pytest.mark.parametrize("folder", golden_models(), ids=lambda path: path.name)
def test_golden_folders_in_float32_are_the_golden_v0(folder):
    model, wanted = load_checkpoint(folder / "hf"), load_checkpoint(folder / "model_v0.bin")
    assert model.config == wanted.config
    if model.source.dtype("wq", 0) == np.float32:
        assert same_bits(model.weights, wanted.weights)
    else:
        for name, tensor in model.weights.tensors().items():
            theirs = wanted.weights.tensors()[name].astype(tensor.dtype)
            assert (tensor == theirs).all()
