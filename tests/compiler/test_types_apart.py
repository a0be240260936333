"""1, 1.0 and True are equal, but a program may tell them apart: exact or refused."""

import copy
import dataclasses

import numpy as np
import pytest

from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.errors import CompileError, InputError
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import Aggregate, Comparison, Map, Select, SelectorWidth, SequenceMap

BOS = "compiler_bos"
EVERYWHERE = Select(rasp.indices, rasp.indices, Comparison.TRUE)


@pytest.mark.parametrize("vocab", [[1, True], [1, 1.0], [(1,), (True,)], [0.0, -0.0]])
def test_equal_tokens_of_two_types_are_refused(vocab):
    with pytest.raises(CompileError, match="which are equal"):
        compile_rasp_to_model(Map(repr, rasp.tokens), vocab, 2)


@pytest.mark.parametrize("token", [True, 1.0])
def test_a_token_of_another_type_is_refused(token):
    model = compile_rasp_to_model(Map(repr, rasp.tokens), [1, "a"], 2)
    with pytest.raises(InputError, match="another type"):
        model.apply([BOS, token])


def test_a_numpy_scalar_is_the_value_that_it_holds():
    model = compile_rasp_to_model(Map(repr, rasp.tokens), [1, "a"], 2)
    assert model.predict([BOS, np.int64(1)]) == ["1"]


def test_an_array_is_no_token():
    model = compile_rasp_to_model(rasp.tokens, [1, "a"], 2)
    with pytest.raises(InputError, match="unhashable token"):
        model.apply([BOS, np.array([1, 2])])


@pytest.mark.parametrize(
    "value",
    [rasp.tokens * 0.0, Map(lambda x: (True,) if x > 0 else (1,), rasp.tokens)],
    ids=["zeros", "tuples"],
)
def test_a_mean_of_equal_values_of_two_types_cannot_be_told_apart(value):
    with pytest.raises(CompileError, match="different type"):
        compile_rasp_to_model(Map(str, Aggregate(EVERYWHERE, value)), [-1, 1], 3)


def test_weights_edited_in_place_on_a_copy_are_used():
    model = compile_rasp_to_model(lib.make_reverse(rasp.tokens), set("abc"), 5)
    before = model.predict([BOS, "a", "b"])
    edited = copy.deepcopy(model)
    for group in edited.params.values():
        for array in group.values():
            array[...] = 0
    assert edited.predict([BOS, "a", "b"]) != before == ["b", "a"]
    assert model.predict([BOS, "a", "b"]) == before


def test_shared_selectors_are_not_copied_per_level():
    selector = Select(rasp.tokens, rasp.indices, Comparison.EQ)
    for _ in range(40):
        selector = ~((selector & selector) | ~selector | selector)
    program = SelectorWidth(selector)
    model = compile_rasp_to_model(program, [1, 2], 4)
    assert model.predict([BOS, 1, 2, 1]) == program([1, 2, 1])


CLOSE = [[10**10, 10**10 + 1], [2**53, 2**53 + 1], [1e10, 1e10 + 1], [0.1, 0.1 + 1e-12]]


@pytest.mark.parametrize("vocab", CLOSE, ids=str)
@pytest.mark.parametrize(
    "program",
    [
        rasp.tokens,
        Map(lambda x: x + 1, rasp.tokens),
        SequenceMap(lambda x, y: max(x, y) - 1, rasp.tokens, rasp.tokens),
    ],
    ids=["tokens", "sums", "pairs"],
)
def test_numbers_that_differ_in_their_last_digits_are_two_values(program, vocab):
    model = compile_rasp_to_model(program, vocab, 2)
    assert model.predict([BOS, *vocab]) == program(vocab)


def test_what_is_read_from_means_of_large_whole_numbers_is_right_or_refused():
    vocab = [10**10, 10**10 + 1]
    mean = Aggregate(EVERYWHERE, rasp.tokens)
    with pytest.raises(CompileError, match="close"):
        compile_rasp_to_model(Map(lambda x: x > 10**10 + 0.4, mean), vocab, 2)


def test_whole_numbers_too_long_for_python_to_show_are_refused():
    with pytest.raises(CompileError, match="digits"):
        compile_rasp_to_model(rasp.tokens, [10**5000, 1], 3)


def test_texts_for_a_model_without_encoder_are_refused():
    model = dataclasses.replace(
        compile_rasp_to_model(rasp.tokens, ["a"], 2), input_encoder=None, output_encoder=None
    )
    with pytest.raises(InputError, match="must be ids"):
        model.apply([BOS, "a"])
    assert model.apply([1, 0]).decoded
