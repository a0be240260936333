"""The four .bin formats written a second time, number by number, from their description.

Source: llama2.c, export.py (350e04f), in words of our own; nothing of tracr_lite is used.
"""

import math
import struct

import numpy as np

MATRICES = ("wq", "wk", "wv", "wo", "w1", "w2", "w3")


def sizes_of(config):
    c = config
    return [c.dim, c.hidden_dim, c.n_layers, c.n_heads, c.n_kv_heads, c.vocab_size, c.seq_len]


def floats(*arrays):
    return b"".join(np.asarray(a, dtype="<f4").tobytes() for a in arrays)


def rope(config):
    """cos and sin, position by position."""
    size = config.dim // config.n_heads
    f32 = np.float32
    powers = [f32(10000.0 ** float(f32(i) / f32(size))) for i in range(0, size, 2)]
    angles = [[f32(p) * (f32(1) / power) for power in powers] for p in range(config.seq_len)]
    return [[[f(float(a)) for a in row] for row in angles] for f in (math.cos, math.sin)]


def v0(config, w):
    sizes = sizes_of(config)
    sizes[5] *= 1 if config.shared_classifier else -1
    parts = [w.token_embedding, w.attention_norm, w.wq, w.wk, w.wv, w.wo, w.ffn_norm]
    parts += [w.w1, w.w2, w.w3, w.final_norm, *rope(config)]
    parts += [] if config.shared_classifier else [w.classifier]
    return struct.pack("<7i", *sizes) + floats(*parts)


def header(config, version, group):
    head = struct.pack("<Ii7iBi", 0x616B3432, version, *sizes_of(config), w_flag(config), group)
    return head + bytes(256 - len(head))


def w_flag(config):
    return int(config.shared_classifier)


def v1(config, w):
    parts = [w.attention_norm, w.ffn_norm, w.final_norm, w.token_embedding]
    parts += [getattr(w, name) for name in MATRICES]
    parts += [] if config.shared_classifier else [w.classifier]
    return header(config, 1, 0) + floats(*parts)


def back_off(config, group=64):
    while config.dim % group:
        group //= 2
    return group


def q80(matrix, group):
    """Integers and scales of one matrix, group by group."""
    numbers, values, scales = np.asarray(matrix, np.float32).reshape(-1), [], []
    for start in range(0, len(numbers), group):
        some = numbers[start : start + group]
        scale = np.float32(max(abs(some))) / np.float32(127)
        scales.append(scale)
        # Python's round is half to even
        values += [round(float(n / scale)) if scale else 0 for n in some]
    return np.array(values, np.int8).tobytes(), floats(scales)


def quantized(config, w, group):
    """All matrices of a model as pairs of bytes."""
    found = [q80(w.token_embedding, group)]
    found += [q80(layer, group) for name in MATRICES for layer in getattr(w, name)]
    return found if config.shared_classifier else [*found, q80(w.classifier, group)]


def v2(config, w, group=None):
    group = group or back_off(config)
    head = header(config, 2, group) + floats(w.attention_norm, w.ffn_norm, w.final_norm)
    return head + b"".join(q + s for q, s in quantized(config, w, group))


def v1_q80(config, w, group=None):
    group = group or back_off(config)
    head = header(config, 1, group) + floats(w.attention_norm, w.ffn_norm, w.final_norm)
    pairs = quantized(config, w, group)
    return head + b"".join(q for q, _ in pairs) + b"".join(s for _, s in pairs)


WRITERS = {"v0": v0, "v1": v1, "v2": v2, "v1-q80": v1_q80}
