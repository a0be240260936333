"""model.circuit(): what the weights read and write, no more and no less."""

import dataclasses
import itertools
import random
import sys
import time

import numpy as np
import pytest

import tracr_lite
from tests.compiler.checking import compiled, inputs
from tests.numpy_forward import predict
from tracr_lite import catalog
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.compiler.assemble import assemble_craft_model
from tracr_lite.compiler.circuits.circuit import Edge, Level, Vertex
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.errors import CompileError, SavedModelError
from tracr_lite.rasp import rasp
from tracr_lite.rasp.rasp import Aggregate, Comparison, Map, Select, SelectorWidth, SequenceMap
from tracr_lite.sampling import sample_program

T, I = rasp.tokens, rasp.indices
AB = ("a", "b")
REVERSE = lib.make_reverse(T)


def sampled(seeds):
    for seed in seeds:
        sample = sample_program(seed)
        try:
            yield (
                compile_rasp_to_model(
                    sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
                ),
                sample,
            )
        except CompileError:
            continue


@pytest.fixture(scope="module")
def models():
    """Programs that come along, and random ones, with inputs."""
    found = []
    for name in ("reverse", "sort", "dyck1_ptf", "running_mean", "induction_head", "dyck_k"):
        entry = catalog.load(name)
        found.append(
            (
                compile_rasp_to_model(entry.program, entry.vocab, 5, causal=entry.causal),
                list(inputs(entry.vocab, 5, 60)),
            )
        )
    found += [(m, s.inputs(1, 8)) for m, s in sampled(f"circuit {i}" for i in range(40))]
    return found


def arrows(level):
    return {(e.source, e.target, e.role) for e in level.edges}


def test_the_nodes_of_reverse():
    """The length is found at BOS, and read from no token."""
    nodes = compiled(REVERSE, AB, 4).circuit().nodes
    length, opposite, reverse = [v.name for v in nodes.vertices if v.kind == "node"]
    assert arrows(nodes) == {
        *((("bos", length, role)) for role in ("query", "key", "value")),
        ("bos", opposite, "input"),
        ("indices", opposite, "input"),
        (length, opposite, "input"),
        ("one", reverse, "query"),
        ("bos", reverse, "query"),
        (opposite, reverse, "query"),
        ("bos", reverse, "key"),
        ("indices", reverse, "key"),
        ("tokens", reverse, "value"),
        (reverse, "output", "output"),
    }
    assert {v.name for v in nodes.vertices if v.kind == "source"} == {
        "tokens", "indices", "bos", "one",
    }  # fmt: skip
    assert [v.fused for v in nodes.vertices if v.kind == "node"] == [
        ("all_true_selector_1",), ("opp_idx_3",), ("reverse_selector_5",),
    ]  # fmt: skip


def test_the_components_of_reverse():
    components = compiled(REVERSE, AB, 4).circuit().components
    names = [v.name for v in components.vertices]
    assert names[:3] == ["token embedding", "position embedding", "layer 0 head 0"]
    assert names[4:] == ["layer 1 head 0", "output"]
    assert {(e.source, e.role) for e in components.reads("layer 1 head 0")} == {
        (names[3], "query"),
        ("token embedding", "query"),
        ("position embedding", "key"),
        ("token embedding", "key"),
        ("token embedding", "value"),
    }
    head = components.vertex("layer 1 head 0")
    assert (head.kind, head.layer, list(head.part)) == ("head", 1, [0])
    assert "layer 1 head 0" in str(compiled(REVERSE, AB, 4).circuit())


def test_what_the_output_does_not_depend_on_is_no_part():
    """The second argument does not matter, so nothing reads it."""
    ignored = SelectorWidth(Select(T, T, Comparison.EQ))
    program = SequenceMap(lambda x, y: x, Map(str, T), ignored)
    circuit = compiled(program, AB, 3).circuit()
    assert not any("width" in name for name in [v.name for v in circuit.nodes.vertices])
    assert "head" not in {v.kind for v in circuit.components.vertices}


def test_a_node_read_in_two_forms_is_one_vertex():
    """As a number by an MLP, and one-hot by a head."""
    count = SelectorWidth(Select(T, T, Comparison.EQ)).named("count")
    program = SelectorWidth(Select(count, count, Comparison.LT))
    circuit = compiled(program, AB, 4).circuit()
    (vertex,) = [v for v in circuit.nodes.vertices if v.name.startswith("count")]
    assert len(vertex.columns) == 1 + 4
    assert not any(e.source == e.target for e in circuit.nodes.edges)


# Consistency with the weights


