"""Small models, their claims, and ways to damage them."""

from functools import cache
from itertools import product

import numpy as np

from programs import double_histogram, frac_prevs
from tracr_lite.certifying.bounds import derive, derive_all, number_of
from tracr_lite.certifying.extract import claims_of_model
from tracr_lite.compiler import compile_rasp_to_model, lib
from tracr_lite.compiler.forward import jitted
from tracr_lite.rasp import rasp

PROGRAMS = {  # name -> program and vocabulary
    "length": (lib.make_length(), ("a", "b")),
    "hist": (lib.make_hist(), ("a", "b")),
    "reverse": (lib.make_reverse(rasp.tokens), ("a", "b")),
    "sort": (lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=64, min_key=1), (1, 2)),
    "frac_prevs": (frac_prevs.PROGRAM, ("x", "y")),
    "double_histogram": (double_histogram.PROGRAM, ("a", "b")),
}


@cache
def compiled(name, n=3):
    program, vocab = PROGRAMS[name]
    return compile_rasp_to_model(program, set(vocab), n)


@cache
def claimed(name, n=3):
    return claims_of_model(compiled(name, n))


def derived(name, params=None, n=3, dtype="float32"):
    """The certificate of a model, or of other parameters with its claims."""
    model = compiled(name, n)
    params = model.params if params is None else params
    return derive(params, model.model_config, claimed(name, n), number_of(dtype))


def everything_known(model):
    claims = claims_of_model(model)
    bounds, known = derive_all(model.params, model.model_config, claims, number_of("float32"))
    return claims, bounds, known


def copied(params):
    """Parameters that can be changed."""
    return {
        module: {name: np.array(array) for name, array in group.items()}
        for module, group in params.items()
    }


def answers_rightly(name, params, n=3):
    """Whether changed parameters still answer every input as the program does."""
    model, (program, vocab) = compiled(name, n), PROGRAMS[name]
    forward = jitted(model.shape)
    for length in range(1, n + 1):
        inputs = [list(xs) for xs in product(vocab, repeat=length)]
        bos = model.input_encoder.bos_token
        ids = np.array([model.input_encoder.encode([bos, *xs]) for xs in inputs])
        answers = np.asarray(forward(params, ids).unembedded_output)
        for xs, row in zip(inputs, answers, strict=True):
            got = model.output_encoder.decode(row.tolist())[1:]
            for one, other in zip(got, program(xs), strict=True):
                near = isinstance(one, float) and isinstance(other, float)
                if one != other and not (near and abs(one - other) <= 1e-5 * abs(other)):
                    return False
    return True
