"""Folders of stock models: what is in them, who reads it, what is never done to others."""

import dataclasses
import json
import os

import numpy as np
import pytest

from tests.targets import by_hand
from tracr_lite.llama import runtime
from tracr_lite.llama.checkpoint import load_checkpoint
from tracr_lite.rasp.json_values import from_json
from tracr_lite.targets.export import FORMATS, ExportError, export
from tracr_lite.targets.export.tokenizer import hugging_face_tokenizer as tokenizer_files
from tracr_lite.targets.vocabulary import vocabulary_of

IDS = [1, 264, 265, 267, 269, 266]
TEXT = "a b 10 | 1"


def logits(path):
    model = runtime.load(path)
    return model.logits(IDS)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_hf_and_llama2c_are_one_model_for_our_runtime(tmp_path):
    model = by_hand.llama()
    hf = export(model, tmp_path / "hf", "hf")
    bin_ = export(model, tmp_path / "bin", "llama2c")
    np.testing.assert_allclose(logits(hf), logits(bin_ / "model.bin"), rtol=1e-5, atol=1e-5)
    config = load_checkpoint(hf).config
    assert (config.n_kv_heads, config.seq_len, config.shared_classifier) == (2, 12, False)


@pytest.mark.parametrize("to", ["hf", "llama2c"])
def test_our_runtime_reads_text_prompts(tmp_path, to):
    folder = export(by_hand.llama(), tmp_path / to, to)
    model = runtime.load(folder if to == "hf" else folder / "model.bin", folder)
    assert model.tokenizer.encode(TEXT) == IDS
    assert model.tokenizer.decode_text(IDS) == TEXT


def test_equal_models_give_equal_bytes(tmp_path):
    for to in ("hf", "llama2c"):
        first = export(by_hand.llama(), tmp_path / "first", to, overwrite=True)
        second = export(by_hand.llama(), tmp_path / "second", to, overwrite=True)
        assert files(first) == files(second)


def test_the_record_knows_values_and_places(tmp_path):
    folder = export(by_hand.llama(), tmp_path / "hf")
    record = json.loads((folder / "program.json").read_text())
    known = [(from_json(value), at, text) for value, at, text in record["vocabulary"]["inputs"]]
    texts = by_hand.VOCABULARY.texts
    assert known == [(value, at, texts[at]) for value, at in by_hand.VOCABULARY.inputs]
    tokens, mapped = record["nodes"]
    assert [each["hook"] for each in tokens["columns"]] == ["blocks.0.hook_resid_pre"] * 2
    assert tokens["columns"][1]["until"] == "blocks.0.hook_resid_post"
    assert mapped["heads"][0]["hook"] == "blocks.0.attn.hook_z[:, :, 1]"
    assert mapped["neurons"][0]["hook"] == "blocks.1.mlp.hook_post[:, :, 3:7]"


def test_the_page_has_what_a_person_needs(tmp_path):
    page = (export(by_hand.llama(), tmp_path / "hf") / "README.md").read_text()
    for needed in (
        "rasp.tokens",
        "**Longest input**: 11 tokens",
        "`'a'` is id 264",
        "Exact.",
        "from `blocks.0.hook_resid_pre`: 8 `a \\| b`",
        "AutoTokenizer.from_pretrained",
        "**END**: id 1",
    ):
        assert needed in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [5, 5]


def test_generation_ends_at_end_or_where_the_model_does(tmp_path):
    folder = export(by_hand.llama(), tmp_path / "hf")
    found = json.loads((folder / "generation_config.json").read_text())
    assert found["eos_token_id"] == 1
    assert found["max_length"] == 13  # BOS, eleven tokens, and one that need not be read
    assert found["do_sample"] is False


def test_bfloat16_is_written_as_such(tmp_path):
    folder = export(by_hand.llama(dtype="bfloat16"), tmp_path / "hf")
    assert {str(each) for each in _dtypes(folder)} == {"bfloat16"}


def _dtypes(folder):
    source = load_checkpoint(folder).source
    return {source.dtype(name, 0) for name in ("token_embedding", "wq", "final_norm")}


# What is refused


def with_tensor(name, value, **more):
    model = by_hand.llama(**more)
    changed = model.tensors[name].copy()
    changed.flat[0] = value
    return dataclasses.replace(model, tensors=model.tensors | {name: changed})


