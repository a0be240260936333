"""Encoders: round trips, and what a user sees who gets it wrong."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.craft.strategies import VALUES
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.errors import InputError
from tracr_lite.transformer.encoder import CategoricalEncoder, Encoder, NumericalEncoder

BASIS = VectorSpaceWithBasis.from_values("tokens", ["a", "b", 3, None, "bos", "pad"]).basis
STRICT = CategoricalEncoder(BASIS, True, "bos", "pad", 2)


@given(st.lists(VALUES, unique=True), st.data())
def test_decode_undoes_encode(values, data):
    basis = VectorSpaceWithBasis.from_values("x", values).basis
    encoder = CategoricalEncoder(basis)
    tokens = data.draw(st.lists(st.sampled_from(values))) if values else []
    ids = encoder.encode(tokens)
    assert encoder.decode(ids) == encoder.decode(np.array(ids, int)) == tokens
    assert encoder.vocab_size == len(values)


def test_ids_are_positions_in_the_basis_given():
    encoder = CategoricalEncoder(BASIS[::-1])
    assert encoder.basis == BASIS[::-1]
    assert encoder.encode([direction.value for direction in BASIS]) == [5, 4, 3, 2, 1, 0]


def test_special_tokens_have_ids_and_the_base_has_none():
    assert (STRICT.bos_token, STRICT.pad_token) == ("bos", "pad")
    assert [STRICT.bos_encoding, STRICT.pad_encoding] == [
        BASIS.index(BasisDirection("tokens", t)) for t in ("bos", "pad")
    ]
    for encoder in (NumericalEncoder(), CategoricalEncoder(BASIS)):
        assert isinstance(encoder, Encoder)
        found = {
            getattr(encoder, f"{role}_{what}")
            for role in ("bos", "pad")
            for what in ("token", "encoding")
        }
        assert found == {None}


REFUSED = [
    pytest.param([], "the input is empty; it must start with 'bos'", id="empty"),
    pytest.param(["a"], "starts with 'a' at position 0; it must start with 'bos'", id="no_bos"),
    pytest.param(
        ["bos", "a", "bos"], "'bos' at position 2: it may only be at position 0", id="bos_later"
    ),
    pytest.param(
        ["bos", "x"], "unknown token 'x' at position 1; known: None, 3, 'a', 'b'", id="unknown"
    ),
    pytest.param(
        ["bos", "a", ["b"]], r"unhashable token \['b'\] at position 2", id="unhashable"
    ),
    pytest.param(["bos", math.nan], "unknown token nan at position 1", id="nan"),
    pytest.param(["bos", "a", "pad"], "'pad' at position 2: leave it out", id="pad"),
    pytest.param(
        ["bos", *"aba"], "3 tokens after 'bos', but the limit is max_seq_len = 2", id="long"
    ),
]


@pytest.mark.parametrize(("tokens", "message"), REFUSED)
def test_wrong_inputs_are_refused_by_name(tokens, message):
    with pytest.raises(InputError, match=message) as err:
        STRICT.encode(tokens)
    assert isinstance(err.value, ValueError)


def test_the_limit_leaves_room_for_bos_only_where_it_is_enforced():
    assert len(STRICT.encode(["bos", "a", "b"])) == 3
    free = CategoricalEncoder(BASIS, bos_token="bos", max_seq_len=2)
    assert free.encode([]) == []
    assert len(free.encode(["a", "bos"])) == 2
    with pytest.raises(InputError, match="the input has 3 tokens, but the limit"):
        free.encode(["bos", "a", "b"])


def test_padding_is_accepted_where_it_is_allowed():
    encoder = CategoricalEncoder(BASIS, True, "bos", "pad", 2, allow_pad=True)
    ids = encoder.encode(["bos", "a", "pad"])
    assert ids[2] == encoder.pad_encoding
    assert encoder.decode(ids) == ["bos", "a", "pad"]


@pytest.mark.parametrize("wrong", [-1, 6, 0.5])
def test_unknown_ids_are_refused(wrong):
    with pytest.raises(InputError, match=rf"no value has id {wrong} \(position 1\).*0 to 5"):
        STRICT.decode([0, wrong])


def test_a_none_direction_decodes_to_none():
    basis = [BasisDirection("map_3", "None"), BasisDirection("map_3:None")]
    assert CategoricalEncoder(basis).decode([1, 0]) == [None, "None"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bos_token": "x"}, "no direction for the BOS token 'x'"),
        ({"pad_token": "x"}, "no direction for the PAD token 'x'"),
        ({"enforce_bos": True}, "needs a bos_token"),
        (
            {"basis": [BasisDirection("a", 1), BasisDirection("b", True)]},
            "distinct .* a:1, b:True",
        ),
    ],
    ids=str,
)
def test_an_encoder_that_cannot_work_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CategoricalEncoder(**{"basis": BASIS, **arguments})


def test_numbers_pass_through_when_no_values_are_known():
    decoded = NumericalEncoder().decode(np.array([0.1, -2.0, np.nan, np.inf]))
    assert decoded == [0.1, -2.0, None, math.inf]
    assert NumericalEncoder().encode([1, 2.5]) == [1, 2.5]


@given(
    st.lists(st.integers(-50, 50) | st.floats(-50, 50), min_size=1),
    st.floats(-100, 100),
)
def test_numbers_snap_to_the_nearest_known_value(values, number):
    (got,) = NumericalEncoder(values).decode([number])
    assert got in values
    assert abs(got - number) == min(abs(value - number) for value in values)


def test_known_values_come_back_as_the_objects_they_were():
    decoded = NumericalEncoder([True, 2, 0.1]).decode(np.float32([0.1, 1.0001, 1.9999]))
    assert list(map(repr, decoded)) == ["0.1", "True", "2"]


def test_numbers_beyond_the_tolerance_are_left_alone():
    encoder = NumericalEncoder([0, 1], tolerance=0.25)
    assert encoder.decode([0.25, 0.3, -3.0, math.nan]) == [0, 0.3, -3.0, None]


@pytest.mark.parametrize("values", [[math.nan], [math.inf], ["a"], [None]], ids=str)
def test_known_values_must_be_finite_numbers(values):
    with pytest.raises(ValueError, match="finite numbers"):
        NumericalEncoder(values)
    with pytest.raises(ValueError, match="negative"):
        NumericalEncoder([1], tolerance=-1.0)
