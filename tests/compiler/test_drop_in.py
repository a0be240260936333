"""Scripts written for Tracr run after `tracr` is replaced by `tracr_lite` in their imports."""

import enum
import importlib
import inspect
from pathlib import Path

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracr_lite.compiler import assemble, compiling, lib, rasp_to_graph, validating
from tracr_lite.craft import bases, transformers, vectorspace_fns
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.transformer import compressed_model, encoder

# Blocks of a module name and its names: `f(x, y=1)`, `Class(x)`, `Class.method(x)`, `name = v`
TABLE = Path(__file__).with_name("api_names.txt").read_text(encoding="utf-8")
BLOCKS = [block.splitlines() for block in TABLE.split("\n\n")]
ENTRIES = [(lines[0], entry) for lines in BLOCKS for entry in lines[1:]]
ANY_KIND = {"Predicate", "Annotator", "ModelForward"}  # protocols: only names count


def wanted_signature(text):
    return inspect.signature(eval(f"lambda {text}: None", {"gelu": jax.nn.gelu}))


def found_signature(thing, *, method):
    if isinstance(thing, type):
        if thing.__init__ is object.__init__:
            return inspect.Signature()
        thing, method = thing.__init__, True
    found = inspect.signature(thing)
    return found.replace(parameters=list(found.parameters.values())[method:])


def look_up(module, path):
    owner, thing = None, importlib.import_module(module)
    for name in path.split("."):
        owner, thing = thing, inspect.getattr_static(thing, name)
    if isinstance(thing, classmethod):
        return getattr(owner, path.split(".")[-1]), False
    return thing, isinstance(owner, type)


def assert_callable_alike(found, wanted, *, any_kind):
    found, wanted = list(found.parameters.values()), list(wanted.parameters.values())
    for one, other in zip(found, wanted, strict=False):
        assert (one.name, one.default) == (other.name, other.default)
        assert any_kind or one.kind is other.kind
    assert len(found) >= len(wanted)
    for extra in found[len(wanted) :]:
        assert extra.default is not extra.empty or extra.kind in (
            extra.VAR_POSITIONAL,
            extra.VAR_KEYWORD,
        )


@pytest.mark.parametrize(("module", "entry"), ENTRIES, ids=lambda text: text.split("(")[0])
def test_every_name_and_signature_is_kept(module, entry):
    path, paren, rest = entry.partition("(")
    path, _, value = path.partition(" = ")
    thing, method = look_up(module, path)
    if value:
        assert repr(thing) == value
    if paren:
        any_kind = path.split(".")[0] in ANY_KIND
        found = found_signature(thing, method=method)
        assert_callable_alike(found, wanted_signature(rest[:-1]), any_kind=any_kind)


@pytest.mark.parametrize(
    "text", ["y, x", "x, y=2", "x", "x, y=1, *, z", "x, *, y=1", "x, /, y=1"]
)
def test_other_signatures_would_be_noticed(text):
    def compare():
        found, wanted = wanted_signature(text), wanted_signature("x, y=1")
        assert_callable_alike(found, wanted, any_kind=False)

    with pytest.raises((AssertionError, ValueError)):
        compare()


def test_the_table_of_names_is_complete():
    assert len(BLOCKS) == 14
    assert len(ENTRIES) > 200


def test_enumerations_are_enums_and_evaluators_are_evaluators():
    assert issubclass(rasp.Comparison, enum.Enum)
    assert issubclass(rasp.Encoding, enum.Enum)
    for evaluator in (causal_eval.CausalEvaluator, validating.DynamicValidationEvaluator):
        assert issubclass(evaluator, rasp.DefaultRASPEvaluator)


def test_kinds_of_instances_are_kept():
    assert isinstance(rasp.tokens, rasp.TokensType)
    assert isinstance(rasp.indices, rasp.IndicesType)
    assert isinstance(rasp.length, rasp.LengthType)
    assert isinstance(lib.length, rasp.SelectorWidth)


# Scripts


