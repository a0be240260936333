"""Damaged data sets are refused, with the file and the reason."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tracr_lite.mass import DatasetError, read_dataset, write_dataset
from tracr_lite.mass.manifest import FileState

WEIGHTS, RECORDS, REFUSED = (
    f"shard-00001.{ending}" for ending in ("safetensors", "jsonl", "refused.jsonl")
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folders = {}
    for storage in ("sparse", "dense"):
        folders[storage] = tmp_path_factory.mktemp("whole") / storage
        arguments = {"count": 9, "shard_size": 3, "max_seq_len": 3, "vocab_size": 3}
        write_dataset(folders[storage], workers=0, storage=storage, **arguments)
    return folders


@pytest.fixture(params=["sparse", "dense"])
def folder(whole, tmp_path, request):
    shutil.copytree(whole[request.param], tmp_path / "set")
    return tmp_path / "set"


def cut(data):
    return data[: len(data) // 2]


def flip(data):
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGE = {
    "cut": (cut, r"cut short: it has \d+ bytes; written were \d+"),
    "empty": (lambda data: b"", "cut short: it has 0 bytes"),
    "longer": (lambda data: data + b"{}", "too long"),
    "flipped": (flip, "changed or damaged: its sha256 is another one"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", [WEIGHTS, RECORDS])
def test_a_damaged_shard_is_refused_and_the_others_are_read(folder, name, damage):
    change, reason = DAMAGE[damage]
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    dataset = read_dataset(folder)
    assert [dataset[i].index for i in (0, 1, 2, 6, 7, 8)] == [0, 1, 2, 6, 7, 8]
    for index in (3, 4, 5):
        with pytest.raises(DatasetError, match=f"{name} (is|was) {reason}"):
            dataset[index]
    with pytest.raises(DatasetError, match=name):
        list(dataset)
    with pytest.raises(DatasetError, match=f"is damaged: {name}"):
        dataset.check()


@pytest.mark.parametrize("name", [WEIGHTS, RECORDS])
def test_a_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=f"{name} is missing"):
        read_dataset(folder)[3]
    with pytest.raises(DatasetError, match=f"{name}' is missing; this data set is damaged"):
        write_dataset(folder)


def test_damaged_refusals_are_refused(folder):
    with (folder / REFUSED).open("ab") as file:
        file.write(b"{}")
    assert len(list(read_dataset(folder))) == 9
    with pytest.raises(DatasetError, match=f"{REFUSED} is too long"):
        list(read_dataset(folder).refused())
    with pytest.raises(DatasetError, match=r"has \d+ bytes, not \d+; this data set is damaged"):
        write_dataset(folder)


@pytest.mark.parametrize("change", [cut, flip, lambda data: b"", lambda data: b"[1]"])
def test_a_damaged_manifest_is_refused(folder, change):
    path = folder / "dataset.json"
    path.write_bytes(change(path.read_bytes()))
    for use in (read_dataset, write_dataset):
        with pytest.raises(DatasetError, match=r"dataset\.json' is not usable"):
            use(folder)


def signed(folder, change):
    """Changes the manifest, and makes its own digest fit again."""
    path = folder / "dataset.json"
    body = json.loads(path.read_bytes())
    body.pop("sha256")
    change(body)
    text = json.dumps(body, sort_keys=True).encode()
    path.write_text(json.dumps(body | {"sha256": hashlib.sha256(text).hexdigest()}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body.update(version=2), "its version is 2; this program knows 1"),
        (lambda body: body.update(format="zip"), "its format is not"),
        (lambda body: body["shards"][0]["files"].popitem(), "its shard 0 is not one"),
        (lambda body: body["shards"][0].update(samples="3"), "its shard 0 is not one"),
        (lambda body: body["shards"][0].pop("draws"), "draws"),
        (lambda body: body["arguments"].update(colour="red"), "colour"),
        (lambda body: body["arguments"].update(count=-1), "count is -1"),
        (lambda body: body.pop("arguments"), "arguments"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(folder, change, reason):
    signed(folder, change)
    with pytest.raises(DatasetError, match=reason):
        read_dataset(folder)


def test_a_folder_that_is_none_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DatasetError, match=r"is no data set: it has no dataset\.json"):
            read_dataset(folder)


def resigned(folder, name, data):
    """Replaces a file, and makes the manifest fit."""
    (folder / name).write_bytes(data)
    state = FileState.of(data)
    entry = {"bytes": state.bytes, "sha256": state.sha256}
    signed(folder, lambda body: body["shards"][1]["files"].update({name: entry}))


def changed_record(change):
    def apply(folder):
        lines = (folder / RECORDS).read_text().splitlines()
        record = json.loads(lines[0])
        change(record)
        lines[0] = json.dumps(record)
        resigned(folder, RECORDS, ("\n".join(lines) + "\n").encode())

    return apply


def changed_weights(change):
    def apply(folder):
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / "other")
        resigned(folder, WEIGHTS, (folder / "other").read_bytes())

    return apply


def replaced(number):
    """Puts a value into all tensors of the sample with index 3."""

    def change(tensors):
        for name in list(tensors):
            if name.startswith("3/") and not name.endswith("values"):
                tensors[name] = np.array([number] * tensors[name].size)

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed_record(lambda record: record.pop("nodes")),
        changed_record(lambda record: record.update(index=4)),
        changed_record(lambda record: record["nodes"].update(x={"columns": [99999]})),
        changed_record(lambda record: record.update(vocab=5)),
        changed_record(lambda record: record.update(shapes=[])),
        changed_record(lambda record: record["shapes"].update({"token_embed/embeddings": [2]})),
        changed_record(lambda record: record["shapes"].update({"more/w": ["x"]})),
        changed_weights(lambda tensors: [tensors.pop(k) for k in list(tensors) if k[0] == "3"]),
        changed_weights(replaced(-1)),
        changed_weights(replaced(2**40)),
        changed_weights(replaced(0.5)),
        lambda folder: resigned(folder, RECORDS, b"{}\n"),
        lambda folder: resigned(folder, RECORDS, b"no json\n" * 3),
        lambda folder: resigned(folder, WEIGHTS, b"no safetensors"),
    ],
)
def test_files_that_contradict_each_other_are_refused(folder, change):
    """Digests are no protection against somebody who writes them anew."""
    change(folder)
    with pytest.raises(DatasetError):
        read_dataset(folder)[3]
