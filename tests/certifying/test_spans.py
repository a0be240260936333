"""Copies of numbers too many to list: certified where they are exact copies of sums."""

from dataclasses import replace

import numpy as np
import pytest

from tracr_lite import certify, check_certificate
from tracr_lite.certifying.bounds import derive_all, number_of
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.rasp import rasp

VOCAB = [0.1371, 0.7193, 1.0007, 0.333, 2.718281, 3.14159, 0.577215, 1.61803]
LENGTH = 30
BEFORE = rasp.Aggregate(
    rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ), rasp.tokens
)
ALL = rasp.Aggregate(rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.TRUE), rasp.tokens)
PROGRAMS = {
    "two means": rasp.LinearSequenceMap(BEFORE, ALL, 0.5, 0.5),
    "one mean, scaled": rasp.LinearSequenceMap(BEFORE, BEFORE, 2, 1),
    "a mean and a token": rasp.LinearSequenceMap(BEFORE, rasp.tokens, 1, 1),
    "three terms": rasp.LinearSequenceMap(
        rasp.LinearSequenceMap(BEFORE, ALL, 1, 1), rasp.tokens, 1, 1
    ),
    "negative": rasp.LinearSequenceMap(BEFORE, ALL, -1, -2),
}


def compiled(name):
    return compile_rasp_to_model(rasp.numerical(PROGRAMS[name]), VOCAB, LENGTH)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_answer_is_certified_and_as_close_as_that(name):
    model = compiled(name)
    certificate = certify(model)
    assert certificate.why_not() == []
    assert check_certificate(model.params, model.model_config, certificate) == []
    held = next(h for h in certificate.claims.held if h.name == certificate.claims.output.node)
    assert not held.listed
    known = derive_all(
        model.params, model.model_config, certificate.claims, number_of("float32")
    )[1][held.name]
    size = np.abs(known.ideal[:-1, 0])
    share = (known.wrong[:-1, 0] / size).max()  # at the least number: the largest share
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, LENGTH):
        for _ in range(5):
            xs = rng.choice(VOCAB, n).tolist()
            found = model.apply(["compiler_bos", *xs]).residuals[-1]
            column = np.asarray(found, float)[0, 1:, held.columns[0]]
            right = np.array(PROGRAMS[name](xs), float)
            assert (np.abs(column - right) <= share * np.abs(right)).all()


@pytest.mark.parametrize("weight", [(0, 1.001), (1, 0.999)], ids=["in", "out"])
def test_what_is_no_copy_is_refused(weight):
    """A network that is right at the ends of a span could be anything between them."""
    model = compiled("two means")
    certificate = certify(model)
    held = next(h for h in certificate.claims.held if h.name == certificate.claims.output.node)
    part, factor = weight
    module = f"transformer/layer_{held.layer}/mlp/linear_{part + 1}"
    params = {name: dict(group) for name, group in model.params.items()}
    changed = np.array(params[module]["w"])
    neurons = np.flatnonzero(
        np.asarray(params[f"transformer/layer_{held.layer}/mlp/linear_2"]["w"])[
            :, held.columns[0]
        ]
    )
    at = (slice(None), neurons[0]) if part == 0 else (neurons[0], held.columns[0])
    changed[at] *= np.float32(factor)
    params[module]["w"] = changed
    problems = check_certificate(params, model.model_config, certificate)
    assert any("it is no copy of a sum" in line for line in problems)


def test_narrow_formats_say_that_they_have_no_bound():
    certificate = certify(compiled("two means"), "float16")
    assert not certificate.holds
    assert any("float32 only" in line for line in certificate.why_not())


def test_a_claim_cannot_call_a_listed_number_a_span():
    """The claim alone decides nothing: the network must be a copy of a sum."""
    step = rasp.numerical(rasp.Map(lambda x: 2.5 if x > 0.5 else 7.25, BEFORE))
    model = compile_rasp_to_model(step, [0.0, 1.0], 4)
    certificate = certify(model)
    name = certificate.claims.output.node
    held = tuple(
        replace(h, listed=False) if h.name == name else h for h in certificate.claims.held
    )
    claims = replace(certificate.claims, held=held)
    found = check_certificate(
        model.params, model.model_config, replace(certificate, claims=claims)
    )
    assert any("no copy of a sum" in line for line in found)
