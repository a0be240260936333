"""Damaged .bin files: a clear error, or a file that is valid by itself; never anything else."""

import re
import struct
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llama import by_the_book
from tests.llama.models import CONFIG, GOLDEN, SHARED, golden_json, make_weights, needs_golden
from tracr_lite.llama import LlamaConfig, load_checkpoint
from tracr_lite.llama.errors import CheckpointError, WeightsError
from tracr_lite.llama.weights import check_weights

FORMATS = ("v0", "v1", "v2", "v1-q80")
GROUP = {"group": 8}


def book(format, config=None):
    """A file that is as it should be."""
    return bytearray(_book(format, config or (SHARED if format == "v1-q80" else CONFIG)))


@cache
def _book(format, config):
    group = GROUP if format in ("v2", "v1-q80") else {}
    return by_the_book.WRITERS[format](config, make_weights(config), **group)


def header_size(format):
    return 28 if format == "v0" else 256


def loaded(tmp_path, data):
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    return load_checkpoint(path)


def refusal(tmp_path, data):
    """What the error says; it names the file."""
    with pytest.raises(CheckpointError, match=r"model\.bin") as error:
        loaded(tmp_path, data)
    return str(error.value)


@pytest.mark.parametrize("format", FORMATS)
def test_every_truncation_is_refused(tmp_path, format):
    data = book(format)
    lengths = {*range(header_size(format) + 40), *range(0, len(data), 37), len(data) - 1}
    for length in sorted(lengths):
        with pytest.raises(CheckpointError):
            loaded(tmp_path, data[:length])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("more", [1, 4, 4096])
def test_bytes_at_the_end_are_refused(tmp_path, format, more):
    said = refusal(tmp_path, book(format) + bytes(more))
    assert "belong to nothing" in said
    assert "classifier" not in said


@pytest.mark.parametrize("format", FORMATS)
def test_every_flipped_bit_of_a_header_is_refused_or_makes_another_valid_file(tmp_path, format):
    valid = 0
    for bit in range(8 * header_size(format)):
        data = book(format)
        data[bit // 8] ^= 1 << bit % 8
        try:
            model = loaded(tmp_path, data)
        except CheckpointError:
            continue
        # what no size depends on: the context, and in files without tables how heads divide
        kept = {n: getattr(model.config, n) for n in ("dim", "hidden_dim", "n_layers")}
        assert kept == {"dim": 16, "hidden_dim": 32, "n_layers": 2}
        check_weights(model.config, model.weights)
        model.check_numbers()
        valid += 1
    assert valid == 0 if format == "v0" else 0 < valid < 40


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"24ka", b"24ka\1\0\0\0", b"24ka\2\0\0\0"])
)
def test_random_bytes_are_never_loaded(tmp_path_factory, data, start):
    path = tmp_path_factory.getbasetemp() / "random.bin"
    path.write_bytes(start + data)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=7, max_size=7), st.booleans())
def test_huge_sizes_are_refused_before_anything_is_allocated(tmp_path_factory, sizes, plain):
    path = tmp_path_factory.getbasetemp() / "huge.bin"
    head = struct.pack("<7i", *sizes)
    path.write_bytes(head if plain else b"24ka" + struct.pack("<i", 1) + head + bytes(220))
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_a_header_whose_size_overflows_32_bits_to_that_of_the_file_is_refused(tmp_path):
    """4 * dim * vocab and the rest add up to 2^32 and a little: modulo 2^32, to the little."""
    config = LlamaConfig(1 << 10, 2, 1, 1 << 9, 1 << 9, 1 << 20, 1, True)
    head = struct.pack("<7i", *by_the_book.sizes_of(config))
    d, v = config.dim, config.vocab_size
    size = 28 + 4 * (v * d + 2 * d + 4 * d * d + 6 * d + d + 2)
    assert size > 1 << 32
    assert f"has {size}" in refusal(tmp_path, head + bytes(size % (1 << 32) - 28))


def patched(data, *changes):
    for offset, code, value in changes:
        struct.pack_into(code, data, offset, value)
    return data


DAMAGE = [  # file, how it is damaged, what the message says
    ("v1", [(0, ">I", 0x616B3432)], "big-endian"),
    ("v1", [(4, "<i", 3)], "version 3"),
    ("v1", [(4, "<i", 0)], "version 0"),
    ("v1", [(4, "<i", 2)], "group size .* is 0"),
    ("v1", [(37, "<i", 8)], "historical v1 .* classifier of its own"),
    ("v1", [(36, "<B", 2)], "flag .* is 2"),
    ("v1", [(36, "<B", 1)], "belong to nothing"),
    ("v1", [(200, "<B", 1)], "not zero"),
    ("v2", [(37, "<i", 0)], "group size .* is 0"),
    ("v2", [(37, "<i", -8)], "group size .* is -8"),
    ("v2", [(37, "<i", 7)], "group size 7 does not divide"),
    ("v2", [(36, "<B", 1)], "belong to nothing"),
    ("v2", [(4, "<i", 1)], "historical v1"),
    ("v1-q80", [(37, "<i", 0)], "is cut short"),
    ("v1-q80", [(36, "<B", 0)], "never contains"),
    ("v0", [(12, "<i", 0)], "n_heads is 0"),
    ("v0", [(16, "<i", 3)], "not a multiple of n_kv_heads 3"),
    ("v0", [(20, "<i", 0)], "vocab_size is 0"),
    ("v0", [(20, "<i", 11)], "belong to nothing.*size of a classifier.* a second time"),
    ("v1", [(28, "<i", -11)], "vocab_size is -11.*as v0 before"),
    ("v2", [(28, "<i", -11)], "vocab_size is -11.*as v0 before"),
    ("v0", [(0, "<i", -16)], "dim is -16"),
]


