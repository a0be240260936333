"""The law on sampled programs: what is compiled computes what the evaluator says.

Heavy: 20,000 programs in chunks of 1,000, as `pytest -m heavy tests/test_end_to_end.py -s`. Set
TRACR_LITE_SEEDS=30000:31000 to run other seeds; one chunk alone: `-k "chunk and 3000"`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.law import Summary, agree, answerable, check, compiled, jitted
from tests.numpy_forward import predict
from tracr_lite.errors import CompileError
from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import topological
from tracr_lite.sampling import sample_program

ROOT = Path(__file__).parent.parent
CHUNK, HEAVY = 1000, 20_000
MAX_REFUSED = 0.03
ANSWERS = 60  # programs run through the jitted forward too


def assert_law(summary: Summary) -> None:
    """No failure, and few refusals; shows both."""
    reasons = Counter(outcome.reason for outcome in summary.refused)
    print(
        f"\n{summary}", *(f"{n:5} refused: {why}" for why, n in reasons.most_common()), sep="\n"
    )
    shown = "\n\n".join(f"seed {o.seed}: {o.problem}" for o in summary.failed[:3])
    assert not summary.failed, f"{summary}\n{shown}"
    assert len(summary.refused) <= MAX_REFUSED * summary.run + 3, f"{summary}\n{reasons}"


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_compiled_is_interpreted(start):
    summary = Summary()
    for seed in range(start, start + 100):
        summary.add(check(seed))
    assert_law(summary)


def test_the_models_own_forward_agrees_too():
    summary = Summary()
    for seed in range(1_000_000, 1_000_000 + ANSWERS):
        summary.add(check(seed, jitted))
    assert_law(summary)


def chunks() -> list[tuple[int, int]]:
    given_range = os.environ.get("TRACR_LITE_SEEDS", f"0:{HEAVY}").split(":")
    first, last = int(given_range[0]), int(given_range[1])
    return [(start, min(start + CHUNK, last)) for start in range(first, last, CHUNK)]


@pytest.mark.heavy
@pytest.mark.parametrize(("first", "last"), chunks())
def test_compiled_is_interpreted_on_a_chunk(first, last, capfd):
    summary, began = Summary(), time.monotonic()
    for seed in range(first, last):
        summary.add(check(seed))
        if seed % 50 == 49 or seed == last - 1:
            with capfd.disabled():
                seconds = time.monotonic() - began
                print(f"\r{first}:{seed + 1} {summary}, {seconds:.0f} s ", end="", flush=True)
    with capfd.disabled():
        assert_law(summary)


# The sampler itself


def test_every_construct_is_sampled():
    found = Counter[str]()
    for seed in range(400):
        sample = sample_program(seed)
        nodes = topological(sample.program)
        found.update({type(node).__name__ for node in nodes})
        found["causal"] += sample.causal
        found["numerical"] += any(
            rasp.is_numerical(x) for x in nodes if isinstance(x, rasp.SOp)
        )
    kinds = [rasp.Map, rasp.SequenceMap, rasp.LinearSequenceMap, rasp.Full, rasp.ConstantSOp]
    kinds += [rasp.Select, rasp.ConstantSelector, rasp.SelectorAnd, rasp.SelectorOr]
    kinds += [rasp.SelectorNot, rasp.SelectorWidth, rasp.Aggregate, rasp.TokensType]
    kinds += [rasp.IndicesType]
    for name in [*(kind.__name__ for kind in kinds), "LengthType", "causal", "numerical"]:
        assert found[name] >= 10, name


@pytest.mark.parametrize("seed", range(40))
def test_the_text_of_a_program_builds_it_again(seed):
    sample = sample_program(seed)
    scope: dict[str, object] = {}
    exec(sample.text, scope)
    assert scope["vocab"] == sample.vocab
    for xs, expected in answerable(sample, sample.inputs(seed, 4)):
        again = sample.__class__(scope["program"], *list(vars(sample).values())[1:5])
        assert repr(again.evaluate(xs)) == repr(expected)


@pytest.mark.parametrize("seed", range(20))
def test_a_program_survives_pickling(seed):
    sample = sample_program(seed)
    again = pickle.loads(pickle.dumps(sample))
    assert again.text == sample.text
    for xs, expected in answerable(sample, sample.inputs(seed, 4)):
        assert again.evaluate(xs) == expected


def test_equal_seeds_give_equal_programs():
    assert sample_program(5).text == sample_program(random.Random(5)).text


# Nothing depends on an order that Python does not promise


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.randoms(use_true_random=False))
def test_the_order_of_the_vocabulary_never_matters(seed, rng):
    sample = sample_program(seed)
    model = model_or_error(sample, sample.vocab)
    again = model_or_error(sample, rng.sample(sample.vocab, len(sample.vocab)))
    if isinstance(model, str) or isinstance(again, str):
        assert model == again
        return
    assert again.residual_labels == model.residual_labels
    assert digest(again.params) == digest(model.params)
    batch = sample.inputs(seed, 4)
    for first, second in zip(predict(model, batch), predict(again, batch), strict=True):
        assert all(map(agree, first, second))


def model_or_error(sample, vocab):
    """The model, or why there is none."""
    try:
        return compiled(sample, vocab)
    except CompileError as error:
        return str(error)


def digest(params) -> str:
    """A hash of all parameter bytes and names."""
    found = hashlib.sha256()
    for module, group in sorted(params.items()):
        for name, array in sorted(group.items()):
            found.update(f"{module} {name} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def report(seeds: range) -> str:
    """Text, labels and parameters of programs, for comparison between processes."""
    lines: list[str] = []
    for seed in seeds:
        sample = sample_program(seed)
        model = model_or_error(sample, sample.vocab)
        if isinstance(model, str):
            lines.append(f"{seed} {model}")
            continue
        lines.append(f"{seed} {sample.text} {model.residual_labels} {digest(model.params)}")
    return "\n".join(lines)


def test_the_hash_seed_never_matters():
    code = "from tests.test_end_to_end import report; print(report(range(40)))"
    texts = [
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "271828")
    ]
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) >= 40
