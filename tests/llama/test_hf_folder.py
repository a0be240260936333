"""Hugging Face folders: permutation, shards, and everything that can be wrong with them."""

import json
import re
import shutil
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.llama.models import CONFIG, SHARED, make_weights, same_bits
from tracr_lite.llama import LlamaConfig, LlamaWeights, Target, load_checkpoint, save_checkpoint
from tracr_lite.llama.errors import CannotStore, CheckpointError
from tracr_lite.llama.formats.hf_names import from_hf, to_hf

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(tmp_path / "hf", CONFIG, make_weights(CONFIG), "hf")
    return tmp_path / "hf"


@pytest.fixture
def sharded(tmp_path):
    target = Target("hf", shard_bytes=3000)
    save_checkpoint(tmp_path / "sharded", CONFIG, make_weights(CONFIG), target)
    return tmp_path / "sharded"


def refusal(path):
    """What the error says; it names the folder."""
    with pytest.raises(CheckpointError, match=re.escape(str(path))) as error:
        load_checkpoint(path)
    return str(error.value)


def header_of(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_header(path, header, rest):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)


def test_neighbouring_rows_become_halves_of_each_head():
    rows = np.arange(16, dtype=np.float32)[:, None].repeat(16, 1)
    assert to_hf(CONFIG, "wq", rows)[:8, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    wide = type(CONFIG)(16, 32, 1, 2, 1, 3, 4, True)  # heads of 8
    assert to_hf(wide, "wk", rows[:8])[:, 0].tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert to_hf(wide, "wv", rows[:8]) is not None
    assert (to_hf(wide, "wv", rows[:8]) == rows[:8]).all()
    assert (from_hf(wide, "wk", to_hf(wide, "wk", rows[:8])) == rows[:8]).all()


def test_the_names_and_shapes_in_a_folder(folder):
    header, _ = header_of(folder / SINGLE)
    assert header.pop("__metadata__") == {"format": "pt"}
    assert header["model.layers.1.self_attn.k_proj.weight"]["shape"] == [8, 16]
    assert header["model.layers.0.mlp.down_proj.weight"]["shape"] == [16, 32]
    assert header["lm_head.weight"]["shape"] == [11, 16]
    assert len(header) == 3 + 2 * 9


def test_a_shared_classifier_is_left_out(tmp_path):
    save_checkpoint(tmp_path / "hf", SHARED, make_weights(SHARED), "hf")
    header, _ = header_of(tmp_path / "hf" / SINGLE)
    assert "lm_head.weight" not in header
    assert load_checkpoint(tmp_path / "hf").weights.classifier is None


def test_shards_are_read_together_and_listed(sharded):
    model = load_checkpoint(sharded)
    assert len(model.paths) > 3
    assert same_bits(model.weights, make_weights(CONFIG))
    index = json.loads((sharded / INDEX).read_text())
    assert set(index["weight_map"].values()) == {path.name for path in model.paths}
    assert index["metadata"]["total_size"] == 4 * index["metadata"]["total_parameters"]


def test_a_tensor_larger_than_a_shard_has_one_of_its_own(tmp_path):
    """And those around it go on filling one file, as with huggingface_hub."""
    wide = LlamaConfig(16, 64, 1, 2, 1, 3, 4, False)  # 4096 bytes in each matrix of the MLP
    save_checkpoint(tmp_path / "hf", wide, make_weights(wide), Target("hf", shard_bytes=2800))
    places = json.loads((tmp_path / "hf" / INDEX).read_text())["weight_map"]
    files = {}
    for name, file in places.items():
        files.setdefault(file[6:11], []).append(
            re.sub(r"model\.|layers\.0\.|\.weight", "", name)
        )
    assert files == {
        "00001": ["mlp.down_proj"],
        "00002": ["mlp.gate_proj"],
        "00003": ["mlp.up_proj"],
        "00004": [
            *("lm_head", "embed_tokens", "input_layernorm"),
            *("post_attention_layernorm", "self_attn.k_proj", "self_attn.o_proj"),
        ],
        "00005": ["self_attn.q_proj", "self_attn.v_proj", "norm"],
    }


def test_shards_may_be_links(sharded, tmp_path):
    """As in the caches of hubs."""
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in sharded.iterdir():
        (linked / path.name).symlink_to(path)
    assert same_bits(load_checkpoint(linked).weights, make_weights(CONFIG))


def test_rotary_tables_of_old_versions_are_ignored(folder):
    header, rest = header_of(folder / SINGLE)
    for layer in range(2):
        begin = len(rest)
        rest += bytes(8)
        name = f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"
        header[name] = {"dtype": "F32", "shape": [2], "data_offsets": [begin, begin + 8]}
    write_header(folder / SINGLE, header, rest)
    assert same_bits(load_checkpoint(folder).weights, make_weights(CONFIG))


def test_a_repeated_classifier_of_a_tied_model_is_accepted_if_equal(folder):
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(config))
    assert re.search("tie_word_embeddings, but .* differ", refusal(folder))
    tensors = make_weights(CONFIG).tensors()
    tensors["classifier"] = tensors["token_embedding"]
    shutil.rmtree(folder)
    save_checkpoint(folder, CONFIG, LlamaWeights(**tensors), "hf")
    (folder / "config.json").write_text(json.dumps(config))
    model = load_checkpoint(folder)
    assert model.config == SHARED
    assert model.weights.classifier is None


