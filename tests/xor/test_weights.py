"""Changed weights of checkpoints, tensor by tensor."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.xor.trees import GOLDEN, grow, needs_golden
from tracr_lite.xor import TensorChange, decode, encode
from tracr_lite.xor.changes import count_changes
from tracr_lite.xor.layouts import MAX_HEADER, layout

KINDS = [np.float32, np.float16, ml_dtypes.bfloat16, np.float64, np.int8]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_safetensors_are_compared_by_name_and_weight(tmp_path, kind):
    rng = np.random.default_rng(0)
    old = {n: rng.integers(-9, 9, (300, 501)).astype(kind) for n in ("a", "b", "gone")}
    new = {"b": old["b"].copy(), "a": old["a"].copy(), "fresh": np.ones(7, kind)}
    where = rng.choice(new["a"].size, 1234, replace=False)
    new["a"].flat[where] = new["a"].flat[where] + np.array(1, kind)
    for side, tensors in (("base", old), ("target", new)):
        (tmp_path / side).mkdir()
        save_file(tensors, tmp_path / side / "m.safetensors")
    changes = encode(tmp_path / "r", tmp_path / "target", tmp_path / "base").changes
    assert {
        each.name: (each.count, each.changed, each.note) for each in changes["m.safetensors"]
    } == {
        "a": (150_300, 1234, ""),
        "b": (150_300, 0, ""),
        "fresh": (7, 7, "new"),
        "gone": (150_300, 150_300, "gone"),
    }


def test_other_types_and_shapes_count_as_changed(tmp_path):
    save_file({"a": np.ones(4, np.float32), "b": np.ones(4)}, tmp_path / "1.safetensors")
    save_file({"a": np.ones(4, np.float16), "b": np.ones(5)}, tmp_path / "2.safetensors")
    assert set(count_changes(tmp_path / "2.safetensors", tmp_path / "1.safetensors")) == {
        TensorChange("a", 4, 4, "was F32, is F16"),
        TensorChange("b", 5, 5, "had 4 weights"),
    }


DIM, HIDDEN, LAYERS, HEADS, KV, VOCAB, LENGTH = 8, 12, 3, 4, 2, 11, 5


def v0(classifier):
    """A llama2.c checkpoint of the first version: {name: array}, in the order of the file."""
    kv = DIM // HEADS * KV
    shapes = {
        "embedding": [VOCAB * DIM],
        "att_norm": [DIM] * LAYERS,
        "wq": [DIM * DIM] * LAYERS,
    }
    shapes |= {"wk": [kv * DIM] * LAYERS, "wv": [kv * DIM] * LAYERS, "wo": [DIM * DIM] * LAYERS}
    shapes |= {"ffn_norm": [DIM] * LAYERS} | {
        w: [DIM * HIDDEN] * LAYERS for w in ("w1", "w2", "w3")
    }
    shapes |= {"norm": [DIM], "rope_cos": [LENGTH], "rope_sin": [LENGTH]}
    shapes |= {"classifier": [VOCAB * DIM]} if classifier else {}
    return {
        (f"layers.{i}.{name}" if len(sizes) > 1 else name): np.zeros(size, np.float32)
        for name, sizes in shapes.items()
        for i, size in enumerate(sizes)
    }


def write_v0(path, tensors, classifier):
    vocab = -VOCAB if classifier else VOCAB
    head = struct.pack("<7i", DIM, HIDDEN, LAYERS, HEADS, KV, vocab, LENGTH)
    path.write_bytes(head + b"".join(each.tobytes() for each in tensors.values()))


@pytest.mark.parametrize("classifier", [False, True])
def test_llama2c_tensors_are_where_they_belong(tmp_path, classifier):
    tensors = v0(classifier)
    write_v0(tmp_path / "old.bin", tensors, classifier)
    for number, each in enumerate(tensors.values(), 1):
        each[: min(number, each.size)] = number
    write_v0(tmp_path / "new.bin", tensors, classifier)
    changes = count_changes(tmp_path / "new.bin", tmp_path / "old.bin")
    assert [(c.name, c.count, c.changed) for c in changes] == [
        (name, each.size, int(np.count_nonzero(each))) for name, each in tensors.items()
    ]


MODELS = GOLDEN.parent / "models"
GOLDEN_CHECKPOINTS = sorted(MODELS.rglob("model_v*.bin")) if MODELS.is_dir() else []


@needs_golden
def test_all_golden_checkpoints_are_known():
    assert len(GOLDEN_CHECKPOINTS) >= 3
    for path in GOLDEN_CHECKPOINTS:
        spans = layout(path)
        assert spans is not None, path
        ends = [span.end for span in spans.values()]
        assert [span.start for span in spans.values()][1:] == ends[:-1]
        assert ends[-1] == path.stat().st_size


BROKEN = {
    "no json": b"\x05" + bytes(7) + b"{nope",
    "too long": b"\xff" * 8 + b"{}",
    "outside": {"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}},
    "no fit": {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 3]}},
    "no type": {"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}},
    "negative": {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}},
    "list": [1],
    "short": b"\x01",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_checkpoint_is_released_as_bytes(tmp_path, content):
    if not isinstance(content, bytes):
        header = json.dumps(content).encode()
        content = struct.pack("<Q", len(header)) + header + bytes(4)
    base = grow(tmp_path / "b", {"m.safetensors": content})
    assert encode(tmp_path / "r", base, base).changes == {}


def test_a_header_that_would_take_much_memory_is_not_read_but_said(tmp_path):
    header = b" " * (MAX_HEADER + 1)
    content = struct.pack("<Q", len(header)) + header
    base = grow(tmp_path / "b", {"m.safetensors": content, "n.safetensors": content})
    report = encode(tmp_path / "r", base, base)
    assert report.changes == {}
    notes = [note for note in report.notes if "not compared: its header has 2097153" in note]
    assert [note.split()[2] for note in notes] == ["m.safetensors", "n.safetensors"]


def test_a_file_that_cannot_be_compared_is_released_and_said(tmp_path, monkeypatch):
    base = grow(tmp_path / "b", {"m.bin": bytes(9)})

    def broken(*_):
        raise OSError(5, "Input/output error", "m.bin")

    monkeypatch.setattr("tracr_lite.xor.encoding.count_changes", broken)
    report = encode(tmp_path / "r", base, base)
    assert "weights of m.bin not compared: Input/output error (m.bin)" in report.notes
    assert decode(tmp_path / "d", tmp_path / "r", base).wrong == ()
