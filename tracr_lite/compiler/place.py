"""Stage 4, place: blocks -> layers.

Half-layers alternate attention and MLP. Lowering gives each block the first half-layer of its
kind after everything it reads, which is the least depth for these blocks; here they are only
grouped.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracr_lite.compiler.lowering.forms import Blocks, HeadBlock, MLPBlock


@dataclass(frozen=True)
class Layer:
    """The heads and MLPs of one transformer layer, each in order of creation."""

    heads: tuple[HeadBlock, ...]
    mlps: tuple[MLPBlock, ...]


@dataclass(frozen=True)
class Layers:
    """A placed program."""

    layers: tuple[Layer, ...]
    blocks: Blocks

    def __str__(self) -> str:
        lines: list[str] = []
        for number, layer in enumerate(self.layers):
            heads = [self._names(head.nodes) for head in layer.heads]
            mlps = [f"{self._names(mlp.nodes)} ({mlp.hidden})" for mlp in layer.mlps]
            lines.append(f"layer {number}  heads: {', '.join(heads) or 'none'}")
            lines.append(f"{'':8} neurons: {', '.join(mlps) or 'none'}")
        return "\n".join(lines)

    def _names(self, nodes: tuple[int, ...]) -> str:
        return " and ".join(self.blocks.labels[node] for node in nodes)


def place(blocks: Blocks) -> Layers:
    """Groups blocks by half-layer: number 2i is the attention of layer i, 2i + 1 its MLP."""
    depth = max((block.slot for block in blocks.blocks), default=-1) // 2 + 1
    heads: list[list[HeadBlock]] = [[] for _ in range(depth)]
    mlps: list[list[MLPBlock]] = [[] for _ in range(depth)]
    for block in blocks.blocks:
        if isinstance(block, HeadBlock):
            heads[block.slot // 2].append(block)
        else:
            mlps[block.slot // 2].append(block)
    pairs = zip(heads, mlps, strict=True)
    return Layers(tuple(Layer(tuple(h), tuple(m)) for h, m in pairs), blocks)