def test_script_of_the_readme():
    def make_length():
        all_true_selector = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)
        return rasp.SelectorWidth(all_true_selector)

    bos = "BOS"
    model = compiling.compile_rasp_to_model(
        make_length(), vocab={1, 2, 3}, max_seq_len=5, compiler_bos=bos
    )
    out = model.apply([bos, 1, 2, 3])
    assert out.decoded == ["BOS", 3, 3, 3]


def test_script_that_walks_the_residual_stream():
    model = compiling.compile_rasp_to_model(
        program=lib.make_frac_prevs(rasp.tokens == "x"),
        vocab={"w", "x", "y", "z"},
        max_seq_len=5,
        causal=False,
        compiler_bos="bos",
        compiler_pad="pad",
        mlp_exactness=100,
    )
    out = model.apply(["bos", "x", "y", "x"])
    labels = {label: i for i, label in enumerate(model.residual_labels)}
    embedded = np.asarray(out.input_embeddings)
    assert embedded[0, 1, labels["tokens:x"]] == embedded[0, 1, labels["indices:0"]] == 1
    assert embedded[0, :, labels["one"]].tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(out.decoded[1:], [1, 1 / 2, 2 / 3], rtol=1e-5)
    np.testing.assert_allclose(out.unembedded[0, 1:], [1, 1 / 2, 2 / 3], rtol=1e-5)
    np.testing.assert_array_equal(out.residuals[-1], out.transformer_output)
    np.testing.assert_allclose(
        embedded + sum(map(np.asarray, out.layer_outputs)), out.transformer_output, atol=1e-6
    )


@pytest.mark.parametrize("error", [NotImplementedError, ValueError])
def test_script_that_catches_refusals(error):
    with pytest.raises(error):
        compiling.compile_rasp_to_model(rasp.Map(lambda x: [x], rasp.tokens), {"a"}, 3)


def test_script_that_runs_the_haiku_model_itself():
    model = compiling.compile_rasp_to_model(lib.make_reverse(rasp.tokens), set("abc"), 4)
    forward = hk.without_apply_rng(
        hk.transform(lambda ids: model.get_compiled_model()(ids, use_dropout=False))
    )
    ids = jnp.array([model.input_encoder.encode(["compiler_bos", "a", "b"])])
    out = forward.apply(model.params, ids)
    decoded = model.output_encoder.decode(out.unembedded_output[0].tolist())
    assert decoded[1:] == ["b", "a"]
    assert out.transformer_output.output.shape == (1, 3, len(model.residual_labels))


def test_script_that_trains_a_compressed_model():
    model = compiling.compile_rasp_to_model(lib.make_reverse(rasp.tokens), set("ab"), 3)
    inputs = model.apply(["compiler_bos", "a", "b"])

    def compressed(embeddings, mask):
        module = compressed_model.CompressedTransformer(model.model_config, name="transformer")
        return module(
            embeddings,
            mask,
            embedding_size=len(model.residual_labels),
            use_dropout=False,
            unembed_at_every_layer=True,
        ).output

    forward = hk.without_apply_rng(hk.transform(compressed))
    ids, mask = inputs.input_embeddings, jnp.ones((1, 3))
    w_emb = {"transformer": {"w_emb": jnp.eye(len(model.residual_labels))}}
    params = {**{k: v for k, v in model.params.items() if "embed" not in k}, **w_emb}
    out = forward.apply(params, ids, mask)
    np.testing.assert_allclose(out, inputs.transformer_output, atol=1e-5)


def test_script_that_assembles_a_craft_model_by_hand():
    tokens = bases.VectorSpaceWithBasis.from_values("tokens", ["a", "b", "bos"])
    places = bases.VectorSpaceWithBasis.from_values("indices", range(3))
    output = bases.VectorSpaceWithBasis.from_values("output", ["a", "b"])

    letters = bases.VectorSpaceWithBasis.from_values("tokens", ["a", "b"])
    hidden = bases.VectorSpaceWithBasis.from_names(["h0", "h1"])
    swap = vectorspace_fns.Linear(letters, hidden, np.eye(2))
    write = vectorspace_fns.Linear(hidden, output, np.eye(2)[::-1])
    craft_model = transformers.SeriesWithResiduals([transformers.MLP(swap, write)])
    model = assemble.assemble_craft_model(
        craft_model, tokens, places, output, categorical_output=True
    )
    model.input_encoder = encoder.CategoricalEncoder(
        tokens.basis, enforce_bos=True, bos_token="bos", max_seq_len=3
    )
    model.output_encoder = encoder.CategoricalEncoder(output.basis)
    assert model.apply(["bos", "a", "b", "b"]).decoded == ["bos", "b", "a", "a"]


