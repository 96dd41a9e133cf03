"""A design at a size, with every shape worked out: the network is built from this, and its cost is read off it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from search_spaces.architecture import Complexity
from search_spaces.counting import Sizes
from search_spaces.layers import Conv, Norm, layers_complexity
from search_spaces.mbconv_design import Activation, Design, Stage
from search_spaces.scaling_rules import plan_strides, round_filters, scale_filters, scale_repeats

KERNEL = 3  # of the stem


@dataclass(frozen=True, slots=True)
class ConvNorm:
    """A convolution, its normalisation, and its activation if any, on maps of `size` x `size`."""

    c_in: int
    c_out: int
    size: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    activation: Activation | None = None

    @property
    def complexity(self) -> Complexity:
        """What it costs."""
        kernel, stride = (self.kernel, self.kernel), (self.stride, self.stride)
        conv = Conv(self.c_in, self.c_out, kernel, stride, groups=self.groups)
        return layers_complexity((conv, Norm(self.c_out)), self.size)


@dataclass(frozen=True, slots=True)
class Excitation:
    """Squeeze-and-excitation (Hu 2018): two pointwise layers on the mean over the map, with biases."""

    channels: int
    squeeze: int
    activation: Activation

    @property
    def complexity(self) -> Complexity:
        """What it costs."""
        macs = 2 * self.channels * self.squeeze
        return Complexity(macs + self.channels + self.squeeze, macs)


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """One block: layers in a row, and whether the input is added to what they give."""

    layers: tuple[ConvNorm | Excitation, ...]
    residual: bool
    drop_path: float


@dataclass(frozen=True, slots=True)
class MBConvLayout:
    """A network at known shapes.

    Attributes:
        design: what it is a size of.
        stem, blocks, head: its convolutions.
        hidden: length of the layer before the classifier; 0 for none.
        classes: length of the logits.
    """

    design: Design
    stem: ConvNorm
    blocks: tuple[BlockLayout, ...]
    head: ConvNorm
    hidden: int
    classes: int

    @property
    def linear_sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each linear layer after pooling."""
        widths = [self.head.c_out, *([self.hidden] if self.hidden else []), self.classes]
        return list(pairwise(widths))

    @property
    def complexity(self) -> Complexity:
        """Cost of the whole network."""
        layers = [self.stem, *(layer for block in self.blocks for layer in block.layers), self.head]
        costs = [layer.complexity for layer in layers]
        costs += [Complexity((c_in + 1) * c_out, c_in * c_out) for c_in, c_out in self.linear_sizes]
        return Complexity(sum([cost.params for cost in costs]), sum([cost.macs for cost in costs]))


def layout_network(design: Design, images: Sizes, *, depth: float = 1.0, width: float = 1.0) -> MBConvLayout:
    """Work out every shape of a network.

    Args:
        design: what to build.
        images: what goes in and comes out.
        depth: multiplies repeats, on top of the design's own multiplier.
        width: multiplies filters, likewise.
    """
    depth, width = depth * design.depth, width * design.width
    stem_stride, *strides = plan_strides(design.strides, resolution=images.resolution, canonical=design.resolution)
    stem_filters = scale_filters(design.stem_filters, width)
    stem = ConvNorm(images.channels, stem_filters, images.resolution, KERNEL, stem_stride, activation=design.activation)
    blocks: list[BlockLayout] = []
    repeats = [scale_repeats(stage.repeats, depth) for stage in design.stages]
    c_in, size = stem_filters, -(-images.resolution // stem_stride)
    for stage, count, first_stride in zip(design.stages, repeats, strides, strict=True):
        for i in range(count):
            stride = first_stride if i == 0 else 1
            c_out = scale_filters(stage.filters, width)
            drop = design.drop_path * len(blocks) / sum(repeats)
            layers = tuple(_block_layers(stage, design, c_in, c_out=c_out, size=size, stride=stride))
            blocks.append(BlockLayout(layers, stage.skip and stride == 1 and c_in == c_out, drop))
            c_in, size = c_out, -(-size // stride)
    head = ConvNorm(c_in, _head_filters(design, width), size, activation=design.activation)
    hidden = scale_filters(design.hidden, width) if design.hidden else 0
    return MBConvLayout(design, stem, tuple(blocks), head, hidden, images.classes)


def _head_filters(design: Design, width: float) -> int:
    if design.head_width == "fixed" or (design.head_width == "enlarged" and width < 1):
        return design.head_filters
    return scale_filters(design.head_filters, width)


def _block_layers(
    stage: Stage, design: Design, c_in: int, *, c_out: int, size: int, stride: int
) -> Iterator[ConvNorm | Excitation]:
    """Yield one block's layers; without expansion its first convolution is left out, as published."""
    inner = c_in if stage.expansion == 1 else round_filters(c_in * stage.expansion)
    act, halved = stage.activation, -(-size // stride)
    if stage.block == "fused":
        inner = c_out if inner == c_in else inner
        yield ConvNorm(c_in, inner, size, stage.kernel, stride, activation=act)
    else:
        if inner != c_in:
            yield ConvNorm(c_in, inner, size, activation=act)
        yield ConvNorm(inner, inner, size, stage.kernel, stride, groups=inner, activation=act)
    if stage.excitation:
        yield Excitation(inner, _squeeze(stage, design, c_in, inner), "relu" if act == "hard_swish" else act)
    if stage.block == "mbconv" or stage.expansion != 1:
        yield ConvNorm(inner, c_out, halved)


def _squeeze(stage: Stage, design: Design, c_in: int, inner: int) -> int:
    if design.squeeze_of == "expanded":
        return round_filters(int(stage.excitation * inner))
    return max(1, int(stage.excitation * c_in))
