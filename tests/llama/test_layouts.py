"""The .bin formats, byte for byte, against a second implementation and the golden files."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama import by_the_book
from tests.llama.models import (
    CONFIG,
    GOLDEN,
    SHARED,
    configs,
    golden_json,
    golden_models,
    make_weights,
    needs_golden,
    same_bits,
)
from tracr_lite.llama import LlamaConfig, Target, convert, load_checkpoint, save_checkpoint
from tracr_lite.llama.formats.headers import Header
from tracr_lite.llama.formats.layouts import HEADER, V0_HEADER, layout

ROPE_TOLERANCE = 1.2e-7  # cos and sin of PyTorch cannot be had bit for bit without it


@settings(max_examples=40, deadline=None)
@given(configs(groups=True), st.sampled_from(["v0", "v1", "v2", "v1-q80"]), st.data())
def test_files_are_those_of_the_book(tmp_path_factory, config, format, data):
    if format == "v1-q80" and not config.shared_classifier:
        config = data.draw(configs(shared=True, groups=True))
    path = tmp_path_factory.mktemp("book") / "model.bin"
    weights = make_weights(config, 1)
    target = Target(format, group_size=8) if format in ("v2", "v1-q80") else format
    save_checkpoint(path, config, weights, target)
    group = {"group": 8} if format in ("v2", "v1-q80") else {}
    assert path.read_bytes() == by_the_book.WRITERS[format](config, weights, **group)


@settings(max_examples=30, deadline=None)
@given(configs(), st.sampled_from(["v0", "v1"]))
def test_what_the_book_writes_is_read_to_the_bit(tmp_path_factory, config, format):
    path = tmp_path_factory.mktemp("book") / "model.bin"
    weights = make_weights(config, 2)
    path.write_bytes(by_the_book.WRITERS[format](config, weights))
    model = load_checkpoint(path)
    assert (model.format, model.config) == (format, config)
    assert same_bits(model.weights, weights)


@pytest.mark.parametrize("format", ["v2", "v1-q80"])
def test_quantized_files_of_the_book_are_read(tmp_path, format):
    path = tmp_path / "model.bin"
    weights = make_weights(SHARED, 3)
    path.write_bytes(by_the_book.WRITERS[format](SHARED, weights, 8))
    model = load_checkpoint(path)
    assert (model.format, model.group_size, model.config) == (format, 8, SHARED)
    values, scales = by_the_book.q80(weights.w2[1], 8)
    assert model.weights.w2[1].values.tobytes() == values
    assert model.weights.w2[1].scales.tobytes() == scales
    assert (model.weights.ffn_norm == weights.ffn_norm).all()


def test_groups_across_rows_are_read_as_they_are_stored(tmp_path):
    """llama2.c's exporter writes such files: it looks at dim only."""
    config = LlamaConfig(16, 12, 2, 2, 2, 4, 4, True)
    weights = make_weights(config, 4)
    path = tmp_path / "model.bin"
    path.write_bytes(by_the_book.v2(config, weights, 16))
    found = load_checkpoint(path).weights.w2
    assert np.abs(found.dequantize() - weights.w2).max() < 0.02


def test_what_is_read_is_a_view_of_the_file(tmp_path):
    path = tmp_path / "model.bin"
    for format in ("v0", "v2"):
        save_checkpoint(path, CONFIG, make_weights(CONFIG), format, overwrite=True)
        weights = load_checkpoint(path).weights
        array = weights.wq if format == "v0" else weights.wq.values
        assert not array.flags.owndata
        assert not array.flags.writeable


SIZES = LlamaConfig(8192, 28672, 80, 64, 8, 128256, 1 << 20, False)


def test_sizes_do_not_overflow():
    """A model of 70 billion parameters; worked out by hand from the description."""
    d, h, n, v = 8192, 28672, 80, 128256
    body = n * (2 * d * d + 2 * 1024 * d + 3 * d * h)
    norms = n * 2 * d + d
    assert layout("v1", SIZES, None).size == HEADER + 4 * (2 * v * d + body + norms)
    tables = (1 << 20) * 128
    assert layout("v0", SIZES, None).size == V0_HEADER + 4 * (2 * v * d + body + norms + tables)
    groups = 256 + 4 * norms + (2 * v * d + body) * 68 // 64
    assert layout("v2", SIZES, 64).size == layout("v1-q80", SIZES, 64).size == groups


def test_the_group_size_lies_unaligned_at_byte_37():
    from tracr_lite.llama.formats.headers import write_header

    head = write_header(Header("v2", SHARED, 8))
    assert struct.unpack_from("<i", head, 37) == (8,)
    assert len(head) == 256


# The golden files

every_golden = pytest.mark.parametrize("folder", golden_models(), ids=lambda path: path.name)
NAMES = {"v0": "model_v0.bin", "v1": "model_v1.bin", "v2": "model_v2.bin"}
NAMES["v1-q80"] = "model_seedv1.bin"


def wanted_digest(folder, format):
    files = golden_json(f"models/{folder.name}/model.json")["files"]
    return files.get(NAMES[format], {}).get("sha256")


@needs_golden
@every_golden
@pytest.mark.parametrize("format", NAMES)
def test_the_golden_files_come_out_of_the_golden_v0(tmp_path, folder, format):
    if (wanted := wanted_digest(folder, format)) is None:
        return
    convert(folder / "model_v0.bin", tmp_path / "out.bin", format)
    assert hashlib.sha256((tmp_path / "out.bin").read_bytes()).hexdigest() == wanted


@needs_golden
@every_golden
def test_the_error_of_quantizing_is_the_golden_one(tmp_path, folder):
    written = convert(folder / "model_v0.bin", tmp_path / "out.bin", "v2")
    wanted = golden_json(f"models/{folder.name}/model.json")["max_quant_err"]
    assert max(written.errors.values()) == wanted


@needs_golden
@every_golden
def test_golden_tables_are_ours_within_a_rounding(tmp_path, folder):
    convert(folder / "model_v0.bin", tmp_path / "v1.bin", "v1")
    convert(tmp_path / "v1.bin", tmp_path / "v0.bin", "v0")
    ours, theirs = (load_checkpoint(p) for p in (tmp_path / "v0.bin", folder / "model_v0.bin"))
    assert same_bits(ours.weights, theirs.weights)
    for one, two in zip(ours.rope_tables, theirs.rope_tables, strict=True):
        assert np.abs(one - two).max() <= ROPE_TOLERANCE


@needs_golden
def test_the_historical_file_has_the_numbers_of_v2():
    folder = GOLDEN / "models" / "m64_gqa_shared"
    one, two = (load_checkpoint(folder / f"model_{name}.bin") for name in ("seedv1", "v2"))
    assert (one.format, two.format) == ("v1-q80", "v2")
    assert same_bits(one.weights, two.weights)