def by_weights(model):
    """(component, role) -> columns with a weight other than zero, from the parameters alone."""
    params, config = model.params, model.model_config
    found = {}
    for layer in range(config.num_layers):
        here = f"transformer/layer_{layer}"
        for head in range(config.num_heads):
            lanes = slice(head * config.key_size, (head + 1) * config.key_size)
            q, k, v = (
                params[f"{here}/attn/{n}"]["w"][:, lanes] for n in ("query", "key", "value")
            )
            out = params[f"{here}/attn/linear"]["w"][lanes]
            alive, passed = q.any(0) & k.any(0), v.any(0) & out.any(1)
            name = f"layer {layer} head {head}"
            found[name, "query"] = set(np.flatnonzero(q[:, alive].any(1)))
            found[name, "key"] = set(np.flatnonzero(k[:, alive].any(1)))
            found[name, "value"] = set(np.flatnonzero(v[:, passed].any(1)))
            found[name, "write"] = set(np.flatnonzero(out[passed].any(0)))
        fst, snd = (params[f"{here}/mlp/linear_{n}"]["w"] for n in (1, 2))
        for neuron in range(config.mlp_hidden_size):
            found[layer, neuron] = (
                set(np.flatnonzero(fst[:, neuron])),
                set(np.flatnonzero(snd[neuron])),
            )
    return found


def test_every_edge_has_a_weight_and_every_weight_an_edge(models):
    for model, _ in models:
        circuit, weights = model.circuit(), by_weights(model)
        written = {c for v in circuit.components.vertices for c in v.columns}
        for vertex in circuit.components.vertices:
            reads = {}
            for edge in circuit.components.reads(vertex.name):
                reads.setdefault(edge.role, set()).update(edge.columns)
            if vertex.kind == "head":
                for role in ("query", "key", "value"):
                    assert reads.get(role, set()) == weights[vertex.name, role], vertex
                assert set(vertex.columns) == weights[vertex.name, "write"] & written
            elif vertex.kind == "neurons":
                parts = [weights[vertex.layer, i] for i in vertex.part]
                live = [read for read, write in parts if write]
                assert reads["input"] == set().union(*live), vertex
                assert set(vertex.columns) == set().union(*(w for _, w in parts)) & written
            elif vertex.kind == "output":
                assert reads["output"] == set(model.shape.readout.columns)


def masks(model):
    """1 where a parameter belongs to the circuit."""
    size = model.model_config.key_size
    found = {
        name: {leaf: np.zeros(array.shape, np.float32) for leaf, array in group.items()}
        for name, group in model.params.items()
    }
    level = model.circuit().components
    for vertex in level.vertices:
        here, columns = f"transformer/layer_{vertex.layer}", list(vertex.columns)
        if vertex.kind == "embedding":
            name = "token_embed" if "token" in vertex.name else "pos_embed"
            found[name]["embeddings"][:, columns] = 1
        elif vertex.kind == "head":
            lanes = range(vertex.part.start * size, vertex.part.stop * size)
            found[f"{here}/attn/linear"]["w"][np.ix_(lanes, columns)] = 1
            for edge in level.reads(vertex.name):
                rows = np.ix_(list(edge.columns), lanes)
                found[f"{here}/attn/{edge.role}"]["w"][rows] = 1
        elif vertex.kind == "neurons":
            found[f"{here}/mlp/linear_2"]["w"][np.ix_(vertex.part, columns)] = 1
            for edge in level.reads(vertex.name):
                rows = np.ix_(list(edge.columns), vertex.part)
                found[f"{here}/mlp/linear_1"]["w"][rows] = 1
    return found


def with_params(model, params):
    return dataclasses.replace(model, params=params)


def test_without_all_weights_outside_of_the_circuit_nothing_changes(models):
    for model, batch in models:
        kept = {
            name: {leaf: array * mask[leaf] for leaf, array in model.params[name].items()}
            for name, mask in masks(model).items()
        }
        assert predict(with_params(model, kept), batch) == predict(model, batch)


def test_no_component_can_be_left_out(models):
    """Of the smaller models: without what it writes, some input has another answer."""
    for model, batch in models[:6]:
        whole = predict(model, batch)
        for vertex in model.circuit().components.vertices:
            if vertex.kind not in ("head", "neurons"):
                continue
            here = f"transformer/layer_{vertex.layer}"
            name, scale = f"{here}/mlp/linear_2", 1
            if vertex.kind == "head":
                name, scale = f"{here}/attn/linear", model.model_config.key_size
            params = {n: dict(group) for n, group in model.params.items()}
            params[name]["w"] = params[name]["w"].copy()
            params[name]["w"][vertex.part.start * scale : vertex.part.stop * scale] = 0
            assert predict(with_params(model, params), batch) != whole, vertex.name


def test_columns_lie_between_the_components(models):
    for model, _ in models:
        circuit = model.circuit()
        column = {v.name: v.columns[0] for v in circuit.columns.vertices if v.kind == "column"}
        writes = {
            (e.source, column[e.target]) for e in circuit.columns.edges if e.role == "write"
        }
        reads = {
            (column[e.source], e.target, e.role)
            for e in circuit.columns.edges
            if e.role != "write"
        }
        joined = {(s, t, role, c) for s, c in writes for k, t, role in reads if k == c}
        direct = {
            (e.source, e.target, e.role, c) for e in circuit.components.edges for c in e.columns
        }
        assert joined == direct
        assert len(writes) == len(column), "each column has one writer"


