"""Columns: dead ones are not written, freed ones are reused, and the map says when."""

from __future__ import annotations

import importlib
from itertools import pairwise

import numpy as np

from tests.targets.runtimes import inputs
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.rasp import causal_eval, rasp
from tracr_lite.targets import compile_rasp_to_llama
from tracr_lite.targets.blocks import Copy, MLPPart
from tracr_lite.targets.forward import predict
from tracr_lite.targets.reuse import allocate, without_dead

A, B, C, D = (BasisDirection(name) for name in "abcd")


def copies(slot, *pairs):
    return MLPPart(slot, (0,), tuple(Copy({x: 1.0}, {y: 1.0}) for x, y in pairs))


def test_what_nobody_reads_is_not_written():
    parts = (copies(1, (A, B), (A, D)), copies(3, (B, C)))
    kept = without_dead(parts, [{C: 1.0}])
    assert [part.writes() for part in kept] == [[B], [C]]
    assert without_dead(parts, [{A: 1.0}]) == ()


def test_a_column_is_reused_after_the_half_layer_that_frees_it():
    parts = (copies(1, (A, B)), copies(3, (B, C)), copies(5, (C, D)))
    found = allocate(parts, [A], [{D: 1.0}], reuse=True)
    assert found.count < 4
    assert found.place[D] in (found.place[A], found.place[B])
    assert found.freed[A] == 1
    owners = {}
    for direction, at in found.place.items():
        owners.setdefault(at, []).append(direction)
    for shared in owners.values():
        for before in shared[:-1]:
            assert before in found.freed
    clearing = {d for part in found.clearing for unit in part.units for d in unit.out}
    assert clearing == found.freed.keys()


def test_without_reuse_every_direction_has_a_column_of_its_own():
    parts = (copies(1, (A, B)), copies(3, (B, C)), copies(5, (C, D)))
    found = allocate(parts, [A], [{D: 1.0}], reuse=False)
    assert len(set(found.place.values())) == found.count == 4
    assert found.clearing == ()


def test_a_column_that_is_read_but_never_written_stays_zero():
    found = allocate((copies(1, (A, B)),), [A], [{B: 1.0, C: 1.0}], reuse=True)
    assert found.place[C] not in (found.place[A], found.place[B])


def test_reuse_saves_columns_of_a_deep_program_and_changes_nothing():
    module = importlib.import_module("programs.bracket_depth")
    model = compile_rasp_to_llama(module.PROGRAM, module.VOCAB, 24, causal=True)
    columns = [c for node in model.nodes for c in node.columns]
    assert any(until is not None for _, _, _, until in columns)
    assert len({at for at, *_ in columns}) < len(columns)
    spans = {}
    for at, _, since, until in columns:
        spans.setdefault(at, []).append((since, len(columns) if until is None else until))
    for shared in spans.values():
        shared.sort()
        assert all(until < since for (_, until), (since, _) in pairwise(shared))
    for xs in inputs(module.VOCAB, 24, 4, 0):
        assert predict(model, xs) == causal_eval.evaluate(module.PROGRAM, xs)


def test_the_residual_stream_holds_what_the_map_says():
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    program = rasp.SelectorWidth(same).named("hist")
    model = compile_rasp_to_llama(program, "ab", 6, causal=True)
    tokens = next(node for node in model.nodes if node.label == "tokens")
    embedding = model.tensors["model.embed_tokens.weight"]
    for value, at in model.vocabulary.inputs:
        column = next(c for c, text, since, _ in tokens.columns if text == f"tokens:{value}")
        assert embedding[at, column] == 1.0
        assert np.count_nonzero(embedding[at]) == 2  # the ballast and the token