def test_script_with_a_custom_evaluator():
    class Counting(rasp.DefaultRASPEvaluator):
        maps = 0

        def eval_map(self, sop, xs):
            self.maps += 1
            return super().eval_map(sop, xs)

    evaluator = Counting()
    program = rasp.Map(lambda x: x + 1, rasp.Map(lambda x: 2 * x, rasp.tokens), simplify=False)
    assert evaluator.evaluate(program, [1, 2]) == [3, 5]
    assert evaluator.maps == 2


# The validator


@pytest.mark.parametrize(
    "program", [lib.make_length(), rasp.tokens, lib.make_shuffle_dyck(["()"]), rasp.length]
)
def test_programs_that_compile_are_valid(program):
    assert validating.static_validate(program) == []
    assert validating.validate(program, ["(", ")"]) == []


INVALID = {
    "unhashable": (rasp.Map(lambda x: [x], rasp.tokens), "unhashable"),
    "non_finite": (rasp.Map(lambda x: float("inf"), rasp.tokens), "non-finite"),
    "text_as_number": (rasp.numerical(rasp.Map(str, rasp.tokens)), "numerical"),
}


@pytest.mark.parametrize("name", INVALID)
def test_the_validator_names_the_expression_and_the_reason(name):
    bad, reason = INVALID[name]
    program = rasp.SequenceMap(lambda x, y: 0, bad, rasp.indices)
    (problem,) = validating.validate(program, [1, 2])
    assert problem.expr is bad
    assert reason in problem.reason
    assert validating.dynamic_validate(program, [1, 2]) == [problem]
    assert validating.static_validate(program) == validating.validate(program) == []


def test_the_validator_finds_problems_below_nested_selectors():
    bad = rasp.Map(lambda x: float("nan"), rasp.tokens)
    inner = rasp.Select(bad, rasp.indices, lambda k, q: True)
    width = rasp.SelectorWidth(inner | ~rasp.Select(rasp.indices, bad, lambda k, q: False))
    (problem,) = validating.validate(rasp.Map(lambda x: x + 1, width), [1, 2])
    assert problem.expr is bad


def test_the_dynamic_evaluator_gives_the_values_of_the_evaluator():
    program = lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=4, min_key=1)
    evaluator = validating.DynamicValidationEvaluator()
    assert evaluator.evaluate(program, [3, 1, 2]) == program([3, 1, 2])


# The graph


def test_the_graph_has_a_node_per_expression_and_an_edge_per_input():
    pytest.importorskip("networkx", reason="pip install networkx")
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    program = rasp.SequenceMap(max, rasp.SelectorWidth(same), rasp.indices)
    found = rasp_to_graph.extract_rasp_graph(program)
    assert len(found.graph.nodes) == 5
    assert found.sink["EXPR"] is program
    assert {id(s["EXPR"]) for s in found.sources} == {id(rasp.tokens), id(rasp.indices)}
    assert (same.label, program.children[0].label) in found.graph.edges
    assert found.graph.number_of_edges() == 4


def test_the_graph_of_a_deep_shared_program_is_extracted_at_once():
    pytest.importorskip("networkx", reason="pip install networkx")
    program = rasp.tokens
    for _ in range(200):
        program = rasp.SequenceMap(max, program, program)
    assert len(rasp_to_graph.extract_rasp_graph(program).graph.nodes) == 201


def test_the_graph_says_what_to_install_when_networkx_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "networkx", None)
    with pytest.raises(ImportError, match="pip install networkx"):
        rasp_to_graph.extract_rasp_graph(rasp.tokens)
