"""What Tracr answers wrongly without saying so, M1 to M15: here it is right, or refused."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.compiler.checking import BOS, check, compiled, run, same
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.errors import CompileError
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import Aggregate, Comparison, Map, Select, SelectorWidth, numerical

T, I = rasp.tokens, rasp.indices
EVERYWHERE = Select(I, I, Comparison.TRUE)
FRAC = lib.make_frac_prevs(T == "a")
FRAC_IS_HIGH = Map(lambda v: v > 0.4, FRAC)
SMALLER = SelectorWidth(Select(T, T, Comparison.LT))
LARGER = SelectorWidth(Select(T, T, Comparison.GT))
SMALLEST = Select(SMALLER, I, lambda k, q: k == 0)
MIXED = lib.shift_by(1, Map(lambda x: x, T))
FIRST_IS_ONE = numerical(Map(lambda i: i == 0, I))
COPY = numerical(Map(lambda x: x, T))

# finding, program, vocabulary, max_seq_len, input, what it must be
EXAMPLES = {
    "M1_ten": (lib.make_length(), "ab", 10, "a" * 10, [10] * 10),
    "M1_twenty": (lib.make_length(), "ab", 20, "a" * 20, [20] * 20),
    "M1_number": (numerical(lib.make_length()), "ab", 10, "a" * 8, [8] * 8),
    "M2": (Map(lambda v: v > 0.5, FRAC), "ab", 5, "aabab", [True] * 5),
    "M3": (lib.make_shuffle_dyck(["()"]), "()", 10, "()" * 5, [True] * 10),
    "M3_close": (
        Map(lambda x: x * 1000, numerical(T / 1000), simplify=False),
        [1, 2, 3],
        3,
        [1, 2, 3],
        [1, 2, 3],
    ),
    "M4": (
        SelectorWidth(Select(FRAC_IS_HIGH, FRAC_IS_HIGH, Comparison.EQ)),
        "ab",
        4,
        "bbab",
        [4, 4, 4, 4],
    ),
    "M4_default": (
        Aggregate(Select(FRAC_IS_HIGH, I, lambda k, q: k and q < 0), T, default="none"),
        "ab",
        4,
        "bbab",
        ["none"] * 4,
    ),
    "M5": (
        rasp.SequenceMap(lambda a, b: (a, b), SelectorWidth(SMALLEST), LARGER),
        [1, 2, 3],
        4,
        [1, 2, 3, 1],
        [(2, 2), (2, 1), (2, 0), (2, 2)],
    ),
    "M6": (
        SelectorWidth(Select(T, T, lambda k, q: k & q)),
        [0, 1, 2, 3],
        4,
        [1, 3, 2, 0],
        [2, 3, 2, 0],
    ),
    "M7": (
        numerical(Aggregate(Select(T, T, Comparison.EQ), FIRST_IS_ONE, default=0)),
        list(range(256)),
        4,
        [200, 7, 200],
        [0.5, 0, 0.5],
    ),
    "M8": (
        Map(int, COPY, simplify=False),
        [0, 1, 1e5, 2e5, 3e5],
        3,
        [1e5, 2e5, 3e5],
        [100000, 200000, 300000],
    ),
    "M9": (MIXED, [9, 10, "5"], 4, [9, 10, "5"], [None, 9, 10]),
    "M10": (
        Aggregate(Select(I, I, Comparison.LEQ), T),
        [0, 1, 3],
        4,
        [1, 3, 3, 0],
        [1, 2, 7 / 3, 1.75],
    ),
    "M11_text": (lib.shift_by(1, T), "abc", 4, "cbac", [None, "c", "b", "a"]),
    "M11_number": (numerical(lib.shift_by(1, COPY)), [0, 1], 3, [0, 1, 0], [None, 0, 1]),
    "M11_map": (
        Map(lambda x: x + 1, lib.shift_by(1, T), simplify=False),
        [0, 1],
        3,
        [0, 1, 0],
        [None, 1, 2],
    ),
    "M13": (
        numerical(Aggregate(EVERYWHERE, numerical(T == "a"))),
        "ab",
        6,
        "aab",
        [2 / 3] * 3,
    ),
    "M15": (numerical(Map(lambda x: -x, T)), [1, 2, 3], 3, [1, 2, 3], [-1, -2, -3]),
}
every_finding = pytest.mark.parametrize("name", EXAMPLES)


@every_finding
def test_the_smallest_program_of_the_finding_answers_right(name):
    program, vocab, n, xs, expected = EXAMPLES[name]
    model = compiled(program, tuple(vocab), n)
    found = model.apply([BOS, *xs]).decoded[1:]
    assert all(map(same, expected, found)), found


@every_finding
def test_the_program_of_the_finding_agrees_with_the_evaluator_on_other_inputs(name):
    program, vocab, n, _, _ = EXAMPLES[name]
    assert check(program, vocab, n) > 10


PRINT_MIXED = """
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.rasp import rasp
program = lib.shift_by(1, rasp.Map(lambda x: x, rasp.tokens))
model = compile_rasp_to_model(program, {9, 10, "5", (1, "x"), None}, 4)
print(model.residual_labels)
print(model.apply(["compiler_bos", 9, 10, "5"]).decoded)
print([group["w"].tobytes().hex()[:200] for group in model.params.values() if "w" in group])
"""


def test_m9_values_of_mixed_types_give_the_same_model_under_every_hash_seed():
    root = Path(__file__).parent.parent.parent
    printed = set()
    for seed in ("0", "1", "77"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", PRINT_MIXED]
        done = subprocess.run(command, check=True, capture_output=True, env=environment)
        printed.add(done.stdout.decode())
    assert len(printed) == 1
    assert f"[{BOS!r}, None, 9, 10]" in printed.pop()


def test_m12_an_annotated_copy_has_a_label_of_its_own():
    plain = Map(lambda x: x, T)
    assert plain.label != numerical(plain).label
    assert plain.label == plain.label


def test_m12_a_program_may_use_both_encodings_of_one_expression():
    plain = Map(lambda x: x * x, T)
    both = rasp.SequenceMap(lambda a, b: (a, b), plain, numerical(plain))
    assert check(both, [1, 2, -3], 3) > 30


def test_m13_padding_changes_no_answer_in_a_batch():
    program, vocab, n, _, _ = EXAMPLES["M13"]
    model = compiled(program, tuple(vocab), n)
    batch = ["aab", "a", "abbaba", "bb"]
    expected = [program(xs) for xs in batch]
    for found, wanted in zip(run(model, batch), expected, strict=True):
        assert all(map(same, wanted, found))


def test_m13_padding_is_masked_in_forward():
    program, vocab, n, _, _ = EXAMPLES["M13"]
    model = compiled(program, tuple(vocab), n)
    ids = model.input_encoder.encode([BOS, *"aab"])
    padded = np.array([ids + [model.input_encoder.pad_encoding] * 2])
    answer = np.asarray(model.forward(model.params, padded).unembedded_output)[0, 1:4]
    np.testing.assert_allclose(answer, 2 / 3, rtol=1e-6)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("encode", [rasp.numerical, rasp.categorical])
def test_m14_non_finite_numbers_are_refused(value, encode):
    program = encode(Map(lambda x: value if x else 0, T))
    with pytest.raises(CompileError, match="non-finite"):
        compile_rasp_to_model(program, {0, 1}, 5)


def test_m14_a_non_finite_number_that_no_input_reaches_is_no_problem():
    program = numerical(Map(lambda x: math.inf if x > 5 else x, T))
    assert check(program, [0, 1], 4) > 20
