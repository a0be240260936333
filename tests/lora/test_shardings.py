"""Sharded arrays: the shardings that a function asks for are those it gets."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from tests.lora.weights import array, assert_close, lora
from tracr_lite.lora import LoraWeight, use_implicit_args

mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ("d", "m"))
def sharded(*spec):
    return NamedSharding(mesh, P(*spec))

w, x = lora(8, 8), array(4, 8)
inner = jax.jit(
    lambda w, x: x @ jax.lax.with_sharding_constraint(w, sharded(None, "m")),
    in_shardings=(sharded("m", None), sharded("d", None)),
    out_shardings=sharded("d", "m"),
)
placed = LoraWeight(jax.device_put(w.w, sharded(None, "m")), w.a, w.b, w.alpha)
implicit = use_implicit_args(lambda w, x: inner(w, x), strict=True)
for run in (implicit, jax.jit(implicit)):
    for weight in (w, placed):
        y = run(weight, x)
        assert y.sharding.is_equivalent_to(sharded("d", "m"), 2), y.sharding
        assert_close(np.asarray(y), np.asarray(x @ w.materialize()))
"""


def test_shardings_inside_of_the_function_are_kept():
    root = str(Path(__file__).parents[2])
    flags = "--xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": root, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", CODE], check=True, env=environment)