def test_numbers_that_a_type_cannot_hold_are_refused(tmp_path):
    large = with_tensor("lm_head.weight", 1e6, dtype="float16")
    with pytest.raises(ExportError, match=r"lm_head.*float16"):
        export(large, tmp_path / "out")
    small = with_tensor("lm_head.weight", 1e-9, dtype="float16")
    with pytest.raises(ExportError, match="another dtype"):
        export(small, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_texts_that_are_read_as_others_are_refused(tmp_path):
    known = by_hand.VOCABULARY
    texts = (*known.texts, " a|")  # its beginning " a" is there, and "|"
    odd = dataclasses.replace(
        known, texts=(*texts[:-1], " a b"), inputs=(*known.inputs, ("a b", len(texts) - 1)),
        scores=(*known.scores, 99.0),
    )  # fmt: skip
    model = dataclasses.replace(by_hand.llama(), vocabulary=odd)
    with pytest.raises(ExportError, match="would be read as"):
        export(model, tmp_path / "out", "llama2c")
    assert list(tmp_path.iterdir()) == []


def test_half_a_character_is_refused(tmp_path):
    texts = (*by_hand.VOCABULARY.texts[:-1], " \ud800")
    odd = dataclasses.replace(by_hand.VOCABULARY, texts=texts)
    with pytest.raises(ExportError, match="no tokenizer can hold"):
        export(dataclasses.replace(by_hand.llama(), vocabulary=odd), tmp_path / "out")


def test_names_of_special_tokens_are_refused_where_they_are_special(tmp_path):
    pytest.importorskip("gguf")
    known = by_hand.VOCABULARY
    odd = dataclasses.replace(
        known,
        texts=(*known.texts, " <s>"),
        inputs=(*known.inputs, ("<s>", known.size)),
        scores=(*known.scores, -1.0),
    )
    model = dataclasses.replace(by_hand.llama(), vocabulary=odd)
    with pytest.raises(ExportError, match=r"'<s>'.*special token of llama\.cpp"):
        export(model, tmp_path / "out", "gguf")


def test_formats_of_llama_refuse_others(tmp_path):
    model = dataclasses.replace(by_hand.llama(), architecture="gpt2")
    for to in ("llama2c", "gguf"):
        if to == "gguf":
            pytest.importorskip("gguf")
        with pytest.raises(ExportError, match="compile_rasp_to_llama"):
            export(model, tmp_path / "out", to)


def test_what_a_v0_file_cannot_say_is_refused(tmp_path):
    model = by_hand.llama()
    model.config["rope_theta"] = 500000.0
    with pytest.raises(ExportError, match="rope_theta is 500000"):
        export(model, tmp_path / "out", "llama2c")


def test_a_path_with_a_nul_is_refused(tmp_path):
    with pytest.raises(ExportError, match="no path"):
        export(by_hand.llama(), f"{tmp_path}/a\0b")


def test_many_numbers_make_a_tokenizer(tmp_path):
    """Texts made of each other, in all runtimes: no two merges have equal scores."""
    known = vocabulary_of([*range(140), "1 0"], ["x"], None, numeric=False, stops=False)
    assert len(set(known.scores[259:])) == known.size - 259
    model = dataclasses.replace(by_hand.llama(), vocabulary=known)
    assert set(tokenizer_files(model)) == {"tokenizer.json", "tokenizer_config.json"}


def test_an_unknown_format_is_named(tmp_path):
    with pytest.raises(ExportError, match="hf, llama2c, gguf"):
        export(by_hand.llama(), tmp_path / "out", "onnx")
    assert set(FORMATS) == {"hf", "llama2c", "gguf"}


# What stands in the place


def test_an_export_is_replaced_only_when_asked(tmp_path):
    out = export(by_hand.llama(), tmp_path / "out")
    before = files(out)
    with pytest.raises(ExportError, match="--force"):
        export(by_hand.llama(seed=1), out)
    assert files(out) == before
    export(by_hand.llama(seed=1), out, "llama2c", overwrite=True)
    assert set(files(out)) == {"model.bin", "tokenizer.bin", "README.md", "program.json"}
    assert sorted(os.listdir(tmp_path)) == ["out"]


@pytest.mark.parametrize("name", ["notes.txt", "config.json", "README.md", "program.json"])
def test_folders_of_others_are_never_replaced(tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("{}")
    with pytest.raises(ExportError, match=r"no export|which no export writes"):
        export(by_hand.llama(), tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / name).read_text() == "{}"


def test_an_export_with_other_files_beside_it_is_kept(tmp_path):
    out = export(by_hand.llama(), tmp_path / "out")
    (out / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"mine\.txt"):
        export(by_hand.llama(), out, overwrite=True)


def test_a_file_or_a_missing_disk_place_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="is a file"):
        export(by_hand.llama(), tmp_path / "file")
    with pytest.raises(ExportError, match="cannot write"):
        export(by_hand.llama(), tmp_path / "file" / "inside")


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    assert "model.safetensors" in files(export(by_hand.llama(), tmp_path / "out"))


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    out = export(by_hand.llama(), tmp_path / "out")
    before = files(out)

    def fail(model, to):
        raise RuntimeError("killed")

    monkeypatch.setattr("tracr_lite.targets.export.writing.card_of", fail)
    with pytest.raises(RuntimeError, match="killed"):
        export(by_hand.llama(seed=1), out, overwrite=True)
    assert files(out) == before
    assert sorted(os.listdir(tmp_path)) == ["out"]
