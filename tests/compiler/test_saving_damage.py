"""Whatever is in the folder: it is loaded as it was saved, or refused with the reason."""

import json
import math
import os
import resource
import shutil
import struct
import time

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracr_lite
from tests.compiler.saved import (
    WORD,
    bits,
    body_in,
    edit,
    files,
    numerical_model,
    put_weights,
    resigned,
    small_model,
)
from tracr_lite.compiler.saving import json_text, opening
from tracr_lite.compiler.saving.names import CARD, RECORD, WEIGHTS
from tracr_lite.errors import SavedModelError

LAW = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Both models, saved once; each test damages a copy."""
    place = tmp_path_factory.mktemp("saved")
    for name, make in (("small", small_model), ("numerical", numerical_model)):
        make().save(place / name)
    return place


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved / "small", tmp_path / "model")


@pytest.fixture
def numerical(saved, tmp_path):
    return shutil.copytree(saved / "numerical", tmp_path / "numerical")


def refused(folder, said):
    with pytest.raises(SavedModelError, match=said) as raised:
        tracr_lite.load(folder)
    assert str(raised.value).startswith(f"cannot load {str(folder)!r}: ")
    return str(raised.value)


# Damage by accident


@pytest.mark.parametrize("name", [RECORD, WEIGHTS])
def test_every_truncation_is_refused(folder, name):
    whole = (folder / name).read_bytes()
    for size in sorted({0, 1, 7, 8, 9, *range(0, len(whole), 97), len(whole) - 1}):
        if whole[size:].strip():  # without its last line end, the record is still whole
            (folder / name).write_bytes(whole[:size])
            refused(folder, name)


@LAW
@given(st.data())
def test_a_changed_byte_is_noticed(saved, tmp_path, data):
    folder = tmp_path / "model"
    shutil.copytree(saved / "small", folder, dirs_exist_ok=True)
    name = data.draw(st.sampled_from([RECORD, WEIGHTS]))
    whole = bytearray((folder / name).read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(whole)
    try:
        found = tracr_lite.load(folder)
    except SavedModelError as error:
        assert name in str(error)  # noqa: PT017
    else:  # one kind of space became another
        assert json.loads(whole) == body_in(saved / "small")
        assert bits(found.params) == bits(tracr_lite.load(saved / "small").params)


@pytest.mark.parametrize("name", [RECORD, WEIGHTS])
def test_a_file_that_grew_is_refused(folder, name):
    with (folder / name).open("ab") as file:
        file.write(b"\0")
    refused(folder, f"{name}: it is (too long|not readable)")


@pytest.mark.parametrize("name", [RECORD, WEIGHTS])
def test_a_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    refused(folder, f"it has no {name}")


def test_the_page_for_people_is_not_needed(folder):
    (folder / CARD).unlink()
    (folder / "notes.txt").write_text("mine")
    assert tracr_lite.load(folder).predict(WORD) == ["aa", "bb", "aa"]


def test_files_of_two_models_do_not_go_together(folder, numerical):
    shutil.copy(numerical / WEIGHTS, folder / WEIGHTS)
    refused(folder, f"{WEIGHTS}: it is (cut short|too long)")
    whole = bytearray((numerical / WEIGHTS).read_bytes())
    whole[-1] ^= 1
    (numerical / WEIGHTS).write_bytes(whole)
    refused(numerical, f"{WEIGHTS}: its sha256 is not the one in the record")


# Other things than saved models


def test_a_place_without_a_folder_is_refused(tmp_path):
    refused(tmp_path / "nothing", "there is no such folder")
    (tmp_path / "file").write_bytes(b"x")
    refused(tmp_path / "file", "it is a file; a saved model is a folder with model.json and")
    refused(tmp_path / "file" / "inner", "it is a file|Not a directory")
    (tmp_path / "link").symlink_to(tmp_path / "link")
    refused(tmp_path / "link", "symbolic links")
    refused(tmp_path / "\0", "no path")
    refused(tmp_path / ("x" * 300), "name too long")


def test_a_path_of_another_type_is_an_error_of_type():
    with pytest.raises(TypeError):
        tracr_lite.load(7)


FOREIGN = {
    "config.json": "a Hugging Face model",
    "dataset.json": "a data set",
    "adapter_config.json": "a low-rank adapter",
    "params.json": "an original Llama checkpoint",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_folders_of_other_programs_are_recognised(tmp_path, name):
    (tmp_path / name).write_text("{}")
    refused(tmp_path, f"it has no model.json; it looks like {FOREIGN[name]}")


def test_an_empty_folder_is_refused(tmp_path):
    refused(tmp_path, "it has no model.json$")


@pytest.mark.parametrize("name", [RECORD, WEIGHTS])
def test_what_is_no_file_is_not_read(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(folder, f"{name} is no file")
    (folder / name).rmdir()
    os.mkfifo(folder / name)  # reading it would wait for ever
    refused(folder, f"{name} is no file")
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    refused(folder, f"{name} is no file")


def test_files_may_be_links_to_a_store(folder, tmp_path):
    for name in (RECORD, WEIGHTS):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
    assert tracr_lite.load(folder).predict(WORD) == ["aa", "bb", "aa"]


# The record, edited by hand


def test_an_edit_without_the_digest_is_refused(folder):
    text = (folder / RECORD).read_text()
    (folder / RECORD).write_text(text.replace('"causal": false', '"causal": true'))
    refused(folder, "does not fit its own sha256: it was edited or damaged")
    (folder / RECORD).write_text(text.replace('"sha256": "', '"sha256": "0'))
    refused(folder, "weights.sha256|its own sha256")


NO_RECORD = [
    (b"", "not readable as JSON"),
    (b"\xff\xfe", "not readable as JSON"),
    (b"\xef\xbb\xbf{}", "not readable as JSON"),
    (b"[1, 2]", r"it is JSON, but \[1, 2\] is no object"),
    (b"null", "no object"),
    (b"{}", "its format is not given; that of a saved model is 'tracr_lite.model'"),
    (b'{"format": "tracr_lite.dataset", "version": 1}', "its format is 'tracr_lite.dataset'"),
    (b'{"format": "tracr_lite.model"}', "its version is None; it must be 1"),
    (b'{"format": "tracr_lite.model", "version": true}', "its version is True"),
    (b'{"format": "tracr_lite.model", "version": 1.0}', r"its version is 1\.0"),
    (b'{"format": "tracr_lite.model", "version": 0}', "its version is 0"),
    (b'{"format": "tracr_lite.model", "version": 2}', "knows up to 1; install a newer"),
    (b'{"format": "tracr_lite.model", "version": 1}', "does not fit its own sha256"),
    (b'{"format": 1, "format": 2}', "the key 'format' occurs twice"),
    (b'{"format": "tracr_lite.model", "version": NaN}', "NaN is no JSON"),
    (b'{"format": "tracr_lite.model", "version": 1, "x": 1e999}', "not usable|JSON compliant"),
    (b'{"x": ' + b"9" * 5000 + b"}", "not readable as JSON"),
    (b"[" * 100_000, "not readable as JSON"),
    (b'{"x":' * 100_000, "not readable as JSON"),
    (b"\x80\x04}q\x00.", "not readable as JSON"),  # a pickle
    (b"PK\x03\x04", "not readable as JSON"),
]


@pytest.mark.parametrize(("text", "said"), NO_RECORD, ids=lambda each: ascii(each)[:40])
def test_what_is_no_record_is_refused(folder, text, said):
    (folder / RECORD).write_bytes(text)
    assert "model.json: " in refused(folder, said)


def test_a_record_beyond_all_measure_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(opening, "MAX_BYTES", 100)
    refused(folder, "it has more than 100 bytes")


EDITS = [  # where, what, and what is said about it
    ("config.num_heads", 0, r"config.num_heads is 0; it must be a whole number from 1 to"),
    (
        "config.num_heads",
        2,
        r"attn/.*/b has the shape \[4\]; the configuration asks for \[8\]",
    ),
    ("config.num_heads", True, "config.num_heads is True"),
    ("config.num_heads", 1.0, r"config.num_heads is 1\.0"),
    ("config.num_heads", 2**31, "config.num_heads is 2147483648"),
    ("config.num_heads", 2**31 - 1, "has the shape"),
    ("config.num_layers", 2**31 - 1, "26 arrays are too few for 2147483647 layers"),
    ("config.num_layers", 26, "is missing"),
    ("config.num_layers", 1, "layer_1.* is not one of this model"),
    ("config.num_layers", -1, "config.num_layers is -1"),
    ("config.key_size", 10**30, "config.key_size is 1000"),
    ("config.mlp_hidden_size", 2**31 - 1, "has the shape"),
    ("config.dropout_rate", 1, "config.dropout_rate is 1; it must be from 0 to below 1"),
    ("config.dropout_rate", "0", "config.dropout_rate is '0'; it must be a finite number"),
    ("config.activation_function", "os.system", "it must be one of relu, gelu"),
    ("config.activation_function", None, "config.activation_function is None"),
    ("config.layer_norm", True, "layer_norm/scale'.* is missing"),
    ("config.causal", "no", "config.causal is 'no'; it must be true or false"),
    ("config", [], r"config is \[\]; it must be an object"),
    ("config.extra", 1, "config has an unknown entry 'extra'"),
    ("extra", 1, "model.json: it has an unknown entry 'extra'"),
    ("shape.vocab_size", 5, r"token_embed/embeddings has the shape"),
    ("shape.positions", 2**31 - 1, "pos_embed/embeddings has the shape"),
    ("shape.d_model", 7, "has the shape|from 0 to 6"),
    ("shape.pad_token", 4, "shape.pad_token is 4; it must be a whole number from 0 to 3"),
    ("shape.pad_token", 0, "shape.pad_token is 0, but that of input_encoder has the id "),
    ("shape.readout.columns", [99], r"shape.readout.columns\[0\] is 99"),
    ("shape.readout.columns", [1, 1], "names a column twice"),
    ("shape.readout.columns", [], "needs columns"),
    ("shape.readout.numbers", [0], "categorical needs columns, and no numbers"),
    ("shape.readout.categorical", False, "each column must be a flag, or the one number"),
    ("residual_labels", ["x"], "1 residual labels are not one per column"),
    ("residual_labels.0", 3, r"residual_labels\[0\] is 3; it must be a string"),
    ("residual_labels", {}, r"residual_labels is \{\}; it must be a list"),
    ("space", 1, "space is 1; it must be a list"),
    ("space.0", ["x"], r"space\[0\] is \['x'\]; it must be a name and a value"),
    ("space.0", ["zzz", None], "space must have a direction per column, in their order"),
    ("space.1", ["indices", 0], "space: .*given twice|in their order"),
    ("space.0.1", [1], r"space\[0\]: \[1\] stands for no value"),
    ("input_encoder", {}, "its kind must be categorical or numerical"),
    ("input_encoder.kind", "OwnEncoder", "its kind must be categorical or numerical"),
    ("input_encoder.basis.0.1", "b", "input_encoder: .*distinct values"),
    ("input_encoder.basis.0.1", {"tuple": 1}, "a tuple is written as a list"),
    ("input_encoder.bos_token", "nobody", "no direction for the BOS token 'nobody'"),
    ("input_encoder.bos_token", None, "enforce_bos needs a bos_token"),
    ("input_encoder.max_seq_len", -1, "input_encoder.max_seq_len is -1"),
    ("input_encoder.max_seq_len", 2.5, "input_encoder.max_seq_len is 2.5"),
    ("input_encoder.exact_types", 1, "input_encoder.exact_types is 1"),
    ("output_encoder.basis", [], "output_encoder has 0 values, the model 2 answers"),
    ("input_encoder.basis.0.1", {"int": "0x" + 5000 * "f"}, "more digits than Python prints"),
    ("output_encoder.basis.0.1", {"int": "-0x" + 5000 * "f"}, "more digits than Python prints"),
    ("space.0.1", {"tuple": [{"int": "0x" + 5000 * "f"}]}, "more digits than Python prints"),
    ("input_encoder.pad_token", {"int": "0x" + 5000 * "f"}, "more digits than Python prints"),
    ("output_encoder.pad_token", {"int": "1"}, "output_encoder.pad_token: '1' is no large"),
    ("program", [], r"program is \[\]; it must be an object"),
    ("program.text", None, "program.text is None; it must be a string"),
    ("program.root", 99, "program.root is 99"),
    ("program.graph", [], "program.root is .*; it must be absent"),
    ("program.graph.0.reads", [0], r"program.graph\[0\].reads\[0\] is 0; it must be absent"),
    ("program.graph.1.kind", "Exec", "it must be of Source, Pointwise"),
    ("program.graph.0.label", "tokens", "two nodes of one label|lacks"),
    ("program.nodes", [], "program.nodes lacks"),
    ("program.nodes.0.columns", [-1], r"program.nodes\[0\].columns\[0\] is -1"),
    ("program.nodes.0.heads", [[0, 1]], r"program.nodes\[0\].heads is 1; .* from 0 to 0"),
    ("program.nodes.0.heads", [[0]], "must hold lists of 2 numbers"),
    ("program.nodes.0.neurons", [[0, 5, 2]], r"program.nodes\[0\].neurons is 2; .* from 5 to"),
    ("program.nodes.0.neurons", [[0, 0, 2**31 - 1]], r"program.nodes\[0\].neurons is 2147"),
    ("program.nodes.0.label", "tokens", "program.nodes has 'tokens' twice|lacks"),
    ("made_by", 1, "made_by is 1; it must be a string"),
    ("weights", None, "weights is None; it must be an object"),
    ("weights.bytes", -1, "weights.bytes is -1"),
    (
        "weights.bytes",
        2**62,
        "it is cut short: it has .* bytes; written were 4611686018427387904",
    ),
    ("weights.sha256", "0" * 64, "its sha256 is not the one in the record"),
    ("weights.sha256", 5, "weights.sha256 is 5; it must be a string"),
    ("weights.file", "../../etc/passwd", "weights.file is '../../etc/passwd'"),
]


def put(body, path, value):
    *outer, last = path.split(".")
    for step in outer:
        body = body[int(step) if isinstance(body, list) else step]
    body[int(last) if isinstance(body, list) else last] = value


@pytest.mark.parametrize(("path", "value", "said"), EDITS, ids=lambda each: ascii(each)[:30])
def test_an_entry_that_is_wrong_is_named(folder, path, value, said):
    started = time.process_time()
    edit(folder, lambda body: put(body, path, value))
    refused(folder, said)
    assert time.process_time() - started < 2  # however large the numbers are


NUMERICAL_EDITS = [
    ("output_encoder.values", ["1"], "known values must be finite numbers; got '1'"),
    ("output_encoder.values", 1, "output_encoder.values is 1; it must be a list"),
    ("output_encoder.values", [{"int": "0x" + 300 * "f"}], "is past the range of a float"),
    ("output_encoder.values", [{"int": "0x" + 5000 * "f"}], "more digits than Python prints"),
    ("output_encoder.tolerance", -1, "tolerance must not be negative"),
    ("output_encoder.tolerance", "inf", "output_encoder.tolerance is 'inf'"),
    ("shape.readout.numbers", [0, 1], "each column must be a flag, or the one number"),
    ("shape.readout.flags", [], "each column must be a flag, or the one number"),
]


@pytest.mark.parametrize(("path", "value", "said"), NUMERICAL_EDITS)
def test_a_wrong_entry_of_a_model_of_numbers_is_named(numerical, path, value, said):
    edit(numerical, lambda body: put(body, path, value))
    refused(numerical, said)


@pytest.mark.parametrize("name", ["config", "shape", "weights", "space", "program", "made_by"])
def test_a_missing_entry_is_named(folder, name):
    edit(folder, lambda body: body.pop(name) and None)
    refused(folder, f"lacks '{name}'|weights is None")


@pytest.mark.parametrize("depth", [10, 100, 300, 600, 900, 1500, 5000, 50_000])
@pytest.mark.parametrize(
    "place", ["config", "made_by", "space.-1.1", "program.text", "weights"]
)
def test_lists_in_lists_are_refused_at_any_depth(folder, depth, place):
    body = body_in(folder)
    for start, end in (("[", "]"), ('{"tuple": [', "]}")):
        put(body, place, "here")
        deep = start * depth + end * depth
        text = resigned(body).decode().replace('"here"', deep)
        (folder / RECORD).write_text(text)
        refused(folder, "model.json: ")
        try:
            put(body, place, json.loads(deep))
            (folder / RECORD).write_bytes(resigned(body))
        except RecursionError:
            continue  # nobody can sign that
        if depth <= 100 and place == "space.-1.1" and start != "[":
            tracr_lite.load(folder)  # a value like any other
        else:
            refused(folder, "model.json: |model.safetensors: weights")


def test_messages_are_short_and_fit_for_a_terminal(folder):
    hostile = "\x1b[2J\u202e" + "x" * 10**6
    edit(folder, lambda body: put(body, "config.activation_function", hostile))
    said = refused(folder, "activation_function is")
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 500
    edit(folder, lambda body: put(body, "config.activation_function", "relu"))
    labels = {"codes": [0x1B, 0xD800, 0x1B] * 10**5}
    basis = [["tokens", labels], ["tokens", labels]]
    edit(folder, lambda body: put(body, "input_encoder.basis", basis))
    said = refused(folder, "input_encoder: an encoder needs directions with distinct values")
    assert said.isprintable()
    assert len(said) < 10_000


def test_a_file_beyond_the_configuration_is_not_read(folder):
    """A hole of a terabyte costs nothing to make."""
    (folder / WEIGHTS).write_bytes(b"")
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(2**40)
    edit(folder, lambda body: put(body, "weights.bytes", 2**40))
    refused(folder, "it has 1099511627776 bytes; weights of this shape take fewer")
    sizes = {"vocab_size": 2**31 - 1, "positions": 2**31 - 1, "d_model": 2**31 - 1}
    edit(folder, lambda body: body["shape"].update(sizes) and None)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**39, before[1]))
    try:
        refused(folder, "too little memory")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def places(found, path=()):
    """All paths into JSON."""
    yield path
    if isinstance(found, dict | list):
        keys = found if isinstance(found, dict) else range(len(found))
        for key in keys:
            yield from places(found[key], (*path, key))


def places_inside(found):
    return sorted((path for path in places(found) if path), key=str)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 30)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["relu", "tokens", "categorical", "numerical", "Source", "a"])
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tuple", "int", "codes", "kind", "x"]), inner, max_size=2
        )
    ),
    max_leaves=4,
)


@LAW
@given(st.data())
def test_any_edit_is_refused_or_gives_a_model(saved, tmp_path, data):
    """With a digest that fits. Never another exception, and never a model that cannot run."""
    name = data.draw(st.sampled_from(["small", "numerical"]))
    folder = tmp_path / "model"
    shutil.copytree(saved / name, folder, dirs_exist_ok=True)
    body = body_in(folder)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places_inside(body)))
        inner = body
        for step in path[:-1]:
            inner = inner[step]
        change = data.draw(st.sampled_from(["put", "remove", "repeat"]))
        if change == "put":
            inner[path[-1]] = data.draw(ANYTHING)
        elif change == "remove":
            del inner[path[-1]]
        elif isinstance(inner, list):
            inner.append(inner[path[-1]])
    (folder / RECORD).write_bytes(resigned(body))
    try:
        model = tracr_lite.load(folder)
    except SavedModelError:
        return
    assert bits(model.params) == bits(tracr_lite.load(saved / name).params)
    model.save(tmp_path / "again", overwrite=True)


# The weights


def replaced(folder, change):
    """Weights as safetensors writes them, changed."""
    flat = safetensors.numpy.load((folder / WEIGHTS).read_bytes())
    change(flat)
    put_weights(folder, safetensors.numpy.save(flat))


def spoil(value):
    def change(flat):
        flat["pos_embed/embeddings"][1, 2] = value

    return change


WEIGHT_EDITS = [
    (
        spoil(math.nan),
        r"pos_embed/embeddings holds nan at \[1, 2\]; the weights of a model are",
    ),
    (spoil(math.inf), r"pos_embed/embeddings holds inf at \[1, 2\]"),
    (spoil(-math.inf), r"pos_embed/embeddings holds -inf at \[1, 2\]"),
    (
        lambda flat: flat.pop("pos_embed/embeddings"),
        "the array 'pos_embed/embeddings' is missing",
    ),
    (lambda flat: flat.clear(), "0 arrays are too few for 2 layers"),
    (
        lambda flat: flat.update(more=np.zeros(3, np.float32)),
        "the array 'more' is not one of this model",
    ),
    (
        lambda flat: flat.update({"pos_embed/embeddings": np.zeros((4, 3), np.float32)}),
        r"pos_embed/embeddings has the shape \[4, 3\]; the configuration asks for",
    ),
    *(
        (
            lambda flat, dtype=dtype: flat.update(
                {"pos_embed/embeddings": flat["pos_embed/embeddings"].astype(dtype)}
            ),
            f"'pos_embed/embeddings' is of dtype '{code}'; it must be F32",
        )
        for dtype, code in ((np.float16, "F16"), (np.float64, "F64"), (np.int32, "I32"))
    ),
]


@pytest.mark.parametrize(("change", "said"), WEIGHT_EDITS)
def test_other_weights_are_refused_by_name(folder, change, said):
    replaced(folder, change)
    assert f"{WEIGHTS}: " in refused(folder, said)


def test_a_file_of_safetensors_with_remarks_and_without_padding_is_read(folder, saved):
    flat = safetensors.numpy.load((folder / WEIGHTS).read_bytes())
    put_weights(folder, safetensors.numpy.save(flat, {"made": "elsewhere"}))
    assert tracr_lite.load(folder).predict(WORD) == ["aa", "bb", "aa"]
    _, text, data = parts(folder)
    for spaces in range(4):
        put_weights(folder, packed(text.rstrip() + b" " * spaces, data))
        model = tracr_lite.load(folder)
        assert bits(model.params) == bits(tracr_lite.load(saved / "small").params)
        assert not model.params["pos_embed"]["embeddings"].base.flags.writeable


def parts(folder):
    whole = (folder / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    return size, whole[8 : 8 + size], whole[8 + size :]


def packed(text, data, size=None):
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def with_header(folder, change):
    _, text, data = parts(folder)
    header = json.loads(text)
    changed = change(header)
    put_weights(folder, packed(json.dumps(changed or header).encode(), data))


def entry(**fields):
    def change(header):
        header["pos_embed/embeddings"] |= fields

    return change


HEADERS = [
    (entry(data_offsets=[0, 10**30]), "data_offsets"),
    (entry(data_offsets=[-4, 0]), "data_offsets"),
    (entry(data_offsets=[8, 4]), "data_offsets"),
    (entry(data_offsets=[0]), "data_offsets"),
    (entry(data_offsets=[0, 1, 2]), "data_offsets"),
    (entry(data_offsets=None), "data_offsets"),
    (entry(data_offsets=[0, 224]), "overlap, or leave a gap|do not fit its shape"),
    (entry(data_offsets=[0.0, 4.0]), "data_offsets"),
    (entry(shape=[2**62, 2**62]), "shape"),
    (entry(shape=[0, 2**40]), "shape"),
    (entry(shape=[-4, -4]), "shape"),
    (entry(shape=[1] * 10**5), "shape"),
    (entry(shape="4"), "shape"),
    (entry(shape=[True]), "shape"),
    (entry(dtype="F33"), "is of dtype 'F33'; it must be F32"),
    (entry(dtype=None), "is of dtype None"),
    (entry(dtype=["F32"]), "is of dtype"),
    (entry(more=1), "unknown entry 'more'"),
    (lambda header: header["pos_embed/embeddings"].pop("dtype") and None, "lacks 'dtype'"),
    (lambda header: header.update({"pos_embed/embeddings": 3}), "is 3; it must be an object"),
    (
        lambda header: {"x": header["pos_embed/embeddings"]},
        "take 256 bytes, but there are 5288",
    ),
    (
        lambda header: header.pop("pos_embed/embeddings") and None,
        "where byte 0 should come next",
    ),
    (lambda header: {name: header[name] for name in list(header)[:3]}, "there are"),
]


@pytest.mark.parametrize(("change", "said"), HEADERS)
def test_a_hostile_header_is_refused(folder, change, said):
    with_header(folder, change)
    assert f"{WEIGHTS}: " in refused(folder, said)


NO_WEIGHTS = [
    (b"", "it has 0 bytes, which is less than any header"),
    (b"1234567", "less than any header"),
    (packed(b"{}", b"", size=2**63), "claims a header of 9223372036854775808 bytes"),
    (packed(b"{}", b"", size=3), "claims a header of 3 bytes, and has 10"),
    (packed(b"[]", b""), "no object"),
    (packed(b"{}", b"1234"), "its tensors take 0 bytes, but there are 4"),
    (packed(b"\xff", b""), "not readable as JSON"),
    (packed(b'{"a": 1, "a": 1}', b""), "the key 'a' occurs twice"),
    (packed(b'{"a":' * 10**5, b""), "not readable as JSON"),
    (b"\x80\x02}q\x00.        ", "claims a header"),  # a pickle
]


@pytest.mark.parametrize(("data", "said"), NO_WEIGHTS, ids=lambda each: ascii(each)[:30])
def test_what_is_no_safetensors_file_is_refused(folder, data, said):
    put_weights(folder, data)
    assert f"{WEIGHTS}: " in refused(folder, said)


@LAW
@given(st.data())
def test_any_change_of_the_header_is_refused_or_harmless(saved, tmp_path, data):
    """What the library safetensors refuses is refused here, and more."""
    folder = tmp_path / "model"
    shutil.copytree(saved / "small", folder, dirs_exist_ok=True)
    _, text, rest = parts(folder)
    header = json.loads(text)
    path = data.draw(st.sampled_from(places_inside(header)))
    inner = header
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = data.draw(ANYTHING | st.integers(0, 4000))
    whole = packed(json.dumps(header).encode(), rest)
    put_weights(folder, whole)
    try:
        model = tracr_lite.load(folder)
    except SavedModelError:
        return
    assert bits(model.params) == bits(tracr_lite.load(saved / "small").params)
    safetensors.numpy.load(whole)


def test_nothing_that_is_refused_is_changed(folder):
    (folder / RECORD).write_bytes(b"{}")
    before = files(folder)
    refused(folder, "format")
    assert files(folder) == before
    assert json_text.START in resigned({"format": json_text.FORMAT, "version": 1})