@pytest.mark.parametrize(("format", "changes", "said"), DAMAGE)
def test_damaged_headers_are_refused_with_the_reason(tmp_path, format, changes, said):
    assert re.search(said, refusal(tmp_path, patched(book(format), *changes)))


@pytest.mark.parametrize(("format", "version"), [("v1-q80", 2), ("v2", 1)])
def test_a_wrong_version_shows_in_the_scales(tmp_path, format, version):
    """Both have the same size; read the other way, integers turn up as scales."""
    data = patched(book(format, SHARED), (4, "<i", version))
    assert "version number is wrong" in refusal(tmp_path, data)


def test_scales_that_no_group_has_are_refused(tmp_path):
    for bad in (-1.0, np.nan, np.inf):
        data = book("v2")
        data[-4:] = struct.pack("<f", bad)
        assert "classifier: a scale is" in refusal(tmp_path, data)


@pytest.mark.parametrize("bad", [0x7FC00000, 0x7F800001, 0xFF800000])
def test_numbers_that_are_not_finite_are_found_by_a_check(tmp_path, bad):
    data = book("v1")
    data[-4:] = struct.pack("<I", bad)
    with pytest.raises(WeightsError, match="classifier: number 175 is"):
        loaded(tmp_path, data).check_numbers()


OTHERS = [
    (b"GGUF" + bytes(100), "GGUF"),
    (b"PK\3\4" + bytes(100), "zip archive"),
    (b"\x80\2}q\0" + bytes(100), "pickle"),
    (struct.pack("<Q", 80) + b'{"a": ' + bytes(100), "safetensors"),
    (struct.pack("<Ifi", 9, 0.0, 5) + b"<unk>" + bytes(100), "tokenizer.bin; name it with -z"),
    (b'{\n  "architectures": ["LlamaForCausalLM"], "hidden_size": 16}', "looks like JSON"),
    (struct.pack(">7i", 16, 32, 2, 4, 2, 11, 6) + bytes(100), "big-endian"),
    (b"", "less than any header"),
    (b"<!DOCTYPE html><html><head><title>404</title>", "makes no sense"),
]


@pytest.mark.parametrize(("data", "said"), OTHERS)
def test_other_files_are_called_what_they_are(tmp_path, data, said):
    assert said in refusal(tmp_path, data)


@pytest.mark.parametrize("dim", [640, 0x0380])
def test_a_dim_may_begin_like_another_kind_of_file(tmp_path, dim):
    """640 is 80 02 00 00 on disk; a pickle begins with 80 02, too."""
    config = LlamaConfig(dim, 2, 1, 10 if dim == 640 else 14, 2, 5, 4, True)
    assert loaded(tmp_path, book("v0", config)).config == config


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="neither a file nor a folder"):
        load_checkpoint("/dev/null")
    with pytest.raises(CheckpointError, match="name too long"):
        load_checkpoint("a" * 5000)


# The recipes of the golden files


def apply(recipe, data):
    """Does to `data` what a recipe says in words."""
    op = recipe["op"]
    known = {
        "drop last 4 bytes": lambda: data[:-4],
        "drop last byte": lambda: data[:-1],
        "append 4 zero bytes": lambda: data + bytes(4),
        "keep first 28 bytes": lambda: data[:28],
        "keep first 27 bytes": lambda: data[:27],
        "bytes 0..3 reversed (big-endian magic)": lambda: data[3::-1] + data[4:],
        "version field (offset 4) = 3": lambda: patched(data, (4, "<i", 3)),
        "version field = 2": lambda: patched(data, (4, "<i", 2)),
        "int32 at 37 = 32 (claims seed-v1)": lambda: patched(data, (37, "<i", 32)),
        "int32 at 37 = 0": lambda: patched(data, (37, "<i", 0)),
        "int32 at 37 = 0 (claims today-v1)": lambda: patched(data, (37, "<i", 0)),
        "flip shared byte at 36": lambda: patched(data, (36, "<B", data[36] ^ 1)),
        "n_heads (offset 12) = 0": lambda: patched(data, (12, "<i", 0)),
        "n_kv_heads (offset 16) = 3": lambda: patched(data, (16, "<i", 3)),
    }
    return known[op]()


def recipes():
    found = golden_json("manifest.json")["malformed_recipes"] if GOLDEN.exists() else []
    return [each for each in found if each["source"].startswith("models/")]


@needs_golden
@pytest.mark.parametrize("recipe", recipes(), ids=lambda each: each["op"])
def test_every_malformed_recipe_is_refused(tmp_path, recipe):
    data = apply(recipe, bytearray((GOLDEN / recipe["source"]).read_bytes()))
    said = "big-endian" if "endian" in recipe["expect"] else "model.bin"
    assert said in refusal(tmp_path, data)
