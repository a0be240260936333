"""What is certified, and that no measured error is larger than its bound."""

import random
from dataclasses import replace
from math import isfinite

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tracr_lite
from tests.certifying.models import PROGRAMS, compiled, derived, everything_known
from tests.law import agree
from tracr_lite import catalog
from tracr_lite.certifying.certify import bits_needed, certify
from tracr_lite.certifying.errors import CertifyError
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.errors import CompileError
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program
from tracr_lite.verifying.errors import VerifyError
from tracr_lite.verifying.evaluating import Raised, Reference

CATALOG = catalog.load_all()


def excess(model, known, claims, inputs):
    """The most by which a column is further from the nearest state than its bound allows."""
    most = -np.inf
    for xs in inputs:
        residuals = model.apply([model.input_encoder.bos_token, *xs]).residuals
        for held in claims.held:
            if held.half == "embeddings" or not held.listed:
                continue
            found = np.asarray(residuals[2 * held.layer + (held.half == "mlp")][0], float)
            node = known[held.name]
            off = np.abs(found[1:, None, held.columns] - node.ideal[:-1]) - node.error[:-1]
            at_bos = np.abs(found[0, held.columns] - node.ideal[-1]) - node.error[-1]
            most = max(most, off.max(axis=2).min(axis=1).max(), at_bos.max())
    return most


def some_inputs(program, vocab, n, causal, seed, count):
    """Inputs on which the evaluator does not raise; nothing is promised for others."""
    rng, found = random.Random(seed), []
    reference = Reference(program, causal)
    for _ in range(count):
        xs = [rng.choice(vocab) for _ in range(rng.randint(1, n))]
        if not isinstance(reference.on(xs), Raised):
            found.append(xs)
    return found


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("n", [1, 3, 12])
def test_small_models_are_certified(name, n):
    found = derived(name, n=n)
    assert found.holds, found.why_not()
    assert all(
        0 <= node.error < node.tolerance and isfinite(node.error) for node in found.nodes
    )


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_every_program_that_comes_along_is_certified(entry):
    model = compile_rasp_to_model(
        entry.program, set(entry.vocab), entry.max_seq_len, causal=entry.causal
    )
    found = certify(model)
    assert found.holds, found.why_not()


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=() if number % 8 == 0 else pytest.mark.heavy, id=entry.name)
        for number, entry in enumerate(CATALOG)
    ],
)
def test_no_error_is_larger_than_its_bound(entry):
    model = compile_rasp_to_model(
        entry.program, set(entry.vocab), entry.max_seq_len, causal=entry.causal
    )
    claims, _, known = everything_known(model)
    inputs = some_inputs(
        entry.program, list(entry.vocab), entry.max_seq_len, entry.causal, 0, 6
    )
    assert excess(model, known, claims, inputs) < 1e-13  # the test's own rounding


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_what_is_certified_in_low_precision_runs_in_it(entry, dtype):
    n, bos = min(entry.max_seq_len, 5), "BOS"
    model = compile_rasp_to_model(
        entry.program, set(entry.vocab), n, causal=entry.causal, compiler_bos=bos
    )
    if not certify(model, dtype).holds:
        return
    cast = jax.tree_util.tree_map(lambda w: jnp.asarray(w, dtype), model.params)
    low = replace(model, params=cast)
    inputs = some_inputs(entry.program, list(entry.vocab), n, entry.causal, 0, 30)
    for xs in inputs:
        for one, other in zip(
            low.apply([bos, *xs]).decoded[1:],
            Reference(entry.program, entry.causal).on(xs),
            strict=True,
        ):
            assert agree(other, one)


def law(seed):
    """Whether a sampled program is certified; None if it does not compile."""
    sample = sample_program(seed)
    try:
        model = compile_rasp_to_model(
            sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
        )
    except CompileError:
        return None
    claims, found, known = everything_known(model)
    if found.holds:
        inputs = some_inputs(
            sample.program, list(sample.vocab), sample.max_seq_len, sample.causal, seed, 3
        )
        assert excess(model, known, claims, inputs) < 1e-13, f"seed {seed}"
    return found.holds


def test_sampled_programs_stay_within_their_bounds():
    found = [law(seed) for seed in range(8)]
    assert sum(each is True for each in found) >= 6


@pytest.mark.heavy
def test_many_sampled_programs_stay_within_their_bounds():
    found = [law(seed) for seed in range(100, 700)]
    compiled_ones = [each for each in found if each is not None]
    assert sum(compiled_ones) >= 0.9 * len(compiled_ones)


def test_bits_tell_what_a_node_needs():
    bits = bits_needed(compiled("reverse", 8))
    assert all(least is not None and least <= 24 for least in bits.values())
    assert bits["length_2"] > bits_needed(compiled("reverse", 3))["length_2"] - 1


def test_unknown_formats_and_models_without_a_program_are_refused(tmp_path):
    with pytest.raises(CertifyError, match="float8"):
        certify(compiled("hist"), "float8")
    loaded = tracr_lite.load(compiled("hist").save(tmp_path / "model"))
    if loaded.trace is None:
        with pytest.raises(CertifyError, match="does not know its program"):
            certify(loaded)


def test_the_package_hands_it_on():
    assert tracr_lite.certify(compiled("hist")).holds


def test_a_loaded_model_is_certified_with_its_program(tmp_path):
    """The program is compiled again for the claims; the bounds are those of what was loaded."""
    program, _ = PROGRAMS["hist"]
    loaded = tracr_lite.load(compiled("hist").save(tmp_path / "model"))
    assert certify(loaded, program=program).holds
    weak = {module: dict(group) for module, group in loaded.params.items()}
    query = weak["transformer/layer_0/attn/query"]
    query["w"] = query["w"] * np.float32(0.1)
    assert not certify(replace(loaded, params=weak), program=program).holds
    other, _ = PROGRAMS["reverse"]
    with pytest.raises(VerifyError, match="another model"):
        certify(loaded, program=other)


def test_a_block_that_nobody_reads_and_that_writes_nothing_is_no_matter():
    sample = sample_program(10**6 + 46, nodes=(1, 12), max_seq_len=2, vocab_size=5)
    model = compile_rasp_to_model(sample.program, sample.vocab, 2, causal=sample.causal)
    blocks = model.trace.layers.blocks
    assert any(not {*form.dirs} & {*model.space.basis} for form in blocks.forms if form.dirs)
    certificate = certify(model)
    assert certificate.holds
    assert tracr_lite.check_certificate(model.params, model.model_config, certificate) == []


def test_what_is_no_model_is_refused_by_name():
    with pytest.raises(CertifyError, match="is a compiled model; got TokensType tokens"):
        certify(rasp.tokens)
