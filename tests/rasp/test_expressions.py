"""Identity, annotations, construction and repr of expressions."""

import copy
import pickle
import time

import pytest

from tracr_lite.rasp import rasp
from tracr_lite.rasp.base import require, topological

EQ = rasp.Comparison.EQ
SAME = rasp.Select(rasp.tokens, rasp.tokens, EQ)

DEFAULT_NAMES = [
    (rasp.tokens, "tokens"),
    (rasp.indices, "indices"),
    (rasp.length, "length"),
    (rasp.Map(abs, rasp.tokens), "map"),
    (rasp.SequenceMap(max, rasp.tokens, rasp.indices), "sequence_map"),
    (rasp.LinearSequenceMap(rasp.tokens, rasp.indices, 1, 2), "linear_sequence_map"),
    (rasp.Aggregate(SAME, rasp.tokens), "aggregate"),
    (rasp.SelectorWidth(SAME), "selector_width"),
    (SAME, "select"),
    (rasp.SelectorAnd(SAME, SAME), "selector_and"),
    (rasp.SelectorOr(SAME, SAME), "selector_or"),
    (rasp.SelectorNot(SAME), "selector_not"),
    (rasp.ConstantSOp([1]), "constant_sop"),
    (rasp.ConstantSelector([[True]]), "constant_selector"),
    (rasp.Full(1), "full"),
]


@pytest.mark.parametrize(("expr", "name"), DEFAULT_NAMES)
def test_default_name_and_label(expr, name):
    assert expr.name == expr.annotations["name"] == rasp.default_name(expr) == name
    bare = name in ("tokens", "indices", "length")
    assert expr.label == (name if bare else f"{name}_{expr.unique_id}")


@pytest.mark.parametrize("expr", [expr for expr, _ in DEFAULT_NAMES], ids=repr)
@pytest.mark.parametrize(
    "make",
    [
        rasp.RASPExpr.copy,
        copy.copy,
        lambda expr: expr.named("renamed"),
        lambda expr: expr.annotated(color="red"),
        lambda expr: rasp.annotate(expr, encoding=rasp.Encoding.NUMERICAL),
        lambda expr: expr.named(expr.name),
    ],
)
def test_copies_are_new_and_leave_the_original_alone(expr, make):
    before = expr.label, dict(expr.annotations)
    new = make(expr)
    assert type(new) is type(expr)
    assert new.unique_id != expr.unique_id
    assert (expr.label, dict(expr.annotations)) == before
    assert all(x is y for x, y in zip(new.children, expr.children, strict=True))
    if new.annotations or expr.children:  # two plain TokensType are the same sequence
        assert new.label != expr.label


def test_an_id_read_before_the_copy_does_not_survive_it():
    fst = rasp.tokens + 1
    assert fst.label != rasp.numerical(fst).label
    assert rasp.numerical(rasp.tokens).label != "tokens"


def test_annotations_accumulate():
    expr = rasp.numerical(rasp.tokens + 1).named("plus").annotated(color="red")
    expected = {"encoding": rasp.Encoding.NUMERICAL, "name": "plus", "color": "red"}
    assert dict(expr.annotations) == expected
    assert dict((rasp.tokens + 1).annotations) == {}
    assert len(expr.annotations) == 3


def test_unknown_annotation_is_a_key_error():
    with pytest.raises(KeyError, match="colour"):
        rasp.tokens.annotations["colour"]


def test_encodings():
    assert rasp.get_encoding(rasp.tokens) is rasp.Encoding.CATEGORICAL
    assert rasp.is_categorical(rasp.tokens)
    number = rasp.numerical(rasp.tokens)
    assert rasp.is_numerical(number)
    assert not rasp.is_categorical(number)
    assert rasp.is_categorical(rasp.categorical(number))
    assert rasp.default_encoding(SAME) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: rasp.Select(1, rasp.tokens, EQ),
        lambda: rasp.Select(rasp.tokens, SAME, EQ),
        lambda: rasp.Select(rasp.tokens, rasp.tokens, "=="),
        lambda: rasp.Aggregate(rasp.tokens, rasp.tokens),
        lambda: rasp.Aggregate(SAME, SAME),
        lambda: rasp.Map(rasp.tokens, rasp.tokens),
        lambda: rasp.Map(abs, SAME),
        lambda: rasp.SequenceMap(max, rasp.tokens, 1),
        lambda: rasp.SequenceMap(None, rasp.tokens, rasp.tokens),
        lambda: rasp.LinearSequenceMap(rasp.tokens, SAME, 1, 1),
        lambda: rasp.SelectorWidth(rasp.tokens),
        lambda: rasp.SelectorAnd(SAME, rasp.tokens),
        lambda: rasp.SelectorOr(rasp.tokens, SAME),
        lambda: rasp.SelectorNot(rasp.tokens),
        lambda: rasp.selector_not(rasp.tokens),
        lambda: rasp.sop_not(SAME),
        lambda: rasp.tokens.named(3),
    ],
)
def test_arguments_of_the_wrong_type(make):
    with pytest.raises(TypeError):
        make()