def test_every_level_leads_from_the_inputs_to_the_output(models):
    for model, _ in models:
        circuit = model.circuit()
        for level in (circuit.nodes, circuit.components, circuit.columns):
            below = {}
            for edge in level.edges:
                below.setdefault(edge.target, set()).add(edge.source)
            reached, stack = {"output"}, ["output"]
            while stack:
                for name in below.get(stack.pop(), set()) - reached:
                    reached.add(name)
                    stack.append(name)
            assert reached == {v.name for v in level.vertices}
            assert len(level.vertices) == len({v.name for v in level.vertices})
            ends = {v.name for v in level.vertices if v.name not in below}
            assert ends <= {
                "tokens", "indices", "bos", "one", "token embedding", "position embedding",
            }  # fmt: skip


def test_every_node_of_the_program_is_somewhere_unless_it_does_not_matter(models):
    for model, _ in models[:6]:
        circuit = model.circuit()
        found = {label for v in circuit.nodes.vertices for label in (*v.nodes, *v.fused)}
        assert set(model.graph.labels) <= found | {"length"}


def test_columns_name_the_nodes_that_own_them(models):
    for model, _ in models:
        for vertex in model.circuit().nodes.vertices:
            if vertex.kind == "node":
                assert set(vertex.columns) <= set(model.nodes[vertex.name].columns)


# As a graph


def test_as_a_networkx_graph(models):
    networkx = pytest.importorskip("networkx", reason="pip install networkx")
    for model, _ in models[:20]:
        circuit = model.circuit()
        for name in ("nodes", "components", "columns"):
            graph, level = circuit.to_networkx(name), circuit.level(name)
            assert networkx.is_directed_acyclic_graph(graph)
            assert set(graph.nodes) == {v.name for v in level.vertices}
            assert graph.number_of_edges() == len(level.edges)
            for edge in level.edges:
                data = graph.edges[edge.source, edge.target, edge.role]
                assert data["columns"] == edge.columns
                assert data["labels"] == tuple(model.residual_labels[i] for i in edge.columns)
            assert graph.nodes["output"]["kind"] == "output"


def test_without_networkx_there_is_advice(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    circuit = compiled(REVERSE, AB, 3).circuit()
    with pytest.raises(ImportError, match="pip install networkx"):
        circuit.to_networkx()


def test_names_that_are_not_there():
    circuit = compiled(REVERSE, AB, 3).circuit()
    with pytest.raises(ValueError, match="nodes, components or columns; got 'heads'"):
        circuit.level("heads")
    with pytest.raises(KeyError, match="no 'layer 9 head 0'; there are token embedding"):
        circuit.components.vertex("layer 9 head 0")
    with pytest.raises(KeyError, match="no 'x'"):
        circuit.nodes.reads("x")


def test_large_circuits_are_printed_in_a_time_that_grows_with_their_size():
    names = [f"v{i}" for i in range(4000)]
    edges = tuple(Edge(a, b, "input", (0,)) for a, b in itertools.pairwise(names))
    level = Level(tuple(Vertex(name, "node") for name in names), edges)
    begun = time.process_time()
    lines = str(level).splitlines()
    assert time.process_time() - begun < 2
    assert lines[0] == "v0"
    assert lines[9].split() == ["v9", "v8", "(input)"]


def test_models_without_a_program(tmp_path):
    model = compiled(REVERSE, AB, 3)
    model.save(tmp_path / "m")
    with pytest.raises(SavedModelError):
        tracr_lite.load(tmp_path / "m").circuit()
    again = tracr_lite.load(tmp_path / "m", REVERSE)
    assert again.circuit() == model.circuit()
    spaces = [
        VectorSpaceWithBasis([BasisDirection(name, v) for v in (0, 1)])
        for name in ("tokens", "indices")
    ]
    packed = assemble_craft_model(model.craft_model, *spaces, spaces[0], True)
    with pytest.raises(ValueError, match="packed by hand"):
        packed.circuit()


def test_it_is_the_same_on_every_compile():
    rng = random.Random(1)
    vocab = list(range(5))
    circuits = []
    for _ in range(3):
        rng.shuffle(vocab)
        circuits.append(compile_rasp_to_model(lib.make_hist(), vocab, 4).circuit())
    assert circuits[0] == circuits[1] == circuits[2]


def test_an_aggregate_in_a_causal_model():
    mean = Aggregate(Select(I, I, Comparison.TRUE), T)
    circuit = compiled(mean, (1, 2), 4, True).circuit()
    assert [v.kind for v in circuit.components.vertices].count("head") == 1
