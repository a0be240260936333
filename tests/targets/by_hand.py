"""A stock model that computes nothing sensible: small, random, made without the compiler."""

import numpy as np

from tracr_lite.rasp import rasp
from tracr_lite.targets.stock_model import BOS, NodePlace, StockModel, StockVocabulary

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
PIECES = (" ", "a", "b", "1", "0", " a", " b", " 1", " 10", "|", " |")
VOCABULARY = StockVocabulary(
    texts=("<unk>", "<s>", "</s>", *BYTES, *PIECES),
    scores=(*[0.0] * 259, *map(float, range(len(PIECES)))),
    inputs=(("a", 264), ("b", 265), (1, 266), (10, 267), ("|", 269)),
    outputs=(("a", 264), ("b", 265), ("END", BOS)),
    aliases=((260, 264), (261, 265)),
    end=BOS,
)


def llama(seed=0, dtype="float32", heads=4, kv_heads=2, d=16, hidden=24, layers=2, T=12):
    rng = np.random.default_rng(seed)
    size, kv = len(VOCABULARY.texts), kv_heads * d // heads

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    tensors = {"model.embed_tokens.weight": normal(size, d), "lm_head.weight": normal(size, d)}
    tensors["model.norm.weight"] = normal(d)
    for layer in range(layers):
        at = f"model.layers.{layer}"
        tensors |= {
            f"{at}.input_layernorm.weight": normal(d),
            f"{at}.post_attention_layernorm.weight": normal(d),
            f"{at}.self_attn.q_proj.weight": normal(d, d),
            f"{at}.self_attn.k_proj.weight": normal(kv, d),
            f"{at}.self_attn.v_proj.weight": normal(kv, d),
            f"{at}.self_attn.o_proj.weight": normal(d, d),
            f"{at}.mlp.gate_proj.weight": normal(hidden, d),
            f"{at}.mlp.up_proj.weight": normal(hidden, d),
            f"{at}.mlp.down_proj.weight": normal(d, hidden),
        }
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": d,
        "intermediate_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": d // heads,
        "vocab_size": size,
        "max_position_embeddings": T,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": 1,
        "torch_dtype": dtype,
    }
    nodes = (
        NodePlace("tokens", "tokens", columns=((8, "a | b", -1, None), (9, "b", -1, 2))),
        NodePlace("map_1", "x\ny", heads=((0, 1),), neurons=((1, 3, 7),)),
    )
    return StockModel(
        "llama", config, tensors, VOCABULARY, rasp.tokens, T - 1, False, nodes, "Exact.",
        dtype=dtype,
    )  # fmt: skip
