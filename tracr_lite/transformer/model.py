"""The Haiku transformer that compiled weights run in.

Shapes: batch, seq, d_model (directions of the residual stream), heads, vocab. One layer is two
half-layers, attention and then MLP; each adds its output to the residual stream.

Source: the model of Lindner et al. 2023, arXiv:2301.05062, section 3.1; names as there.
"""

# pyright: reportUnknownMemberType=false
# (jax and haiku are typed in part only)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from tracr_lite.transformer.attention import PRECISION, MultiHeadAttention, pytree

Change = Callable[[jax.Array], jax.Array]


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and options of a transformer.

    - `key_size`: per head; also the size of values. `mlp_hidden_size`: neurons per MLP.
    - `dropout_rate`: on the output of each half-layer.
    - `layer_norm`: before each half-layer and at the end; compiled models have none.
    - `causal`: a position sees itself and earlier ones only.
    """

    num_heads: int
    num_layers: int
    key_size: int
    mlp_hidden_size: int
    dropout_rate: float
    activation_function: Callable[[jax.Array], jax.Array] = jax.nn.gelu
    layer_norm: bool = True
    causal: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles name the activation: functions of `jax.nn` cannot be pickled themselves."""
        sizes = {f.name: getattr(self, f.name) for f in fields(self)}
        activation = sizes.pop("activation_function")
        name = getattr(activation, "__name__", "")
        known = getattr(jax.nn, name, None) is activation
        return _config, (name if known else activation, sizes)


def _config(activation: str | Change, sizes: dict[str, Any]) -> TransformerConfig:
    known = getattr(jax.nn, activation) if isinstance(activation, str) else activation
    return TransformerConfig(activation_function=known, **sizes)


@pytree
class TransformerOutput:
    """What a transformer computed, and how.

    - `layer_outputs`: per half-layer what it added, [batch, seq, d_model].
    - `residuals`: per half-layer the stream after it, [batch, seq, d_model].
    - `attn_logits`: per layer the masked scores, [batch, heads, seq, seq].
    - `output`: the stream at the end, normalised if the configuration says so.
    - `input_embeddings`: the stream at the start.
    """

    layer_outputs: list[jax.Array]
    residuals: list[jax.Array]
    attn_logits: list[jax.Array]
    output: jax.Array
    input_embeddings: jax.Array


@pytree
class CompiledTransformerModelOutput:
    """`unembedded_output`: what `unembed` made of the transformer's `output`."""

    transformer_output: TransformerOutput
    unembedded_output: jax.Array


class Transformer(hk.Module):
    """A transformer from embeddings to the residual stream at its end."""

    def __init__(self, config: TransformerConfig, name: str | None = None):
        super().__init__(name=name)
        self.config = config

    def __call__(
        self, embeddings: jax.Array, mask: jax.Array, *, use_dropout: bool = True
    ) -> TransformerOutput:
        """Runs all layers.

        **Arguments:** `embeddings`: [batch, seq, d_model]; `mask`: [batch, seq], false or 0
        where a position is padding that nothing may attend to.
        """
        return run_layers(self.config, embeddings, mask, use_dropout=use_dropout)


def run_layers(
    config: TransformerConfig,
    embeddings: jax.Array,
    mask: jax.Array,
    *,
    use_dropout: bool,
    embed: Change = lambda x: x,
    unembed: Change = lambda x: x,
    read: Change = lambda x: x,
    write: Change = lambda x: x,
) -> TransformerOutput:
    """The layers of the enclosing module; the hooks let the stream have a size of its own.

    **Arguments:** `embed`, `unembed`: into and out of the residual stream; `read`, `write`:
    from it to the input of a half-layer, and from the output of one back to it.
    """
    visible = visible_keys(mask, embeddings.shape[1], config.causal)
    rate = config.dropout_rate if use_dropout else 0.0
    residuals, outputs, logits = [embed(embeddings)], list[jax.Array](), list[jax.Array]()

    def add(output: jax.Array) -> None:
        dropped = hk.dropout(hk.next_rng_key(), rate, output) if rate > 0 else output
        outputs.append(write(dropped))
        residuals.append(residuals[-1] + outputs[-1])

    for layer in range(config.num_layers):
        with hk.name_scope(f"layer_{layer}"):
            attended, scores = _attention(config, read(residuals[-1]), visible)
            logits.append(scores)
            add(attended)
            add(_mlp(config, read(residuals[-1])))
    return TransformerOutput(
        layer_outputs=outputs,
        residuals=residuals[1:],
        attn_logits=logits,
        output=_normalise(config, unembed(residuals[-1])),
        input_embeddings=embeddings,
    )


