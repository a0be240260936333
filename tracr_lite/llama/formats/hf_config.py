"""config.json of a Hugging Face Llama, written by old and new transformers, and written anew.

Old files have `rope_theta` and `rope_scaling` at the top, and `torch_dtype`; since version 5
there are `rope_parameters` and `dtype`. Both are read, and what is written has both, so that
every transformers reads it. What changes the computation beyond `LlamaConfig` is refused by
name. Source: transformers 5.23, `LlamaConfig`, `modeling_rope_utils`.
"""

from __future__ import annotations

import json
from typing import cast

from tracr_lite.llama.config import LlamaConfig
from tracr_lite.llama.errors import CheckpointError, ConfigError
from tracr_lite.llama.formats.json_files import JsonObject

SIZES = {  # ours -> theirs
    "dim": "hidden_size",
    "hidden_dim": "intermediate_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "vocab_size": "vocab_size",
    "seq_len": "max_position_embeddings",
}
DEFAULTS: JsonObject = {  # of LlamaConfig, for keys that may be missing
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "partial_rotary_factor": 1.0,
    "is_causal": True,
    "tie_word_embeddings": False,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
}
WRITTEN = ("hidden_act", "attention_bias", "mlp_bias")
NEEDED = (*WRITTEN, "partial_rotary_factor", "is_causal")  # as they are
REFUSED = {  # key -> why a model that has it cannot be read
    "quantization_config": "its weights are packed by a quantizer",
    "auto_map": "it runs code of its own",
}
ROPE_KEYS = {"rope_theta", "rope_type", "type", "partial_rotary_factor"}
NO_WEIGHTS = frozenset(  # what concerns training, generation or the file itself
    "_name_or_path architectures attention_dropout bad_words_ids begin_suppress_tokens "
    "bos_token_id chunk_size_feed_forward cross_attention_hidden_size "
    "decoder_start_token_id diversity_penalty do_sample dtype early_stopping "
    "encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty "
    "finetuning_task forced_bos_token_id forced_eos_token_id head_dim hidden_act hidden_size "
    "id2label initializer_range is_decoder is_encoder_decoder label2id length_penalty "
    "max_length max_sequence_length min_length model_type no_repeat_ngram_size "
    "num_beam_groups num_beams num_return_sequences output_attentions "
    "output_hidden_states output_scores pad_token_id prefix pretraining_tp problem_type "
    "pruned_heads remove_invalid_values repetition_penalty return_dict "
    "return_dict_in_generate rope_parameters rope_scaling sep_token_id suppress_tokens "
    "task_specific_params temperature tf_legacy_loss tie_encoder_decoder tokenizer_class "
    "top_k top_p torch_dtype torchscript transformers_version typical_p use_bfloat16 "
    "use_cache add_cross_attention".split()
)


def read_config(found: JsonObject) -> tuple[LlamaConfig, tuple[str, ...]]:
    """The configuration in a config.json, and notes on what was not understood.

    **Raises:** `CheckpointError` that lists all that is missing, or not of a plain Llama.
    """
    known = DEFAULTS | found
    problems, theta = _rope(known, explicit="rope_theta" in found)
    problems = _kind(found) + _unlike_llama(known) + problems
    sizes, missing = _sizes(known)
    if problems := problems + missing:
        raise CheckpointError("config.json: " + "; ".join(problems))
    try:
        config = LlamaConfig(
            **sizes,
            shared_classifier=cast(bool, known["tie_word_embeddings"]),
            rope_theta=_number(theta),
            norm_eps=_number(known["rms_norm_eps"]),
        )
    except ConfigError as error:
        raise CheckpointError(f"config.json: {error}") from error
    if known.get("head_dim") not in (None, config.head_size):
        raise CheckpointError(
            f"config.json: head_dim is {known['head_dim']!r}, but hidden_size / "
            f"num_attention_heads is {config.head_size}; other head sizes are not supported"
        )
    strange = sorted(set(found) - set(SIZES.values()) - set(DEFAULTS) - NO_WEIGHTS)
    note = f"config.json: not understood, and ignored as transformers does: {strange}"
    return config, (note,) if strange else ()


