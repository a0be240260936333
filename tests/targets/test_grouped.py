"""Grouped queries: heads that share keys and values, in the runtimes that know them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.targets.runtimes import inputs, our_llama, transformers_of, wrong
from tracr_lite import catalog
from tracr_lite.craft.bases import BasisDirection
from tracr_lite.llama import runtime
from tracr_lite.rasp import causal_eval
from tracr_lite.targets import compile_rasp_to_llama
from tracr_lite.targets.blocks import HeadPart, Penalty
from tracr_lite.targets.export import export
from tracr_lite.targets.llama_heads import fit
from tracr_lite.targets.placing import Groups, PlacedHead
from tracr_lite.targets.rope import THETA, slow_pairs

A, B, C, D = (BasisDirection(name) for name in "abcd")
every_group = pytest.mark.parametrize("group", [2, 4])
every_program = pytest.mark.parametrize("name", ["induction_head", "pair_balance"])


def compiled(name, size, group, **options):
    entry = catalog.load(name)
    model = compile_rasp_to_llama(
        entry.program, entry.vocab, size, causal=True, queries_per_key=group, **options
    )
    heads = model.config["num_attention_heads"]
    assert heads == group * model.config["num_key_value_heads"]
    rows = model.tensors["model.layers.0.self_attn.k_proj.weight"].shape[0]
    assert rows * group == model.config["hidden_size"]
    return model


def check(model, run, name, size):
    entry = catalog.load(name)
    given = inputs(entry.vocab, size, 5, 0)
    bad, total, error = wrong(
        model, run, lambda xs: causal_eval.evaluate(entry.program, xs), given
    )
    assert (bad, error) == (0, 0.0), f"{bad} of {total}"


def used(model):
    """(heads that ask something, key heads that show something) of each layer."""
    config, found = model.config, []
    for layer in range(config["num_hidden_layers"]):
        here = f"model.layers.{layer}.self_attn"
        sizes = (config["num_attention_heads"], config["num_key_value_heads"])
        rows = (model.tensors[f"{here}.{name}_proj.weight"] for name in "qk")
        found.append(
            tuple(
                int(r.reshape(n, -1).any(axis=1).sum())
                for r, n in zip(rows, sizes, strict=True)
            )
        )
    return found


@every_program
@every_group
def test_our_runtime(name, group):
    model = compiled(name, 16, group)
    check(model, our_llama(model), name, 16)


@every_program
@every_group
def test_transformers(name, group):
    pytest.importorskip("transformers")
    model = compiled(name, 63, group)
    for attention in ("sdpa", "eager"):
        check(model, transformers_of(model, attention), name, 63)


@every_group
@pytest.mark.parametrize("name", ["induction_head", "bracket_depth"])
def test_files_for_run_c_and_llama_cpp(name, group, tmp_path):
    model, entry = compiled(name, 20, group), catalog.load(name)
    path = export(model, tmp_path / "bin", "llama2c")
    check(model, runtime.load(path / "model.bin", path).logits, name, 20)
    llama_cpp = pytest.importorskip("llama_cpp")
    pytest.importorskip("gguf")
    path = export(model, tmp_path / "gguf", "gguf") / "model.gguf"
    run = llama_cpp.Llama(str(path), n_ctx=32, n_threads=1, verbose=False, logits_all=True)
    for xs in inputs(entry.vocab, 20, 4, 0):
        run.reset()
        run.eval(model.encode(xs))
        found = np.array(run.scores[1 : len(xs) + 1])
        assert model.decode(found) == causal_eval.evaluate(entry.program, xs)
    run.close()


def test_heads_of_a_group_are_all_used():
    alone = compiled("token_at_index", 49, 1, indices="rope")
    (heads, keys), *_ = used(alone)
    assert heads == keys >= 6
    for group in (2, 4):
        model = compiled("token_at_index", 49, group, indices="rope")
        (queries, shared), *_ = used(model)
        assert (queries, shared) == (heads, -(-keys // group))
        assert model.parameters < alone.parameters


# Who can share


def part(keys, value=(A,), **more):
    given = {"slot": 0, "nodes": (0,), "selector": 0, "offsets": (), "counts_bos": False}
    penalties = tuple(Penalty({D: 1.0}, {key: 1.0}) for key in keys)
    rows = tuple(({d: 1.0}, d) for d in value)
    return HeadPart(penalties=penalties, value=rows, **(given | more))


def test_the_same_keys_need_one_pair():
    room = slow_pairs(8, 64, THETA) - 1  # one is for BOS
    assert fit([part([A])] * 4, 8, 64, THETA)
    assert room == 1
    assert not fit([part([A]), part([B])], 8, 64, THETA)
    assert fit([part([A]), part([B])], 16, 64, THETA)


def test_distances_and_the_latest_are_not_told_by_one_group():
    far, late = part([], offsets=(({}, 1),)), part([], recent={})
    assert fit([far, far], 32, 64, THETA)
    assert fit([late, late], 32, 64, THETA)
    assert not fit([far, late], 32, 64, THETA)


def test_heads_take_the_first_group_that_has_room():
    heads = [PlacedHead(part([A], value=(A,) * n), 0, n) for n in (3, 3, 2, 1, 1)]
    groups = Groups(3, lambda some, head: sum(len(each.values) for each in some) <= head)
    placed = groups.numbered(heads, 5)
    assert [(len(each.values), each.at) for each in placed] == [
        (3, 0), (2, 1), (3, 3), (1, 4), (1, 5)
    ]  # fmt: skip
    assert [each.at for each in Groups(1, lambda *_: False).numbered(heads, 5)] == [*range(5)]