def visible_keys(mask: jax.Array, seq: int, causal: bool) -> jax.Array:
    """[batch, 1, seq or 1, seq]: may a query (third axis) see a key (last axis)?"""
    visible = mask.astype(bool)[:, None, None, :]
    return visible & jnp.tri(seq, dtype=bool)[None, None] if causal else visible


def _initialiser(config: TransformerConfig) -> hk.initializers.Initializer:
    return hk.initializers.VarianceScaling(2 / max(config.num_layers, 1))


def _normalise(config: TransformerConfig, x: jax.Array) -> jax.Array:
    if not config.layer_norm:
        return x
    return hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(x)


def _attention(
    config: TransformerConfig, x: jax.Array, visible: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """One attention half-layer: output [batch, seq, d], scores [batch, heads, seq, seq]."""
    attention = MultiHeadAttention(
        config.num_heads,
        config.key_size,
        w_init=_initialiser(config),
        model_size=x.shape[-1],
        name="attn",
    )
    x = _normalise(config, x)
    result = attention(x, x, x, visible)
    return result.out, result.logits


def _mlp(config: TransformerConfig, x: jax.Array) -> jax.Array:
    """Output [batch, seq, d] of one MLP half-layer."""
    initialiser = _initialiser(config)
    with hk.name_scope("mlp"):
        to_hidden = hk.Linear(config.mlp_hidden_size, w_init=initialiser, name="linear_1")
        from_hidden = hk.Linear(x.shape[-1], w_init=initialiser, name="linear_2")
    hidden = to_hidden(_normalise(config, x), precision=PRECISION)
    return from_hidden(config.activation_function(hidden), precision=PRECISION)


class CompiledTransformerModel(hk.Module):
    """A transformer with embeddings, from token ids to answers.

    **Arguments:**
    - `token_embed`, `position_embed`: from ids, [batch, seq], to [batch, seq, d_model].
    - `unembed`: called as `unembed(stream, use_unembed_argmax=use_unembed_argmax)`.
    - `pad_token`: the id of padding, which no query sees; None if there is none.
    """

    def __init__(
        self,
        transformer: Transformer,
        token_embed: Callable[..., jax.Array],
        position_embed: Callable[..., jax.Array],
        unembed: Callable[..., jax.Array],
        use_unembed_argmax: bool,
        pad_token: int | None = None,
    ):
        super().__init__()
        self.transformer = transformer
        self.token_embed = token_embed
        self.position_embed = position_embed
        self.unembed = unembed
        self.use_unembed_argmax = use_unembed_argmax
        self.pad_token = pad_token

    def embed(self, tokens: jax.Array) -> jax.Array:
        """The residual stream at the start: `tokens` [batch, seq] to [batch, seq, d_model]."""
        positions = jnp.broadcast_to(jnp.arange(tokens.shape[-1]), tokens.shape)
        return self.token_embed(tokens) + self.position_embed(positions)

    def __call__(
        self, tokens: jax.Array, use_dropout: bool = True
    ) -> CompiledTransformerModelOutput:
        """Runs on token ids, [batch, seq]; answers at padded positions mean nothing."""
        tokens = jnp.asarray(tokens)
        real = jnp.ones_like(tokens, dtype=bool)
        if self.pad_token is not None:
            real = tokens != self.pad_token
        result = self.transformer(self.embed(tokens), real, use_dropout=use_dropout)
        answers = self.unembed(result.output, use_unembed_argmax=self.use_unembed_argmax)
        return CompiledTransformerModelOutput(
            transformer_output=result, unembedded_output=answers
        )
