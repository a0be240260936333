"""Lowering that fails goes on clean from the first read that this changes: the result is that
of lowering clean from the start."""

import numpy as np
import pytest

from tracr_lite.compiler.compiling import lengths_of
from tracr_lite.compiler.lowering import program, resuming
from tracr_lite.compiler.lowering.program import lower
from tracr_lite.compiler.tracing import trace
from tracr_lite.compiler.values.infer import infer
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.errors import CompileError
from tracr_lite.sampling import sample_program


def lowered(seed, **how):
    """Blocks of a random program, all that they hold as text; or its refusal."""
    sample = sample_program(seed, nodes=(6, 10), max_seq_len=5, vocab_size=5)
    graph = trace(sample.program)
    values = infer(graph, sample.vocab, lengths_of(graph, 5), sample.causal)
    try:
        return shown(lower(values, BasisDirection("tokens", "bos"), **how)), str(values)
    except CompileError as error:
        return str(error)


def shown(blocks):
    parts = [str(blocks), blocks.labels, blocks.columns, blocks.doubtful, blocks.clean]
    parts += [blocks.known, blocks.tolerance, blocks.fewer, blocks.output.basis]
    for block in blocks.blocks:
        if hasattr(block, "w_qk"):
            parts += [*block.w_qk.factors, block.w_ov.matrix, block.w_qk.left_space.basis]
        else:
            parts += [block.fst.matrix, block.snd.matrix, block.fst.input_space.basis]
    parts += [(form.node, form.slot, repr(form.proved)) for form in blocks.forms]
    return [(x.shape, x.tobytes()) if isinstance(x, np.ndarray) else str(x) for x in parts]


@pytest.fixture
def resumed(monkeypatch):
    """The marks from which lowering went on."""
    marks = []

    def noted(state, mark):
        marks.append(mark)
        resuming.resume(state, mark)

    monkeypatch.setattr(program, "resume", noted)
    return marks


def test_going_on_gives_what_lowering_clean_gives(resumed):
    seeds = [3, 4, 5, 12, 21, 48, 56, 107, 112, 131, 163, 217, 268, 311, 319, 390]
    for seed in seeds:
        assert lowered(seed) == lowered(seed, clean=True), seed
    assert len(resumed) == len(seeds)
    assert any(mark.one_hot for mark in resumed)  # something was kept,
    assert any(len(mark.begun) > 1 for mark in resumed)  # and nodes were asked for again


def test_refusals_are_those_of_lowering_clean(resumed):
    found = [lowered(seed) for seed in (170, 221, 313)]
    assert all(isinstance(each, str) for each in found)
    assert found == [lowered(seed, clean=True) for seed in (170, 221, 313)]
    assert len(resumed) == 3


def test_where_nodes_would_decide_otherwise_all_is_lowered_again(monkeypatch, resumed):
    monkeypatch.setattr("tracr_lite.compiler.lowering.lower.marked", lambda state: None)
    assert lowered(12) == lowered(12, clean=True)
    assert resumed == []
