"""Adapters as files: what comes back, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.lora.weights import array, lora
from tracr_lite.lora import (
    Adapter,
    EmptyNode,
    LoraError,
    LoraWeight,
    load_adapter,
    save_adapter,
)
from tracr_lite.lora.peft import save_peft

BASE = {"net/~/linear": {"w": array(6, 7), "b": array(7)}, "head": array(3, 6, 6)}
W, HEAD = lora(6, 7, alpha=0.1), lora(3, 6, 6, dtype=jnp.bfloat16)
ADAPTER = Adapter(
    {
        "net/~/linear/w": LoraWeight(EmptyNode, W.a, W.b, W.alpha),
        "head": LoraWeight(EmptyNode, HEAD.a, HEAD.b, 3),
    },
    {"net/~/linear/b": array(7, seed=1)},
)


@pytest.fixture
def path(tmp_path):
    save_adapter(tmp_path / "a.safetensors", ADAPTER, BASE)
    return tmp_path / "a.safetensors"


def test_it_comes_back_bit_by_bit(path):
    found = load_adapter(path, BASE)
    assert jax.tree.structure(found) == jax.tree.structure(ADAPTER)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(ADAPTER), strict=True):
        assert a.dtype == b.dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]


def test_64_bits_are_not_rounded(tmp_path):
    full = Adapter({}, {"x": np.array([1 / 3])})
    save_adapter(tmp_path / "a", full)
    assert load_adapter(tmp_path / "a").full["x"].dtype == np.float64


def test_an_adapter_of_another_base_is_refused(path):
    other = {**BASE, "head": BASE["head"].at[0, 0, 0].add(1e-6)}
    with pytest.raises(LoraError, match="was made for other values of head; leave out base"):
        load_adapter(path, other)
    load_adapter(path)
    with pytest.raises(LoraError, match="the base has no parameter 'head'"):
        load_adapter(path, {"net/~/linear": BASE["net/~/linear"]})


def test_a_base_that_was_never_given_cannot_be_checked(tmp_path):
    save_adapter(tmp_path / "a", ADAPTER)
    with pytest.raises(LoraError, match="has no 'base' in its header"):
        load_adapter(tmp_path / "a", BASE)


def test_a_base_with_an_adapter_is_no_base(tmp_path):
    with pytest.raises(LoraError, match="has an adapter; give the base without it"):
        save_adapter(tmp_path / "a", ADAPTER, {**BASE, "head": HEAD})
    assert list(tmp_path.iterdir()) == []


def rewritten(path, change, **metadata):
    tensors = load_file(path)
    change(tensors)
    header = {"format": "tracr_lite.lora", "version": "1", "alphas": '{"head": 3}'}
    save_file(tensors, path, {**header, **metadata})


DAMAGE = [
    pytest.param(lambda t: t.pop("head.a"), {}, "lacks a factor of 'head'", id="a factor less"),
    pytest.param(lambda t: None, {}, "arrays without alpha: net", id="no alpha"),
    pytest.param(
        lambda t: None, {"version": "2"}, "is no adapter of this program", id="version"
    ),
    pytest.param(lambda t: None, {"alphas": "{"}, "is no JSON", id="header"),
    pytest.param(lambda t: None, {"alphas": "[]"}, "is no table", id="table"),
    pytest.param(lambda t: None, {"alphas": '{"head": "3"}'}, "alpha must be", id="alpha"),
]


@pytest.mark.parametrize(("change", "metadata", "text"), DAMAGE)
def test_damage_is_refused(path, change, metadata, text):
    rewritten(path, change, **metadata)
    with pytest.raises(LoraError, match=text):
        load_adapter(path)


def test_a_bit_that_has_flipped_is_noticed(path):
    whole = path.read_bytes()
    for place in range(0, len(whole), 29):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(LoraError, match=r"cannot be read|is damaged|lacks|without|no "):
            load_adapter(path)


def test_where_nothing_can_be_written_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "a", tmp_path / "folder"):
        with pytest.raises(LoraError, match="cannot be written"):
            save_adapter(path, ADAPTER)
    (tmp_path / "file").write_text("")
    with pytest.raises(LoraError, match="cannot be written"):
        save_peft(tmp_path / "file", Adapter({}))


def test_what_is_no_file_of_tensors_is_refused(path):
    with pytest.raises(LoraError, match="there is no file"):
        load_adapter(path.with_name("none"))
    with pytest.raises(LoraError, match="cannot be read as safetensors"):
        load_adapter(path.parent)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LoraError, match="cannot be read as safetensors"):
        load_adapter(path)
    save_file({"x": np.ones(2)}, path)
    with pytest.raises(LoraError, match="load_peft"):
        load_adapter(path)