def test_type_errors_name_class_argument_and_value():
    with pytest.raises(
        TypeError, match="Aggregate: selector must be of type Selector; got Tok"
    ):
        require("selector", rasp.tokens, rasp.Selector, "Aggregate")


def test_nodes_are_immutable():
    with pytest.raises(AttributeError):
        SAME.keys = rasp.indices
    values = [1, 2]
    constant = rasp.ConstantSOp(values)
    values.append(3)
    assert constant([0, 0]) == [1, 2]


def test_map_of_map_is_one_map():
    inner = rasp.Map(abs, rasp.tokens)
    fused = rasp.Map(str, inner)
    assert fused.inner is rasp.tokens
    assert fused([-3]) == ["3"]
    assert rasp.Map(str, inner, simplify=False).inner is inner


def test_readable_attributes():
    linear = rasp.LinearSequenceMap(rasp.tokens, rasp.indices, fst_fac=2, snd_fac=-3)
    assert (linear.fst_fac, linear.snd_fac, linear.f(5, 7)) == (2, -3, -11)
    assert linear.fst is rasp.tokens
    assert linear.snd is rasp.indices
    aggregate = rasp.Aggregate(SAME, rasp.indices, default=4)
    assert (aggregate.selector, aggregate.default) == (SAME, 4)
    assert aggregate.children[0] is SAME
    assert rasp.Map(abs, rasp.tokens).f is abs
    assert SAME.predicate is EQ


def test_pickling_gives_new_ids_and_the_same_program():
    program = rasp.Aggregate(SAME, rasp.indices + 1).named("mean")
    loaded = pickle.loads(pickle.dumps(program))
    assert loaded.name == "mean"
    assert loaded.unique_id != program.unique_id
    assert loaded("abca") == program("abca")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (rasp.Aggregate(SAME, rasp.indices), "Aggregate(Select(tokens, tokens, EQ), indices)"),
        (rasp.Aggregate(SAME, rasp.tokens, 0), "Aggregate(..., default=0)"),
        (rasp.Map(lambda x: x, rasp.tokens), "Map(<lambda>, tokens)"),
        (1 - rasp.tokens, "Map(1 - x, tokens)"),
        (~(rasp.tokens < rasp.indices), "Map(not x, SequenceMap(x < y, tokens, indices))"),
        (rasp.Map(abs, rasp.tokens + 1), "Map(x + 1 then abs, tokens)"),
        (rasp.LinearSequenceMap(rasp.tokens, rasp.tokens, 1, 2), "...(tokens, tokens, 1, 2)"),
        (rasp.numerical(rasp.tokens).named("t"), "t = numerical(tokens)"),
        (rasp.SelectorWidth(SAME.named("same")), "SelectorWidth(same)"),
        (rasp.ConstantSOp([1, 2], check_length=False), "...((1, 2), check_length=False)"),
    ],
)
def test_repr(expr, text):
    start, _, end = text.rpartition("...") if "..." in text else ("", "", text)
    assert repr(expr).startswith(start)
    assert repr(expr).endswith(end)
    assert "..." in text or repr(expr) == text


def _diamond(depth: int) -> rasp.SOp:
    sop = rasp.tokens
    for _ in range(depth):
        sop = rasp.SequenceMap(lambda x, y: (x + y) % 7, sop, sop)
    return sop


def test_repr_is_bounded():
    assert len(repr(_diamond(40))) < 1000
    assert "..." in repr(_diamond(40))
    assert len(repr(rasp.ConstantSOp(range(10_000)))) < 100
    chain = rasp.tokens
    for _ in range(2_000):
        chain = chain + 1
    assert len(repr(chain)) < 200


def test_topological_order_is_inputs_first_and_each_once():
    program = _diamond(200)
    start = time.perf_counter()
    order = topological(program)
    assert time.perf_counter() - start < 1
    assert len(order) == 201
    seen = set()
    for node in order:
        assert seen.issuperset(child.unique_id for child in node.children)
        seen.add(node.unique_id)
    assert order[-1] is program
