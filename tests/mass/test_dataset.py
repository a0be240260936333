"""Data sets: what is written is what was compiled, and is read back one by one."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests.mass.programs import children, same_weights
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.compiler.compiling import compile_once
from tracr_lite.errors import CompileError
from tracr_lite.mass import DatasetError, Recipe, draws, read_dataset, write_dataset, writing
from tracr_lite.rasp.base import topological
from tracr_lite.sampling import source_of

ROOT = Path(__file__).parents[2]
ARGUMENTS = {
    "count": 25,
    "shard_size": 10,
    "max_seq_len": 4,
    "vocab_size": 3,
    "causal": "mixed",
}


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    write_dataset(folder, workers=0, **ARGUMENTS)
    return folder


@pytest.fixture
def dataset(written):
    with read_dataset(written) as opened:
        yield opened


def test_a_sample_is_what_the_compiler_makes_of_its_program(dataset):
    assert len(dataset) == 25
    assert dataset.complete
    for index, sample in enumerate(dataset):
        assert sample.index == index
        read = sample.program()
        assert (read.vocab, read.max_seq_len, read.causal) == (
            sample.vocab,
            sample.max_seq_len,
            sample.causal,
        )
        model = compile_rasp_to_model(read.program, read.vocab, 4, causal=read.causal)
        assert same_weights(sample.params, model.params)
        assert sample.residual_labels == model.residual_labels
        assert sample.nodes == model.nodes
        for name, value in sample.config.items():
            ours = getattr(model.model_config, name)
            assert value == (ours.__name__ if callable(ours) else ours)


def test_the_text_is_that_of_the_program_which_was_drawn(dataset):
    recipe = Recipe(**ARGUMENTS)
    for sample in dataset:
        drawn = recipe.program(sample.draw)
        assert sample.text == drawn.text
        assert source_of(sample.program().program) == source_of(drawn.program)
        assert 6 <= len(topological(drawn.program)) <= 10
        assert (len(drawn.vocab), drawn.max_seq_len) == (3, 4)
    assert {sample.causal for sample in dataset} == {True, False}


def test_a_sample_runs_without_being_compiled(dataset):
    for index in (0, 7, 13):
        sample = dataset[index]
        read, model = sample.program(), sample.model()
        compiled = compile_rasp_to_model(read.program, read.vocab, 4, causal=read.causal)
        inputs = [["compiler_bos", *sample.vocab], ["compiler_bos", sample.vocab[0]]]
        assert model.apply_batch(inputs) == compiled.apply_batch(inputs)
        assert model.apply(inputs[0]).decoded == compiled.apply(inputs[0]).decoded
        assert model.shape == compiled.shape
        assert np.array_equal(model.unembedding[0], compiled.unembedding[0])


def test_refused_programs_are_kept_with_their_reason(written):
    dataset = read_dataset(written)
    refused = {each["draw"]: each for each in dataset.refused()}
    draws_of_samples = {sample.draw for sample in dataset}
    assert not draws_of_samples & refused.keys()
    assert draws_of_samples | refused.keys() == set(range(dataset.manifest.draws))
    recipe = Recipe(**ARGUMENTS)
    for draw, each in refused.items():
        drawn = recipe.program(draw)
        assert each["program"] == drawn.text
        with pytest.raises(CompileError) as caught:
            compile_once(drawn.program, drawn.vocab, 4, causal=drawn.causal)
        assert (each["kind"], each["reason"]) == ("refused", str(caught.value))


def test_the_limit_on_parameters_refuses_larger_models(tmp_path):
    manifest = write_dataset(tmp_path, workers=0, count=6, max_parameters=3000)
    dataset = read_dataset(tmp_path)
    for sample in dataset:
        assert sum(a.size for g in sample.params.values() for a in g.values()) <= 3000
    reasons = [each["reason"] for each in dataset.refused() if each["kind"] == "too large"]
    assert reasons
    assert all(reason.endswith("parameters, more than 3000") for reason in reasons)
    assert manifest.draws == 6 + manifest.shards[0].refused


@pytest.mark.parametrize("storage", ["sparse", "dense"])
def test_workers_make_no_difference_to_the_bytes(written, tmp_path, storage):
    write_dataset(tmp_path / "w", workers=2, storage=storage, **ARGUMENTS)
    if storage == "dense":
        write_dataset(tmp_path / "one", workers=0, storage=storage, **ARGUMENTS)
        assert content(tmp_path / "w") == content(tmp_path / "one")
        for sparse, dense in zip(
            read_dataset(written), read_dataset(tmp_path / "w"), strict=True
        ):
            assert same_weights(sparse.params, dense.params)
            assert sparse.record == dense.record
    else:
        assert content(tmp_path / "w") == content(written)
    assert not children()


def test_dense_weights_have_their_names_in_the_file(tmp_path):
    write_dataset(tmp_path, workers=0, count=2, storage="dense")
    (sample, _) = read_dataset(tmp_path)
    with safe_open(tmp_path / "shard-00000.safetensors", "numpy") as file:
        for module, group in sample.params.items():
            for leaf, array in group.items():
                assert np.array_equal(file.get_tensor(f"0/{module}/{leaf}"), array)


def test_sparse_weights_are_read_with_numpy_alone(written, dataset):
    """As docs/datasets.md describes it."""
    line = (written / "shard-00001.jsonl").read_text().splitlines()[3]
    record = json.loads(line)
    index = record["index"]
    with safe_open(written / "shard-00001.safetensors", "numpy") as file:
        positions = file.get_tensor(f"{index}/positions")
        values = file.get_tensor(f"{index}/values")
    sizes = [int(np.prod(shape)) for shape in record["shapes"].values()]
    flat = np.zeros(sum(sizes), np.float32)
    flat[positions] = values
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    for (name, shape), part in zip(record["shapes"].items(), parts, strict=True):
        module, leaf = name.rsplit("/", 1)
        assert np.array_equal(dataset[13].params[module][leaf], part.reshape(shape))
    assert index == 13


def test_samples_are_found_by_index(dataset):
    assert [dataset[i].index for i in (24, 0, 10, -1, -25, 9)] == [24, 0, 10, 24, 0, 9]
    for index in (25, -26):
        with pytest.raises(IndexError, match=f"no sample {index}; there are 25"):
            dataset[index]


def test_few_shards_are_open_at_a_time(tmp_path):
    write_dataset(tmp_path, workers=0, count=20, shard_size=1, nodes=(3, 4))
    with read_dataset(tmp_path) as dataset:
        assert [sample.index for sample in dataset] == list(range(20))
        assert len(dataset._open) == 8
    assert not dataset._open


def test_other_arguments_are_refused_by_name(written):
    before = content(written)
    with pytest.raises(DatasetError) as caught:
        write_dataset(written, workers=0, count=26, seed=1, nodes=(6, 10))
    assert "count is 26, but was 25; seed is 1, but was 0. Leave them out" in str(caught.value)
    assert write_dataset(written, workers=0).complete
    assert write_dataset(written, workers=0, **ARGUMENTS).samples == 25
    assert content(written) == before


def test_another_version_of_this_package_does_not_continue(written, tmp_path, monkeypatch):
    old = read_dataset(written).manifest
    data = pickle.loads(pickle.dumps(old))
    object.__setattr__(data, "made_by", "tracr_lite 0.0.1")
    (tmp_path / "dataset.json").write_bytes(data.to_bytes())
    with pytest.raises(DatasetError, match=r"begun by tracr_lite 0\.0\.1; this is"):
        write_dataset(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "needs count"),
        ({"count": 0}, "count is 0"),
        ({"count": 1, "shard_size": 0}, "shard_size is 0"),
        ({"count": 1, "vocab_size": 99}, "can be 12 at most"),
        ({"count": 1, "nodes": (4, 3)}, r"nodes is \(4, 3\)"),
        ({"count": 1, "causal": "perhaps"}, "no, yes, mixed"),
        ({"count": 1, "storage": "tar"}, "sparse, dense"),
        ({"count": 1, "max_parameters": 0}, "max_parameters is 0"),
        ({"count": 1, "timeout": 0}, "timeout is 0"),
        ({"count": 1, "colour": "red"}, "no argument 'colour'"),
        ({"count": 1, "workers": -1}, "workers is -1"),
    ],
)
def test_arguments_that_make_no_sense_leave_no_folder(tmp_path, arguments, text):
    with pytest.raises(DatasetError, match=text):
        write_dataset(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_recipe_that_nothing_fits_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "PATIENCE", 5)
    with pytest.raises(DatasetError, match="last 5 programs were all refused, 1 of them so"):
        write_dataset(tmp_path, workers=0, count=1, max_parameters=1)
    assert content(tmp_path) == {}
    monkeypatch.setattr("tracr_lite.mass.recipe.TRIES", 3)
    with pytest.raises(DatasetError, match="none of 3 programs had 60 to 61 nodes"):
        write_dataset(tmp_path, workers=0, count=1, nodes=(60, 61))


def test_a_fault_of_the_compiler_is_recorded_as_one(tmp_path, monkeypatch):
    real = draws.record_of

    def sometimes(sample, model, shapes, number):
        if number == 1:
            raise AssertionError("planted")
        return real(sample, model, shapes, number)

    monkeypatch.setattr(draws, "record_of", sometimes)
    write_dataset(tmp_path, workers=0, count=3, nodes=(3, 4))
    found = [each for each in read_dataset(tmp_path).refused() if each["kind"] == "crashed"]
    assert [(each["draw"], each["reason"]) for each in found] == [
        (1, "AssertionError: planted")
    ]


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    from tracr_lite.mass.folder import locked

    with locked(tmp_path), pytest.raises(DatasetError, match="another run is writing"):
        write_dataset(tmp_path, count=1, workers=0)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DatasetError, match="holds other files"):
        write_dataset(tmp_path, count=1, workers=0)
    assert content(tmp_path) == {"thesis.tex": b"mine"}


def test_the_disk_is_full(tmp_path, monkeypatch):
    calls, real = [], writing.write_file

    def full(folder, name, data):
        calls.append(name)
        if len(calls) == 7:
            raise OSError(28, "No space left on device", name)
        real(folder, name, data)

    monkeypatch.setattr(writing, "write_file", full)
    arguments = {"count": 6, "shard_size": 2, "nodes": (3, 4)}
    with pytest.raises(DatasetError, match="No space left on device"):
        write_dataset(tmp_path / "a", workers=0, **arguments)
    monkeypatch.setattr(writing, "write_file", real)
    assert write_dataset(tmp_path / "a", workers=0).complete
    write_dataset(tmp_path / "b", workers=0, **arguments)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_reading_needs_no_jax(written):
    code = (
        "import sys; from tracr_lite.mass import read_dataset\n"
        f"sample = read_dataset({str(written)!r})[3]\n"
        "sample.program(), sample.params, sample.nodes\n"
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_programs_that_take_too_long_are_refused(tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match="use workers=1 or more"):
        write_dataset(tmp_path, count=2, timeout=3.0, workers=0)
    monkeypatch.setattr(writing, "PATIENCE", 2)
    seen, real = [], writing._give_up_after
    monkeypatch.setattr(writing, "_give_up_after", lambda row: (seen.extend(row), real(row)))
    with pytest.raises(DatasetError, match="last 2 programs were all refused"):
        write_dataset(tmp_path, count=1, timeout=1e-4, workers=1)
    assert seen[-1] == "not compiled within 0.0001 s; it was stopped"


def test_a_data_set_goes_to_another_process(dataset):
    first = dataset[0]
    again = pickle.loads(pickle.dumps(dataset))
    assert again[0].text == first.text
    assert same_weights(again[0].params, first.params)


def test_dense_shards_are_smaller_unless_it_is_said(tmp_path):
    write_dataset(tmp_path / "a", count=1, storage="dense", workers=0)
    write_dataset(tmp_path / "b", count=1, storage="dense", workers=0, shard_size=7)
    assert read_dataset(tmp_path / "a").arguments["shard_size"] == 100
    assert read_dataset(tmp_path / "b").arguments["shard_size"] == 7
