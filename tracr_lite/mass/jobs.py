"""What workers do, from bytes to bytes; importing this imports the whole compiler, and JAX."""

from __future__ import annotations

import json
import pickle
from functools import lru_cache
from typing import Any, cast

from tracr_lite.compiler import settling
from tracr_lite.compiler.compiling import compile_once
from tracr_lite.mass import wire
from tracr_lite.mass.draws import draw
from tracr_lite.mass.recipe import Recipe
from tracr_lite.mass.sent import dump_model

settling.certifier()  # loaded now: of many programs, some need it


def compile_job(job: bytes) -> bytes:
    """A request of `compile_many` to its model."""
    program, (vocab, size, options) = wire.load_request(job)
    model = compile_once(cast(Any, program), vocab, size, sparse=True, **options)
    return dump_model(model)


def draw_job(job: bytes) -> bytes:
    """A recipe and a number, in JSON, to a pickled `Drawn` or `Refused`."""
    arguments, number = json.loads(job)
    return pickle.dumps(draw(_recipe(json.dumps(arguments)), number), 5)


@lru_cache(maxsize=8)
def _recipe(text: str) -> Recipe:
    return Recipe.from_json(json.loads(text))
