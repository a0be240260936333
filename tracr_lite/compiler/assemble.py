"""Stage 5, assemble: craft blocks become the parameters of a Haiku transformer.

This is the one place where vector spaces meet JAX.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracr_lite.compiler.assembled import AssembledTransformerModel
from tracr_lite.compiler.forward import Readout, Shape
from tracr_lite.compiler.modules import EmbeddingModules, ModelForward
from tracr_lite.compiler.outputs import AssembledTransformerModelOutput
from tracr_lite.compiler.pack import HalfLayers, configuration, half_layers, pack
from tracr_lite.craft import bases
from tracr_lite.craft.bases import BasisDirection, VectorSpaceWithBasis
from tracr_lite.craft.conventions import NONE_SUFFIX, ONE, TOKENS
from tracr_lite.craft.transformers import SeriesWithResiduals
from tracr_lite.errors import CompileError, Problem

__all__ = [
    "AssembledTransformerModel",
    "AssembledTransformerModelOutput",
    "EmbeddingModules",
    "ModelForward",
    "assemble",
    "assemble_craft_model",
]

TOO_LONG = "use smaller numbers, or texts of digits"


def assemble_craft_model(
    craft_model: SeriesWithResiduals,
    tokens_space: VectorSpaceWithBasis,
    indices_space: VectorSpaceWithBasis,
    output_space: VectorSpaceWithBasis,
    categorical_output: bool,
    causal: bool = False,
) -> AssembledTransformerModel:
    """Packs a series of blocks into a transformer.

    **Arguments:**
    - `tokens_space`: a direction per token, BOS and PAD included; ids follow its order.
    - `indices_space`: a direction per position after BOS; the zeroth position has none.
    - `output_space`: read by argmax if `categorical_output`, else as one number, which is NaN
      where a direction whose name ends in `:None` is above one half.

    **Returns:** a model without encoders: `apply` takes token ids.
    **Raises:** `ValueError` if the craft model reads or writes nothing that is there.
    """
    return assemble(
        half_layers(craft_model),
        craft_model.residual_space,
        (tokens_space, indices_space, output_space),
        categorical_output=categorical_output,
        causal=causal,
    )


def assemble(
    layers: Sequence[HalfLayers],
    residual_space: VectorSpaceWithBasis,
    spaces: tuple[VectorSpaceWithBasis, VectorSpaceWithBasis, VectorSpaceWithBasis],
    *,
    categorical_output: bool,
    causal: bool,
    pad_token: int | None = None,
    sparse: bool = False,
) -> AssembledTransformerModel:
    """As `assemble_craft_model`, from layers; with the spaces of tokens, indices and output.

    **Arguments:** `sparse`: whether the parameters are left as `SparseParams`.
    """
    tokens, indices, output = spaces
    one = VectorSpaceWithBasis([BasisDirection(ONE)])
    space = bases.join_vector_spaces(residual_space, tokens, indices, output, one)
    config = configuration(layers, causal=causal)
    packed = pack(layers, space, config, tokens, indices)
    shape = Shape(
        config,
        tokens.num_dims,
        indices.num_dims + 1,
        space.num_dims,
        _readout(space, output, categorical_output),
        pad_token,
    )
    return AssembledTransformerModel(
        forward=shape.forward,
        get_compiled_model=shape.model,
        params=packed.sparse() if sparse else packed.dense(),
        model_config=config,
        residual_labels=labels(space),
        shape=shape,
        space=space,
    )


def _readout(
    space: VectorSpaceWithBasis, output: VectorSpaceWithBasis, categorical: bool
) -> Readout:
    columns = tuple(int(i) for i in space.indices_of(output))
    if categorical:
        return Readout(columns, True)
    flags = [
        i
        for i, d in enumerate(output.basis)
        if d.value is None and d.name.endswith(NONE_SUFFIX)
    ]
    numbers = [i for i in range(len(columns)) if i not in flags]
    if len(numbers) > 1:
        raise ValueError(
            f"a numerical output has one direction; got {', '.join(map(str, output.basis))}"
        )
    return Readout(columns, False, tuple(numbers), tuple(flags))


def labels(space: VectorSpaceWithBasis) -> list[str]:
    """`name:value` of each direction; values that would read alike are shown by their repr.

    A direction without a value is its name (a number, the constant), save that of the token
    None.

    **Raises:** `CompileError` for whole numbers that are too long to be shown.
    """
    try:
        plain = [
            d.name if d.value is None and d.name != TOKENS else f"{d.name}:{d.value}"
            for d in space.basis
        ]
    except ValueError as error:  # of Python, which shows no ints of more than 4300 digits
        raise CompileError("assemble", [Problem("program", f"{error}", TOO_LONG)]) from error
    if len(set(plain)) == len(plain):
        return plain
    seen: dict[str, int] = {}
    for label in plain:
        seen[label] = seen.get(label, 0) + 1
    return [
        label if seen[label] == 1 or d.value is None else f"{d.name}:{d.value!r}"
        for label, d in zip(plain, space.basis, strict=True)
    ]