def _kind(found: JsonObject) -> list[str]:
    kind, classes = found.get("model_type", "llama"), found.get("architectures")
    problems = [f"{key} is there: {why}" for key, why in REFUSED.items() if found.get(key)]
    if kind != "llama":
        problems.append(f"model_type is {kind!r}, not 'llama'")
    if isinstance(classes, list):
        named = [each for each in cast(list[object], classes) if isinstance(each, str)]
        if named and not any(name.lower() == "llamaforcausallm" for name in named):
            problems.append(f"architectures is {named}, not LlamaForCausalLM")
    return problems


def _unlike_llama(known: JsonObject) -> list[str]:
    return [
        f"{key} is {known[key]!r}; only {DEFAULTS[key]!r} is supported"
        for key in NEEDED
        if known[key] != DEFAULTS[key] and (known[key] is not None or key == "is_causal")
    ]


def _sizes(known: JsonObject) -> tuple[dict[str, int], list[str]]:
    if known.get("num_key_value_heads") is None:  # older files of models without groups
        known = known | {"num_key_value_heads": known.get("num_attention_heads")}
    if known.get("max_position_embeddings") is None:  # as the first of all files have it
        known = known | {"max_position_embeddings": known.get("max_sequence_length")}
    missing = [f"{key} is missing" for key in SIZES.values() if known.get(key) is None]
    return {ours: cast(int, known.get(theirs)) for ours, theirs in SIZES.items()}, missing


def _number(value: object) -> float:
    """`1` in JSON is an integer; anything but numbers is left for `LlamaConfig` to refuse."""
    return float(value) if type(value) is int and abs(value) < 1 << 53 else cast(float, value)


def _rope(known: JsonObject, explicit: bool) -> tuple[list[str], object]:
    """What is not plain rotary positions, and the base of the frequencies."""
    problems: list[str] = []
    theta = known["rope_theta"]
    both = [known.get(key) for key in ("rope_parameters", "rope_scaling")]
    new, old = (cast(JsonObject, each) if isinstance(each, dict) else {} for each in both)
    if new and old and new.get("rope_theta") != old.get("rope_theta"):
        # transformers 5 forgets the first one, and takes another base than it names
        problems.append(f"rope_parameters is {new!r}, but rope_scaling is {old!r}")
    for key in ("rope_parameters", "rope_scaling"):
        if (value := known.get(key)) is None:
            continue
        if not isinstance(value, dict):
            problems.append(f"{key} is {value!r}, not an object")
            continue
        rope = cast(JsonObject, value)
        kind = rope.get("rope_type", rope.get("type", "default"))
        partial = rope.get("partial_rotary_factor", 1.0)
        if kind != "default" or partial != 1 or set(rope) - ROPE_KEYS:
            problems.append(f"{key} is {rope!r}; only rope_type 'default' is supported")
        elif (inner := rope.get("rope_theta")) is not None:
            if explicit and inner != theta:
                problems.append(f"rope_theta is {theta!r}, and {inner!r} in {key}")
            theta = inner
    return problems, theta


def write_config(config: LlamaConfig, dtype: str, base: JsonObject | None) -> bytes:
    """The text of a config.json. `base`: one whose other entries are kept."""
    kept = {key: value for key, value in (base or {}).items() if key in NO_WEIGHTS}
    kept.pop("rope_scaling", None)
    entries: JsonObject = {
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        **kept,
        **{theirs: getattr(config, ours) for ours, theirs in SIZES.items()},
        **{key: DEFAULTS[key] for key in WRITTEN},
        "head_dim": config.head_size,
        "model_type": "llama",
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.shared_classifier,
        "dtype": dtype,
        "torch_dtype": dtype,
    }
    return (json.dumps(entries, indent=2, sort_keys=True) + "\n").encode()
