"""Compressing the residual stream of a compiled model."""

import dataclasses
import itertools
import json
import runpy
import tracemalloc
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.lora import LoraError
from tracr_lite.lora.superposition import Training, make_problem, train
from tracr_lite.lora.superposition.figures import draw_accuracy, draw_overlap
from tracr_lite.rasp import rasp

pytest.importorskip("optax")

VOCAB, LENGTH = ("x", "y", "z"), 3
INPUTS = [t for n in range(1, LENGTH + 1) for t in itertools.product(VOCAB, repeat=n)]
SHORT = {"steps": 20, "batch": 8, "restarts": 2}


def problem_of(program, inputs=INPUTS):
    return make_problem(
        compile_rasp_to_model(program, set(VOCAB), LENGTH, compiler_bos="BOS"), inputs
    )


FRACTIONS = problem_of(lib.make_frac_prevs(rasp.tokens == "x"))
LETTERS = problem_of(rasp.Map(lambda t: "xyz"["zyx".index(t)], rasp.tokens))


def test_the_problem_is_the_compiled_model():
    for problem in (FRACTIONS, LETTERS):
        for tokens, answers in zip(INPUTS, problem.answers, strict=True):
            assert answers == problem.model.predict(["BOS", *tokens])
        np.testing.assert_array_equal(problem.residuals[0], problem.embeddings)


@pytest.mark.parametrize("problem", [FRACTIONS, LETTERS], ids=["fractions", "letters"])
def test_the_rank_of_the_stream_is_enough_without_training(problem):
    assert problem.rank < problem.d_model
    lossless = train(problem, Training(problem.rank, **SHORT), progress=False, stop_after=0)
    assert lossless.accuracies[0] == 1
    stream = problem.run(jnp.asarray(lossless.w), problem.embeddings, problem.real)
    real = np.asarray(problem.real)
    np.testing.assert_allclose(stream[:, real], problem.residuals[:, real], atol=1e-3)
    np.testing.assert_allclose(np.trace(lossless.overlap), problem.rank, rtol=1e-4)


@pytest.mark.parametrize("rows", [5, 4000], ids=["few", "many"])
def test_directions_take_no_matrix_as_long_as_the_vectors(rows):
    problem = dataclasses.replace(FRACTIONS)
    vectors = np.random.default_rng(0).standard_normal((rows, problem.d_model))
    vars(problem)["vectors"] = vectors.astype(np.float32)
    tracemalloc.start()
    try:
        directions = problem.directions
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5e6  # bytes; the square matrix would have 128 million
    np.testing.assert_allclose(directions @ directions.T, np.eye(problem.d_model), atol=1e-9)
    norms = np.linalg.norm(vectors @ directions.T, axis=0)
    assert (np.diff(norms) < 1e-4).all()
    np.testing.assert_allclose(
        norms[: min(rows, problem.d_model)],
        np.linalg.svd(vectors, compute_uv=False)[: problem.d_model],
        rtol=1e-5,
    )


def test_training_reaches_the_accuracy_of_the_original_below_the_rank():
    size = FRACTIONS.rank - 1
    training = Training(size, steps=1000, batch=39, output_weight=1000.0)
    before = train(FRACTIONS, training, progress=False, stop_after=0)
    after = train(FRACTIONS, training, progress=False)
    assert before.accuracy < 0.9
    assert after.accuracy == 1
    assert after.w.shape == (size, FRACTIONS.d_model)
    assert after.losses[-1].min() < after.losses[0].min()