def test_a_tied_model_may_have_its_one_table_under_either_name(tmp_path):
    """safetensors' own save_model keeps the name that comes first."""
    save_checkpoint(tmp_path / "hf", SHARED, make_weights(SHARED), "hf")
    header, rest = header_of(tmp_path / "hf" / SINGLE)
    header["lm_head.weight"] = header.pop("model.embed_tokens.weight")
    write_header(tmp_path / "hf" / SINGLE, header, rest)
    assert same_bits(load_checkpoint(tmp_path / "hf").weights, make_weights(SHARED))


def test_the_classifier_of_a_model_that_is_not_tied_is_needed(folder):
    header, rest = header_of(folder / SINGLE)
    header["lm_head.bias"] = header.pop("lm_head.weight")
    write_header(folder / SINGLE, header, rest)
    assert re.search(
        r"'lm_head.weight' is missing; 'lm_head.bias' has no place", refusal(folder)
    )


def entry(**changes):
    """Changes the header's entry of one tensor."""
    return lambda header, rest: (
        header["model.layers.0.mlp.up_proj.weight"].update(changes),
        rest,
    )[1]


def rename(header, rest):
    name = "model.layers.0.self_attn.q_proj."
    header[name + "bias"] = header.pop(name + "weight")
    return rest


ABUSE = [
    (entry(dtype="F64"), "bytes|F64"),
    (entry(dtype="I8"), "is I8; F32, BF16, F16 can be read"),
    (entry(dtype="F16"), "F16 numbers of shape"),
    (entry(dtype=5), "lacks a dtype"),
    (entry(shape=[32, 15]), "take 1920"),
    (entry(shape=[16, 32]), r"shape \[16, 32\] instead of \[32, 16\]"),
    (entry(shape=[-32, -16]), "lacks a dtype, a shape"),
    (entry(shape=[32.0, 16]), "lacks a dtype, a shape"),
    (entry(shape=[1 << 62, 1 << 62]), "take"),
    (entry(shape=None), "lacks a dtype, a shape"),
    (entry(data_offsets=[0, 2048]), "overlap"),
    (entry(data_offsets=[1 << 70, (1 << 70) + 2048]), "overlap"),
    (entry(data_offsets=[2048]), "not understood"),
    (entry(data_offsets=[2048, 0]), "bytes, but"),
    (entry(extra=1), "not understood"),
    (rename, "q_proj.weight' is missing; .*q_proj.bias' has no place"),
    (lambda header, rest: rest[:-1], "is cut short"),
    (lambda header, rest: rest + b"\0", "belong to no tensor"),
]


@pytest.mark.parametrize(("damage", "said"), ABUSE)
def test_a_header_that_lies_is_refused(folder, damage, said):
    header, rest = header_of(folder / SINGLE)
    write_header(folder / SINGLE, header, damage(header, rest))
    assert re.search(said, refusal(folder))


