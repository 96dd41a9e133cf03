"""How cells are stacked into a network: stems, stages, filters, and which earlier outputs a cell reads.

A skeleton is data; what differs between the published families (NASNet, PNASNet, ENAS, DARTS) is a field of it.
N normal cells a stage, three stages, a reduction cell with doubled filters before the second and the third.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from search_spaces.architecture import Stem
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.layers import Conv, Norm, Normalization, Relu
from search_spaces.operations import PlannedLayers, StridedIdentity, plan_layers

NUM_STAGES = 3
SMALLEST_RESOLUTION: dict[Stem, int] = {"tiny": 4, "cifar": 4, "imagenet": 32}
# TF-Slim NASNet: eps 1e-3 for ImageNet and 1e-5 for CIFAR. Its moving averages (decay 0.9997 and 0.9) are for
# runs of a million steps; torch's usual momentum 0.1 suits short ones, and PyTorch ports of NASNet use it too.
NORMALIZATIONS: dict[Stem, Normalization] = {
    "tiny": Normalization(),
    "cifar": Normalization(),
    "imagenet": Normalization(eps=1e-3),
}


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What a family of cell networks has in common.

    Attributes:
        name: the key in `SKELETONS`.
        family: ``nasnet`` adjusts the previous cell's output only where shapes differ, and applies a ReLU before
            the classifier; ``darts`` adjusts it always, and has stems and an auxiliary head of its own.
        stem_twice: whether the only stem output is both inputs of the first cell, each adjusted; else that cell
            reads it raw as state 0.
        calibrates_current: whether state 1 is brought to F channels where it has others, before the 1x1 convolution
            that every cell applies to it.
        strided_identity: what the identity becomes at stride 2.
        reductions: whether a reduction cell comes before the first normal cell of a stage or takes its place.
        skip_reduction_input: whether the cell after a reduction reads past it, the output two cells before the
            reduction's (TF-Slim's ``skip_reduction_layer_input``).
        stem_filters: filters of the first convolution for ImageNet.
        stem_multiplier: filters of the CIFAR stem, in units of F.
        auxiliary: whether the auxiliary head reads the cell ``before``, ``at`` or ``after`` the second reduction.
        classifier_bias: whether the classifiers have a bias.
        dropout: dropped share before the classifier, for ImageNet.
    """

    name: str
    family: Literal["nasnet", "darts"] = "nasnet"
    stem_twice: bool = False
    calibrates_current: bool = False
    strided_identity: StridedIdentity = "conv"
    reductions: Literal["inserted", "replacing"] = "inserted"
    skip_reduction_input: bool = False
    stem_filters: int = 32
    stem_multiplier: int = 3
    auxiliary: Literal["before", "at", "after"] = "before"
    classifier_bias: bool = True
    dropout: float = 0.0


SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        Skeleton("nasnet", dropout=0.5),
        Skeleton("nasnet-large", dropout=0.5, stem_filters=96, skip_reduction_input=True),
        Skeleton("pnasnet", dropout=0.5, reductions="replacing"),
        Skeleton("pnasnet-large", dropout=0.5, reductions="replacing", stem_filters=96, skip_reduction_input=True),
        # Pham 2018, as released (micro_child.py); its networks are CIFAR's, the ImageNet stem is NASNet's.
        Skeleton(
            "enas",
            stem_twice=True,
            calibrates_current=True,
            strided_identity="factorized_linear",
            auxiliary="after",
            classifier_bias=False,
        ),
        Skeleton("darts", family="darts", stem_twice=True, strided_identity="factorized", auxiliary="at"),
    )
}


