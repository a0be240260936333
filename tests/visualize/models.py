"""Models that the tests of pictures share: each is compiled once."""

from dataclasses import fields
from functools import cache

import numpy as np

from tracr_lite import catalog
from tracr_lite.compiler import compile_rasp_to_model
from tracr_lite.compiler.assemble import assemble_craft_model
from tracr_lite.craft.bases import VectorSpaceWithBasis
from tracr_lite.craft.transformers import MLP, SeriesWithResiduals
from tracr_lite.craft.vectorspace_fns import Linear
from tracr_lite.rasp import rasp
from tracr_lite.visualize.reading import read


@cache
def model_of(name):
    """A program that comes along, compiled."""
    entry = catalog.load(name)
    return compile_rasp_to_model(
        entry.program, set(entry.vocab), entry.max_seq_len, causal=entry.causal
    )


@cache
def longest(name):
    """The longest example of a program."""
    return tuple(max((xs for xs, _ in catalog.load(name).examples), key=len))


@cache
def reading_of(name):
    return read(model_of(name), longest(name))


@cache
def broken(name):
    """A program whose last head writes nothing."""
    model = model_of(name)
    parts = {each.name: getattr(model, each.name) for each in fields(model) if each.init}
    layer = max(i for i in range(model.model_config.num_layers) if _attends(model, i))
    weights = f"transformer/layer_{layer}/attn/linear"
    silent = {**model.params[weights], "w": np.zeros_like(model.params[weights]["w"])}
    parts["params"] = {**model.params, weights: silent}
    parts["_memory"] = type(parts["_memory"])()
    return type(model)(**parts)


def _attends(model, layer):
    return model.params[f"transformer/layer_{layer}/attn/linear"]["w"].any()


@cache
def odd():
    """A program over tokens of all kinds, with names that HTML and mathtext would misread."""
    hostile = '</script>"$&'
    vocab = {2, None, -2.5, True, hostile, "é", "\U0001f600", "a b"}
    same = rasp.Select(rasp.tokens, rasp.tokens, lambda k, q: k == q).named("<i>$same$")
    program = rasp.SelectorWidth(same).named("<script>alert(1)</script>")
    return compile_rasp_to_model(program, vocab, 4), [hostile, None, True, "\U0001f600"]


@cache
def by_hand():
    """A model without a program: relu(2 a - 0.5) to 0, minus three times that to 1."""
    tokens = VectorSpaceWithBasis.from_values("tokens", ["a", "b"])
    indices = VectorSpaceWithBasis.from_values("indices", range(3))
    one = VectorSpaceWithBasis.from_names(["one"])
    out = VectorSpaceWithBasis.from_values("out", [0, 1])
    unit = VectorSpaceWithBasis.from_names(["unit"])
    weights = np.array([[-0.5], [2.0], [0.0]])  # one, tokens:a, tokens:b
    first = Linear(VectorSpaceWithBasis([*tokens.basis, *one.basis]), unit, weights)
    mlp = MLP(first, Linear(unit, out, np.array([[1.0, -3.0]])))
    blocks = SeriesWithResiduals([mlp])
    return assemble_craft_model(blocks, tokens, indices, out, categorical_output=True)