def test_a_training_that_is_stopped_goes_on_to_the_same_bits(tmp_path):
    training = Training(5, **SHORT)
    whole = train(LETTERS, training, progress=False)
    path = tmp_path / "state"
    train(LETTERS, training, progress=False, checkpoint=path, stop_after=7)
    assert path.exists()
    parts = train(LETTERS, training, progress=False, checkpoint=path)
    assert parts.w.tobytes() == whole.w.tobytes()
    assert parts.accuracies == whole.accuracies
    again = train(LETTERS, training, progress=False, checkpoint=path)
    assert again.w.tobytes() == whole.w.tobytes()
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_checkpoints_of_others_are_refused(tmp_path):
    path = tmp_path / "state"
    train(LETTERS, Training(5, **SHORT), progress=False, checkpoint=path, stop_after=1)
    with pytest.raises(LoraError, match="belongs to another training"):
        train(LETTERS, Training(4, **SHORT), progress=False, checkpoint=path)
    with pytest.raises(LoraError, match="belongs to another model"):
        train(FRACTIONS, Training(5, **SHORT), progress=False, checkpoint=path)
    tensors = load_file(path)
    save_file(tensors, path, {"format": "other"})
    with pytest.raises(LoraError, match="no checkpoint of a compression"):
        train(LETTERS, Training(5, **SHORT), progress=False, checkpoint=path)
    path.write_bytes(b"\0" * 20)
    with pytest.raises(LoraError, match="cannot be read"):
        train(LETTERS, Training(5, **SHORT), progress=False, checkpoint=path)


def test_a_random_start_and_the_bar(capsys):
    training = Training(5, steps=2, batch=4, restarts=1, start="random")
    result = train(LETTERS, training)
    assert result.w.shape == (5, LETTERS.d_model)
    assert "2/2" in capsys.readouterr().out


NONSENSE = [
    {"size": 0},
    {"size": 5, "steps": 0},
    {"size": 5, "restarts": 0},
    {"size": 5, "learning_rate": -1},
    {"size": 5, "output_weight": float("nan")},
    {"size": 5, "start": "zeros"},
]


@pytest.mark.parametrize("options", NONSENSE, ids=str)
def test_trainings_that_make_no_sense_are_refused(options):
    with pytest.raises(LoraError, match="must"):
        Training(**options)


def test_problems_that_make_no_sense_are_refused():
    with pytest.raises(LoraError, match="needs inputs"):
        problem_of(rasp.tokens, [])
    with pytest.raises(LoraError, match="is more than d_model"):
        train(LETTERS, Training(99), progress=False)


def test_a_perfect_start_that_was_worn_off_still_counts():
    training = Training(LETTERS.rank, steps=3, batch=2, restarts=1, learning_rate=5.0)
    result = train(LETTERS, training, progress=False)
    assert result.accuracies[0] < 1
    assert result.accuracy == 1
    np.testing.assert_allclose(result.w, LETTERS.directions[: LETTERS.rank], atol=1e-6)


FIGURES = Path(__file__).parents[2] / "docs" / "superposition"


def test_the_documented_programs_reach_the_original_below_their_ranks():
    results = json.loads((FIGURES / "results.json").read_text())
    page = FIGURES.with_suffix(".md").read_text()
    for name, sizes in {"frac_prevs": 6, "sort_unique": 10}.items():
        found = {int(n): accuracy for n, accuracy in results[name]["accuracy"].items()}
        assert min(n for n in found if found[n] == 1) == sizes < results[name]["rank"] / 1.5
        assert all(found[n] == 1 for n in found if n > sizes)
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
        assert f"| {results[name]['d_model']} | {results[name]['rank']} |" in row
        for n in found:
            assert n > sizes or f"{n}: {found[n]:.3f}" in row
        assert f"({FIGURES.name}/{name}.png)" in page
        assert (FIGURES / f"{name}.png").exists()


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "size"), [("frac_prevs", 6), ("sort_unique", 10)])
def test_what_is_documented_can_be_trained_again(name, size):
    script = runpy.run_path(str(FIGURES / "make_figures.py"))
    training = Training(size, **script["TRAINING"][name])
    result = train(script["problem_of"](name), training, progress=False)
    assert result.accuracy > 0.99  # other machines round differently


def test_figures_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    result = train(LETTERS, Training(5, **SHORT), progress=False, stop_after=0)
    draw_overlap(tmp_path / "a.png", result.overlap, LETTERS.model.residual_labels, "letters")
    draw_accuracy(tmp_path / "b.png", {"letters": (9, 7, {5: 0.5, 7: 1.0})})
    assert (
        (tmp_path / "a.png").read_bytes()[:4]
        == (tmp_path / "b.png").read_bytes()[:4]
        == b"\x89PNG"
    )