STARTS = [
    (b"", "less than any header"),
    (b"\0" * 7, "less than any header"),
    (b"\xff" * 8 + b"{}", "claims a header"),
    (struct.pack("<Q", 2) + b"[]", "not an object"),
    (struct.pack("<Q", 12) + b'{"a":1,"a":2', "not readable"),
    (struct.pack("<Q", 2) + b"{}", "is missing"),
    (struct.pack("<Q", 7) + b'{"a":1}', "lacks a dtype"),
]


@pytest.mark.parametrize(("data", "said"), STARTS)
def test_a_file_that_is_no_safetensors_is_refused(folder, data, said):
    (folder / SINGLE).write_bytes(data)
    assert re.search(said, refusal(folder))


NAMES = ["../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "x.bin", 5, None, ""]


@pytest.mark.parametrize(
    "name", [*NAMES, "..\\x.safetensors", "x\0.safetensors", "\ud800.safetensors"]
)
def test_an_index_that_leads_elsewhere_is_refused(sharded, name):
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"]["lm_head.weight"] = name
    (sharded / INDEX).write_text(json.dumps(index))
    assert re.search("outside of the folder|no safetensors file|surrogate", refusal(sharded))


def test_an_index_and_its_files_have_to_agree(sharded):
    index = json.loads((sharded / INDEX).read_text())
    one, two = "lm_head.weight", "model.norm.weight"
    places = index["weight_map"]
    assert places[one] != places[two]
    (sharded / INDEX).write_text(json.dumps({"weight_map": places | {one: places[two]}}))
    assert re.search("places in", refusal(sharded))
    (sharded / INDEX).write_text(json.dumps({"weight_map": places | {"more": places[two]}}))
    assert re.search("does not hold 'more'", refusal(sharded))
    (sharded / INDEX).write_text(json.dumps({"weight_map": {}}))
    assert re.search("no weight_map", refusal(sharded))
    (sharded / INDEX).write_text(json.dumps(index))
    (sharded / places[two]).unlink()
    assert re.search("No such file", refusal(sharded))


def test_a_folder_of_pickles_says_why_it_is_not_read(folder):
    (folder / SINGLE).rename(folder / "pytorch_model.bin")
    assert re.search("pytorch_model.bin can run code", refusal(folder))


def test_more_layers_than_there_are_tensors_are_noticed_before_they_are_counted(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1 << 60}))
    assert re.search("is missing", refusal(folder))
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    assert re.search("no place", refusal(folder))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_flipped_bits_and_cut_files_are_refused_or_valid(folder, sharded, tmp_path, data):
    name = data.draw(st.sampled_from(["config.json", SINGLE, INDEX]))
    folder = sharded if name == INDEX else folder
    whole = (folder / name).read_bytes()
    headed = len(whole) if name != SINGLE else 8 + struct.unpack("<Q", whole[:8])[0]
    copy = bytearray(whole)
    if data.draw(st.booleans()):
        bit = data.draw(st.integers(0, 8 * headed - 1))
        copy[bit // 8] ^= 1 << bit % 8
    else:
        copy = copy[: data.draw(st.integers(0, len(whole) - 1))]
    broken = tmp_path / f"broken-{folder.name}"
    shutil.copytree(folder, broken, dirs_exist_ok=True)
    (broken / name).write_bytes(copy)
    try:
        model = load_checkpoint(broken)
    except CheckpointError:
        return
    assert len(copy) == len(whole) or name != SINGLE
    found = model.weights.tensors()
    assert {name: tensor.shape for name, tensor in found.items()} == {
        name: tensor.shape for name, tensor in make_weights(model.config).tensors().items()
    }


def test_numbers_too_large_for_float16_are_refused_by_name(tmp_path):
    weights = make_weights(CONFIG)
    weights.wo[1, 0, 3] = 70000
    with pytest.raises(CannotStore, match="wo of layer 1: number 3 is 70000"):
        save_checkpoint(tmp_path / "hf", CONFIG, weights, Target("hf", dtype="float16"))
    assert not any(tmp_path.iterdir())
    save_checkpoint(tmp_path / "hf", CONFIG, weights, Target("hf", dtype="bfloat16"))
