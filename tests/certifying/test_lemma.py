"""The lemma of docs/certificates.md: no bound of a certificate is above that of lowering, so
what lowering finds sure is certified; everything else is certified while compiling."""

import pytest

from tests.certifying.lemma import compared, violations
from tests.certifying.noises import Noises
from tracr_lite import catalog
from tracr_lite.certifying.certify import certify
from tracr_lite.compiler import compile_rasp_to_model, lib, settling
from tracr_lite.compiler.lowering import (
    proved_heads,
    proved_hinges,
    proved_means,
    proved_steps,
    proved_tables,
)
from tracr_lite.compiler.lowering.mlp_neurons import MADE
from tracr_lite.compiler.lowering.scores import WEIGHTS
from tracr_lite.errors import CompileError
from tracr_lite.mass import compile_many
from tracr_lite.rasp import rasp
from tracr_lite.sampling import sample_program

CATALOG = catalog.load_all()


def sampled(seed, **sizes):
    """A random program's model; None if it is refused."""
    sample = sample_program(seed, **sizes)
    try:
        return compile_rasp_to_model(
            sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
        )
    except CompileError:
        return None


def holds(model):
    certificate, _, found = compared(model)
    assert certificate.holds, certificate.why_not()
    assert not violations(found)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_bounds_of_certificates_of_random_programs_are_smaller(seed):
    if (model := sampled(seed)) is not None:
        holds(model)


@pytest.mark.heavy
@pytest.mark.parametrize("start", range(1000, 2000, 100))
def test_bounds_of_certificates_of_many_random_programs_are_smaller(start):
    for seed in range(start, start + 100):
        if (model := sampled(seed)) is not None:
            holds(model)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(3000, 3060))
def test_bounds_of_certificates_of_large_random_programs_are_smaller(seed):
    if (model := sampled(seed, nodes=(10, 30))) is not None:
        holds(model)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=() if number % 6 == 0 else pytest.mark.heavy, id=entry.name)
        for number, entry in enumerate(CATALOG)
    ],
)
def test_bounds_of_certificates_of_all_programs_are_smaller(entry):
    for n in sorted({1, 2, 4, entry.max_seq_len}):
        try:
            model = compile_rasp_to_model(
                entry.program, set(entry.vocab), n, causal=entry.causal
            )
        except CompileError:
            continue
        holds(model)


@pytest.mark.parametrize(
    ("program", "n"),
    [
        (lib.make_length(), 200),
        (lib.make_hist(), 100),
        (lib.make_reverse(rasp.tokens), 30),
        (lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=40, min_key=1), 40),
    ],
    ids=["length", "hist", "reverse", "sort"],
)
def test_long_inputs_are_certified_by_the_lemma_alone(program, n):
    model = compile_rasp_to_model(program, {1, 2, 3}, n)
    assert not model.trace.layers.blocks.doubtful
    holds(model)


# a formula that is weakened: module, constant, another value, the part that it is about
WEAKER = [
    (proved_heads, "MORE", 0.2, "attention"),
    (proved_heads, "seen", lambda error, columns, size: 0.0, "copy"),
    (proved_means, "seen", lambda error, columns, size: 0.0, "attention"),
    (proved_steps, "MORE", 0.0, "mlp"),
    (proved_hinges, "MORE", 0.0, "mlp"),
    (proved_tables, "MORE", 0.0, "mlp"),
]


@pytest.fixture
def nothing_remembered():
    """Bounds of other formulas are forgotten, before and afterwards."""
    for memory in (MADE, WEIGHTS):
        memory.forget()
    yield
    for memory in (MADE, WEIGHTS):
        memory.forget()


@pytest.mark.parametrize(("module", "name", "value", "part"), WEAKER)
@pytest.mark.usefixtures("nothing_remembered")
def test_a_weaker_formula_is_found_out(monkeypatch, module, name, value, part):
    monkeypatch.setattr(module, name, value)
    found = []
    for seed in range(60):
        model = sampled(seed)
        found += [] if model is None else violations(compared(model)[2])
        if part in {row[1] for row in found}:
            return
    raise AssertionError(f"nobody noticed that {name} of {module.__name__} is {value}")


@pytest.mark.parametrize(
    "start", [0, *(pytest.param(at, marks=pytest.mark.heavy) for at in range(60, 600, 60))]
)
def test_scores_of_certificates_are_off_by_less(monkeypatch, start):
    noises = Noises(monkeypatch)
    pairs = [pair for seed in range(start, start + 60) for pair in noises.pairs(seed)]
    assert sum(theirs > 0.0 for _, theirs in pairs) > 5
    assert all(theirs <= ours for ours, theirs in pairs)


@pytest.mark.parametrize("name", ["_per_lane", "_held"])
@pytest.mark.usefixtures("nothing_remembered")
def test_a_weaker_formula_of_scores_is_found_out(monkeypatch, name):
    noises = Noises(monkeypatch)
    monkeypatch.setattr(proved_heads, name, lambda form, weight: 0)
    found = (pair for seed in range(400) for pair in noises.pairs(seed))
    assert any(theirs > ours for ours, theirs in found), f"nobody noticed that {name} is 0"


# programs that compiled, were not doubtful, and had no certificate, before there was a proof
ONCE_WRONG = [21231, 21262]


@pytest.mark.parametrize("seed", ONCE_WRONG)
def test_what_has_no_certificate_is_refused(seed):
    model = sampled(seed)
    assert model is None or certify(model).holds


def test_compile_many_gives_the_same_guarantee(monkeypatch):
    """Where lowering proves nothing and the certificate fails, the item has the error."""

    class Failing:
        def why_not(self):
            return ["map_1: may be off by 2, but only 1 is tolerated"]

    monkeypatch.setattr("tracr_lite.certifying.certify.certify", lambda model: Failing())
    monkeypatch.setattr(settling, "_doubtful", lambda model: True)
    request = (rasp.Map(lambda x: x + 1, rasp.tokens), {1, 2}, 3)
    (item,) = compile_many([request], workers=0)
    assert isinstance(item.error, CompileError)
    assert item.error.stage == "certify"


@pytest.mark.parametrize("workers", [0, 1])
def test_refusals_of_compile_many_are_those_of_a_program_compiled_alone(workers):
    large = rasp.Map(lambda x: 2.0**30 + x, rasp.tokens)
    everywhere = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)
    program = rasp.Map(lambda x: x > 2.0**30 + 0.4, rasp.Aggregate(everywhere, large))
    (item,) = compile_many([(program, {0, 1}, 6)], workers=workers, progress=False)
    with pytest.raises(CompileError, match="the largest max_seq_len that compiles is") as alone:
        compile_rasp_to_model(program, {0, 1}, 6)
    assert isinstance(item.error, CompileError)
    assert item.error.problems == alone.value.problems
    assert "the largest max_seq_len" not in str(item.error)  # which only one program looks for
