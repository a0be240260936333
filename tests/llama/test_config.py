import pytest

from tests.llama.models import CONFIG
from tracr_lite.llama import LlamaConfig
from tracr_lite.llama.errors import ConfigError

GOOD = {
    **{"dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2},
    **{"vocab_size": 11, "seq_len": 6, "shared_classifier": True},
}


def test_derived_sizes():
    assert (CONFIG.head_size, CONFIG.kv_dim, CONFIG.kv_repeat) == (4, 8, 2)


BAD = [
    ({"dim": 0}, ["dim is 0"]),
    ({"n_layers": -1, "seq_len": 2.0}, ["n_layers is -1", "seq_len is 2.0"]),
    ({"vocab_size": True}, ["vocab_size is True"]),
    ({"dim": 18}, ["dim 18 is not a multiple of n_heads 4"]),
    ({"dim": 12}, ["head size 3"]),
    ({"n_kv_heads": 3}, ["n_heads 4 is not a multiple of n_kv_heads 3"]),
    ({"n_kv_heads": 8}, ["n_heads 4 is not a multiple of n_kv_heads 8"]),
    ({"rope_theta": float("nan")}, ["rope_theta is nan"]),
    ({"rope_theta": "1"}, ["rope_theta is '1'"]),
    ({"rope_theta": float("inf")}, ["rope_theta is inf"]),
    ({"rope_theta": 10**400}, ["rope_theta is 1000"]),
    ({"norm_eps": 0.0}, ["norm_eps is 0.0"]),
    ({"shared_classifier": 1}, ["shared_classifier is 1"]),
]


@pytest.mark.parametrize(("change", "said"), BAD, ids=lambda each: str(each)[:40])
def test_impossible_models_are_refused_with_every_reason(change, said):
    with pytest.raises(ConfigError) as error:
        LlamaConfig(**(GOOD | change))
    assert all(each in str(error.value) for each in said)
