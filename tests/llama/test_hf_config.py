"""config.json: both generations of transformers, and what is refused by name."""

import json

import pytest

from tests.llama.models import CONFIG, SHARED
from tracr_lite.llama import LlamaConfig
from tracr_lite.llama.errors import CheckpointError
from tracr_lite.llama.formats.hf_config import read_config, write_config
from tracr_lite.llama.formats.json_files import parse_object

SIZES = {
    **{"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 11},
    "max_position_embeddings": 6,
}
NEW = SIZES | {  # as transformers 5.23 writes it
    "architectures": ["LlamaForCausalLM"],
    **{"attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 1},
    **{"dtype": "float32", "eos_token_id": 2, "head_dim": 4, "hidden_act": "silu"},
    **{"initializer_range": 0.02, "mlp_bias": False, "model_type": "llama"},
    **{"pad_token_id": None, "pretraining_tp": 1, "rms_norm_eps": 1e-05},
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    **{"tie_word_embeddings": False, "transformers_version": "5.23.0", "use_cache": True},
}
OLD = SIZES | {  # as transformers 4.31 wrote it
    "_name_or_path": "meta-llama/Llama-2-7b-hf",
    "architectures": ["LlamaForCausalLM"],
    **{"bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "model_type": "llama"},
    **{"initializer_range": 0.02, "pretraining_tp": 1, "rms_norm_eps": 1e-05},
    **{"rope_scaling": None, "tie_word_embeddings": False, "torch_dtype": "float16"},
    **{"transformers_version": "4.31.0.dev0", "use_cache": True},
}
LATER = ("num_key_value_heads", "rope_scaling", "max_position_embeddings")
FIRST = {k: v for k, v in OLD.items() if k not in LATER} | {
    **{"architectures": ["LLaMAForCausalLM"], "max_sequence_length": 6, "rms_norm_eps": 1e-06},
}


def test_both_generations_are_the_same_model():
    for each in (NEW, OLD, OLD | {"rope_theta": 10000}):
        assert read_config(each) == (CONFIG, ())


def test_the_first_files_have_no_groups_and_another_eps():
    config, notes = read_config(FIRST)
    assert (config.n_kv_heads, config.norm_eps, config.seq_len, notes) == (4, 1e-6, 6, ())


READ = [
    ({"rope_theta": 500000.0, "rope_parameters": None}, {"rope_theta": 500000.0}),
    ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, {"rope_theta": 5e5}),
    ({"rope_parameters": {"rope_theta": 5e5, "type": "default"}}, {"rope_theta": 5e5}),
    ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1.0}}, {}),
    ({"tie_word_embeddings": True}, {"shared_classifier": True}),
    ({"num_key_value_heads": None}, {"n_kv_heads": 4}),
    ({"rms_norm_eps": 1e-6}, {"norm_eps": 1e-6}),
    ({"rms_norm_eps": 1}, {"norm_eps": 1.0}),
    ({"head_dim": None}, {}),
    ({"is_causal": True}, {}),
    ({"rope_scaling": {"type": "default", "rope_theta": 10000}}, {}),
    ({"rope_scaling": {"rope_theta": 5e5}, "rope_parameters": {}}, {"rope_theta": 5e5}),
]


@pytest.mark.parametrize(("change", "wanted"), READ)
def test_what_is_read(change, wanted):
    config, notes = read_config(NEW | change)
    assert config == LlamaConfig(**(vars(CONFIG) | wanted))
    assert notes == ()


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}
REFUSED = [
    ({"model_type": "mistral"}, "model_type is 'mistral'"),
    ({"architectures": ["LlamaForSequenceClassification"]}, "architectures is"),
    ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; only 'silu'"),
    ({"attention_bias": True}, "attention_bias is True"),
    ({"mlp_bias": True}, "mlp_bias is True"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
    ({"head_dim": 8}, "head_dim is 8, but hidden_size / num_attention_heads is 4"),
    ({"rope_parameters": LLAMA3}, "only rope_type 'default'"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling is .*linear"),
    ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling is .*dynamic"),
    ({"rope_parameters": {"rope_type": "default", "factor": 2.0}}, "only rope_type"),
    ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "only rope_type"),
    ({"rope_parameters": [1]}, "not an object"),
    ({"rope_theta": 5e5}, "rope_theta is 500000.0, and 10000.0 in rope_parameters"),
    ({"rope_scaling": {"type": "default"}}, "rope_parameters is .*, but rope_scaling is"),
    ({"rope_scaling": {"type": "default", "rope_theta": 5e5}}, "but rope_scaling is"),
    ({"is_causal": False}, "is_causal is False"),
    ({"is_causal": None}, "is_causal is None"),
    ({"quantization_config": {"bits": 4}}, "quantization_config is there"),
    ({"auto_map": {"AutoModel": "x.py"}}, "auto_map is there"),
    ({"vocab_size": None}, "vocab_size is missing"),
    ({"max_position_embeddings": None}, "max_position_embeddings is missing"),
    ({"rms_norm_eps": 10**400}, "norm_eps is 1000"),
    ({"hidden_size": "16"}, "dim is '16'"),
    ({"hidden_size": 16.0}, "dim is 16.0"),
    ({"hidden_size": -16}, "dim is -16"),
    ({"num_attention_heads": 0}, "n_heads is 0"),
    ({"num_key_value_heads": 3}, "n_kv_heads 3"),
    ({"tie_word_embeddings": "yes"}, "shared_classifier is 'yes'"),
    ({"rms_norm_eps": None}, "norm_eps is None"),
    ({"rope_parameters": {"rope_theta": "1e4"}}, "rope_theta is '1e4'"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_what_is_no_plain_llama_is_refused_by_name(change, said):
    with pytest.raises(CheckpointError, match=said):
        read_config(NEW | change)


def test_all_reasons_are_listed():
    with pytest.raises(CheckpointError) as error:
        read_config({"hidden_act": "gelu", "mlp_bias": True, "hidden_size": 4})
    for said in ("hidden_act", "mlp_bias", "vocab_size is missing", "num_hidden_layers"):
        assert said in str(error.value)


def test_what_is_not_understood_is_noted():
    _, notes = read_config(NEW | {"sliding_windows": 5, "color": "red"})
    assert len(notes) == 1
    assert "['color', 'sliding_windows']" in notes[0]


@pytest.mark.parametrize(
    "config", [CONFIG, SHARED, LlamaConfig(8, 4, 1, 2, 2, 9, 5, True, 5e5, 1e-6)]
)
def test_what_is_written_is_read_again(config):
    text = write_config(config, "float16", None)
    assert read_config(parse_object(text, "config.json")) == (config, ())
    found = json.loads(text)
    assert found["torch_dtype"] == found["dtype"] == "float16"
    assert found["rope_theta"] == found["rope_parameters"]["rope_theta"] == config.rope_theta


def test_tokens_of_the_source_are_kept():
    base = OLD | {"eos_token_id": [2, 3], "pad_token_id": 7, "rope_scaling": {"x": 1}}
    found = json.loads(write_config(CONFIG, "float32", base))
    assert (found["eos_token_id"], found["pad_token_id"]) == ([2, 3], 7)
    assert "rope_scaling" not in found
    assert found["dtype"] == "float32"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not readable"),
        (b"\xff\xfe", "not readable"),
        (b'{"a": 1, "a": 2}', "'a' occurs twice"),
        (b"[1]", "not an object"),
        (b"[" * 100_000, "not readable"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not readable"),
    ],
    ids=range(6),
)
def test_bad_json_is_refused(text, said):
    with pytest.raises(CheckpointError, match=said):
        parse_object(text, "config.json")
