"""Models to save, and saved folders to damage."""

import json

import jax
import numpy as np

from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.compiler.saving import json_text
from tracr_lite.compiler.saving.names import RECORD, WEIGHTS
from tracr_lite.compiler.values.domain import typed_key
from tracr_lite.rasp import rasp

WORD = ["compiler_bos", "a", "b", "a"]


def small_model():
    """Two layers, a head and neurons, a function of its own."""
    return compile_rasp_to_model(
        rasp.Map(lambda x: x + x, lib.make_reverse(rasp.tokens)), "ab", 3
    )


def numerical_model():
    """Its output is a number, snapped to known ones."""
    first = rasp.Select(rasp.tokens, rasp.indices, lambda k, q: k == "a")
    mean = rasp.Aggregate(first, rasp.numerical(rasp.indices), None)
    return compile_rasp_to_model(rasp.numerical(mean), "ab", 3, causal=True)


def resigned(body):
    """The bytes of a record, with a digest that fits."""
    body = {name: value for name, value in body.items() if name != "sha256"}
    return json_text.to_bytes(body)


def body_in(folder):
    return json.loads((folder / RECORD).read_text())


def edit(folder, change):
    """Changes the record as somebody would who also corrects the digest."""
    body = body_in(folder)
    changed = change(body)
    body = body if changed is None else changed
    (folder / RECORD).write_bytes(resigned(body))


def put_weights(folder, data):
    """Other weights, with a record that tells their size and digest."""
    (folder / WEIGHTS).write_bytes(data)

    def change(body):
        body["weights"] |= {
            "bytes": len(data),
            "sha256": json_text.hashlib.sha256(data).hexdigest(),
        }

    edit(folder, change)


def bits(params):
    """Names, shapes and bytes of parameters, in their order."""
    return [
        (module, leaf, np.asarray(array).shape, np.asarray(array).tobytes())
        for module, group in params.items()
        for leaf, array in group.items()
    ]


def files(folder):
    """The bytes of every file in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def typed(encoder):
    """All that an encoder holds, with the types of its values."""
    if encoder is None:
        return None
    found = dict(vars(encoder))
    found["basis"] = [(d.name, typed_key(d.value)) for d in found.get("basis", ())]
    found["values"] = [typed_key(value) for value in found.get("values", ())]
    return type(encoder), found


def assert_same(one, two):
    """All that two models are; `forward` follows from their shapes."""
    assert bits(one.params) == bits(two.params)
    assert one.residual_labels == two.residual_labels
    assert (one.shape, one.model_config) == (two.shape, two.model_config)
    assert one.space == two.space
    assert typed(one.input_encoder) == typed(two.input_encoder)
    assert typed(one.output_encoder) == typed(two.output_encoder)
    assert one.description == two.description


def assert_same_run(one, two, tokens):
    """The same answers, and every activation bit by bit."""
    outs = [model.apply(tokens) for model in (one, two)]
    assert typed_key(tuple(outs[0].decoded)) == typed_key(tuple(outs[1].decoded))
    for name in (
        "unembedded",
        "layer_outputs",
        "residuals",
        "attn_logits",
        "transformer_output",
    ):
        leaves = [jax.tree_util.tree_leaves(getattr(out, name)) for out in outs]
        for old, new in zip(*leaves, strict=True):
            assert np.asarray(old).tobytes() == np.asarray(new).tobytes()
