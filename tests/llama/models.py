"""Small random models, and where the golden ones are."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import strategies as st

from tracr_lite.llama import LlamaConfig, LlamaWeights
from tracr_lite.llama.weights import shapes

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT.parent / "shared" / "golden"
needs_golden = pytest.mark.skipif(
    not GOLDEN.exists(), reason="the golden files are not beside this repository"
)
FLOATS = ("float32", "float16", "bfloat16")
CONFIG = LlamaConfig(16, 32, 2, 4, 2, 11, 6, False)
SHARED = LlamaConfig(16, 32, 2, 4, 2, 11, 6, True)


def golden_models():
    """The folders of the golden models; none without the golden files."""
    return sorted((GOLDEN / "models").glob("*")) if GOLDEN.exists() else []


def golden_json(name):
    return json.loads((GOLDEN / name).read_text())


def make_weights(config, seed=0, dtype="float32"):
    """Random numbers of about 1, with some exact zeros."""
    rng = np.random.default_rng(seed)
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    found = {}
    for name, shape in shapes(config).items():
        numbers = rng.standard_normal(shape, dtype=np.float32)
        found[name] = np.where(rng.random(shape) < 0.05, np.float32(0), numbers).astype(kind)
    return LlamaWeights(**found)


def same_bits(one, two):
    """Whether two sets of weights have the same tensors, to the last bit."""
    ours, theirs = one.tensors(), two.tensors()
    return ours.keys() == theirs.keys() and all(
        bits(ours[name]) == bits(theirs[name]) for name in ours
    )


def bits(tensor):
    if isinstance(tensor, np.ndarray):
        return tensor.dtype.name, tensor.shape, tensor.tobytes()
    return tensor.group_size, bits(tensor.values), bits(tensor.scales)


@st.composite
def configs(draw, shared=None, groups=False):
    """Configurations of all proportions; with `groups`, such that 8 divides both widths."""
    kv, repeat = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    head = draw(st.sampled_from([8, 16] if groups else [2, 4, 6, 10]))
    return LlamaConfig(
        dim=head * kv * repeat,
        hidden_dim=8 * draw(st.integers(1, 4)) if groups else draw(st.integers(1, 20)),
        n_layers=draw(st.integers(1, 3)),
        n_heads=kv * repeat,
        n_kv_heads=kv,
        vocab_size=draw(st.integers(1, 20)),
        seq_len=draw(st.integers(1, 9)),
        shared_classifier=draw(st.booleans()) if shared is None else shared,
    )