def get_skeleton(name: str) -> Skeleton:
    """Return the skeleton of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in SKELETONS:
        raise UnknownNameError("skeleton", name, SKELETONS)
    return SKELETONS[name]


@dataclass(frozen=True, slots=True)
class Shape:
    """Shape of a state: channels, and height (= width) in pixels."""

    channels: int
    size: int


@dataclass(frozen=True, slots=True)
class Placement:
    """One cell in a network.

    Attributes:
        name: ``cell3``, ``reduction0``, ``stem1``.
        kind: which of the architecture's two cells.
        filters: F of this cell.
        stride: 2 where it halves the size.
        previous: index of the output read as state 0; None for the raw output read as state 1.
        current: index of the output read as state 1. Output 0 is the first stem output.
        auxiliary: whether the auxiliary head reads this cell's output.
    """

    name: str
    kind: Literal["normal", "reduction"]
    filters: int
    stride: int
    previous: int | None
    current: int
    auxiliary: bool = False


def plan_stem(skeleton: Skeleton, stem: Stem, *, width: int, channels: int, resolution: int) -> list[PlannedLayers]:
    """Return the stem's outputs in order, each made from the one before.

    Raises:
        InvalidInputError: the images are too small for the stem.
    """
    smallest = SMALLEST_RESOLUTION[stem]
    if resolution < smallest:
        raise InvalidInputError(
            f"the {stem} stem takes images of at least {smallest} pixels, got {resolution}: use larger images"
            + (" or the cifar stem." if stem == "imagenet" else ".")
        )
    if stem != "imagenet":
        filters = width * (1 if stem == "tiny" else skeleton.stem_multiplier)
        return [plan_layers((Conv(channels, filters, (3, 3)), Norm(filters)), filters, size=resolution)]
    if skeleton.family == "nasnet":
        filters = skeleton.stem_filters
        conv = Conv(channels, filters, (3, 3), (2, 2), padded=False)
        planned = plan_layers((conv, Norm(filters)), filters, size=resolution)
        return [PlannedLayers(planned.layers, planned.params, planned.macs, filters, (resolution - 3) // 2 + 1)]
    half = width // 2
    first = (Conv(channels, half, (3, 3), (2, 2)), Norm(half), Relu(), Conv(half, width, (3, 3), (2, 2)), Norm(width))
    stem0 = plan_layers(first, width, size=resolution, stride=4)
    second = (Relu(), Conv(width, width, (3, 3), (2, 2)), Norm(width))
    return [stem0, plan_layers(second, width, size=stem0.size, stride=2)]


def place_cells(skeleton: Skeleton, stem: Stem, *, depth: int, width: int) -> Iterator[Placement]:
    """Yield the cells of a network in order.

    Args:
        skeleton: how the family stacks cells.
        stem: how images enter.
        depth: N, normal cells a stage.
        width: F, filters of the first stage.
    """
    outputs = 2 if stem == "imagenet" and skeleton.family == "darts" else 1
    if stem == "imagenet" and skeleton.family == "nasnet":
        for i, divisor in enumerate((4, 2)):
            yield Placement(f"stem{i}", "reduction", width // divisor, 2, _before(skeleton, outputs), outputs - 1)
            outputs += 1
    for stage in range(NUM_STAGES):
        filters = width << stage
        beyond = _before(skeleton, outputs)
        if stage > 0:
            replaces = skeleton.reductions == "replacing"
            name = f"cell{stage * depth}" if replaces else f"reduction{stage - 1}"
            # Where it takes the place of a stage's only cell, the first reduction is the cell before the second.
            auxiliary = {"before": stage == 1 and replaces and depth == 1, "at": stage == 2, "after": False}
            yield Placement(name, "reduction", filters, 2, beyond, outputs - 1, auxiliary[skeleton.auxiliary])
            outputs += 1
        for i in range(depth):
            if stage > 0 and i == 0 and skeleton.reductions == "replacing":
                continue
            reads_past = stage > 0 and i == 0 and skeleton.skip_reduction_input
            previous = beyond if reads_past else _before(skeleton, outputs)
            auxiliary = {"before": stage == 1 and i == depth - 1, "at": False, "after": stage == 2 and i == 0}
            name = f"cell{stage * depth + i}"
            yield Placement(name, "normal", filters, 1, previous, outputs - 1, auxiliary[skeleton.auxiliary])
            outputs += 1


def _before(skeleton: Skeleton, outputs: int) -> int | None:
    """Index of the output before the last one; for the first cell none, or the last itself (ENAS, DARTS)."""
    if outputs >= 2:
        return outputs - 2
    return 0 if skeleton.stem_twice else None
