"""Whether bounds of lowering are ever below those of a certificate, node by node."""

import numpy as np

from tests.certifying.models import everything_known
from tracr_lite.certifying.extract_nodes import Nodes
from tracr_lite.compiler.lowering.forms import OneHot


def compared(model):
    """The certificate, whether lowering left it open, and of each node: name, what, both
    bounds."""
    claims, certificate, known = everything_known(model)
    blocks = model.trace.layers.blocks
    forms = Nodes.of(blocks, model.trace, model.input_encoder.bos_token).forms
    found = []
    for held in claims.held:
        if held.name in forms and held.name in known:
            of = of_one_hot if isinstance(forms[held.name], OneHot) else of_number
            rows = of(forms[held.name].proved, held, known[held.name])
            kind = "copy" if held.half == "attention" and held.one_hot else held.half
            found += [(held.name, kind, what, float(a), float(b)) for what, a, b in rows]
    return certificate, blocks.doubtful, found


def of_one_hot(proved, held, known):
    error = known.error[:-1]
    yield "each", error.max(initial=0.0), proved.each
    yield "total", known.spread[:-1].max(initial=0.0), proved.total
    yield "summed", error.sum(axis=1).max(initial=0.0), proved.summed
    yield "bos", known.error[-1].sum(), proved.bos


def of_number(proved, held, known):
    error = known.error[:-1]
    if held.numbers:
        allowed = proved.absolute + proved.relative * np.abs(held.states[:, 0])
        at = int(np.argmax(error[:, 0] - allowed)) if np.isfinite(allowed).all() else 0
        yield "number", error[at, 0], allowed[at]
    yield "flag", error[:, held.numbers :].max(initial=0.0), proved.flag
    yield "bos", known.error[-1].max(initial=0.0), proved.bos


def violations(found):
    return [row for row in found if row[3] > row[4]]  # not a number: nothing is said there
