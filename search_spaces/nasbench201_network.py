"""The networks of NAS-Bench-201 (Dong & Yang 2020, section 2.1): a fixed skeleton around one searched cell.

A 3x3 convolution, three stages of N cells with C, 2C and 4C channels, a residual block of stride 2 before the
second and the third, and a linear classifier; weights start as torch's layers draw them, as in the benchmark's
code. What a cell may be, and which cells are equal, is in `search_spaces.nasbench201`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

from torch import Tensor, nn

from search_spaces.architecture import Blueprint, Complexity
from search_spaces.errors import InvalidInputError
from search_spaces.layers import Conv, Layer, Norm, Normalization, Pool, Relu, layers_complexity, layers_module

NONE, SKIP = "none", "skip_connect"
OPERATIONS = (NONE, SKIP, "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # (from, to), in the benchmark's order
NUM_NODES = 4
NUM_STAGES = 3
SMALLEST_RESOLUTION = 4
DEFAULT_DEPTH, DEFAULT_WIDTH = 5, 16
NORMALIZATION = Normalization()
Layers = tuple[Layer, ...]
Operations = tuple[str, ...]  # one per edge


@dataclass(frozen=True, slots=True)
class NetworkSizes:
    """The numbers that fix a network around a cell.

    Attributes:
        depth: N, cells a stage.
        width: C, channels of the first stage.
        resolution: height and width of the images in pixels.
        channels: channels of the images.
        classes: length of the logits.
    """

    depth: int
    width: int
    resolution: int
    channels: int
    classes: int

    @classmethod
    def from_blueprint(cls, blueprint: Blueprint) -> Self:
        """Read a blueprint; the benchmark's N = 5 and C = 16 where it leaves depth or width open.

        The ``tiny`` and the ``cifar`` stem are both the benchmark's one. There is no auxiliary head to add.

        Raises:
            InvalidInputError: depth or width is no whole number, or the images are too small or need another stem.
        """
        if blueprint.stem == "imagenet":
            raise InvalidInputError("NAS-Bench-201 networks have no imagenet stem: use cifar, and smaller images.")
        if blueprint.resolution < SMALLEST_RESOLUTION:
            raise InvalidInputError(
                f"NAS-Bench-201 networks take images of at least {SMALLEST_RESOLUTION} pixels, "
                f"got {blueprint.resolution}: use larger images."
            )
        depth = _whole("depth", blueprint.depth, default=DEFAULT_DEPTH)
        width = _whole("width", blueprint.width, default=DEFAULT_WIDTH)
        return cls(depth, width, blueprint.resolution, blueprint.channels, blueprint.classes)

    def stage_shapes(self) -> list[tuple[int, int]]:
        """Return (channels, height = width) of each stage."""
        return [(self.width * 2**i, -(-self.resolution // 2**i)) for i in range(NUM_STAGES)]


def _whole(name: str, value: float | None, *, default: int) -> int:
    if value is None:
        return default
    if int(value) != value:
        raise InvalidInputError(f"a NAS-Bench-201 network takes a whole {name} >= 1, got {value}.")
    return int(value)


def edge_layers(operation: str, channels: int) -> Layers:
    """Return the layers of an operation of `OPERATIONS`; none for ``none`` and ``skip_connect``."""
    match operation:
        case "nor_conv_1x1":
            return (Relu(), Conv(channels, channels), Norm(channels))
        case "nor_conv_3x3":
            return (Relu(), Conv(channels, channels, (3, 3)), Norm(channels))
        case "avg_pool_3x3":
            return (Pool("avg", 3, 1),)
        case _:
            return ()


def _stem_layers(sizes: NetworkSizes) -> Layers:
    return (Conv(sizes.channels, sizes.width, (3, 3)), Norm(sizes.width))


def _residual_layers(c_in: int) -> Layers:
    c_out = 2 * c_in
    halving = (Relu(), Conv(c_in, c_out, (3, 3), (2, 2)), Norm(c_out))
    return (*halving, Relu(), Conv(c_out, c_out, (3, 3)), Norm(c_out))


@lru_cache(maxsize=256)
def _part_costs(sizes: NetworkSizes) -> tuple[Complexity, dict[str, Complexity]]:
    """Return the cost of the skeleton, and by operation what one edge adds over all cells."""
    shapes = sizes.stage_shapes()
    features = shapes[-1][0]
    skeleton = layers_complexity(_stem_layers(sizes), sizes.resolution)
    for (channels, size), (_, halved) in pairwise(shapes):
        skeleton += layers_complexity(_residual_layers(channels), size)
        skeleton += layers_complexity((Conv(channels, 2 * channels),), halved)
    skeleton += Complexity(2 * features + (features + 1) * sizes.classes, features * sizes.classes)
    edges = dict.fromkeys(OPERATIONS, Complexity(0, 0))
    for operation in OPERATIONS:
        for channels, size in shapes:
            cost = layers_complexity(edge_layers(operation, channels), size)
            edges[operation] += Complexity(sizes.depth * cost.params, sizes.depth * cost.macs)
    return skeleton, edges


def network_complexity(operations: Operations, sizes: NetworkSizes) -> Complexity:
    """Return the cost of the network around a cell: every edge counts, also those that reach no output.

    The benchmark counts parameters alike. Its FLOPs are these MACs and more: for CIFAR-10 with N = 5 and C = 16
    the skeleton has 160,832 more, either convolution 430,080 (3 for each value: normalisation and ReLU), and
    pooling 1,290,240 (9 for each value).
    """
    skeleton, edges = _part_costs(sizes)
    costs = [edges[operation] for operation in operations]
    params = skeleton.params + sum([cost.params for cost in costs])
    return Complexity(params, skeleton.macs + sum([cost.macs for cost in costs]))


class NasBench201Network(nn.Module):
    """Images (batch, channels, height, width) -> logits (batch, classes)."""

    def __init__(self, operations: Operations, sizes: NetworkSizes) -> None:
        """Make every module and draw its weights from torch's global generator."""
        super().__init__()
        self.stem = layers_module(_stem_layers(sizes), NORMALIZATION)
        self.cells = nn.Sequential()
        shapes = sizes.stage_shapes()
        for stage, (channels, _) in enumerate(shapes):
            if stage:
                self.cells.append(ResidualReduction(shapes[stage - 1][0]))
            for _ in range(sizes.depth):
                self.cells.append(NasBench201Cell(operations, channels))
        features = shapes[-1][0]
        self.head = nn.Sequential(layers_module((Norm(features),), NORMALIZATION), nn.ReLU())
        self.classifier = nn.Linear(features, sizes.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        features: Tensor = self.head(self.cells(self.stem(images)))
        logits: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits


class NasBench201Cell(nn.Module):
    """(batch, channels, h, w) -> the same shape: four nodes, each the sum of an operation on every earlier one."""

    def __init__(self, operations: Operations, channels: int) -> None:
        """Make the operation of each edge."""
        super().__init__()
        self.edges = nn.ModuleList(layers_module(edge_layers(name, channels), NORMALIZATION) for name in operations)
        present = [i for i, name in enumerate(operations) if name != NONE]
        self._incoming = [[i for i in present if EDGES[i][1] == node] for node in range(1, NUM_NODES)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the last node."""
        nodes = [x]
        for incoming in self._incoming:
            terms = [self.edges[i](nodes[EDGES[i][0]]) for i in incoming]
            nodes.append(sum(terms[1:], start=terms[0]) if terms else x.new_zeros(x.shape))
        return nodes[-1]


class ResidualReduction(nn.Module):
    """(batch, c, h, w) -> (batch, 2c, ceil(h / 2), ceil(w / 2)): the benchmark's residual block of stride 2.

    Pooling keeps the last row and column of an odd size, which the benchmark's data sets do not have.
    """

    def __init__(self, c_in: int) -> None:
        """Make the two convolutions and the shortcut."""
        super().__init__()
        self.convolutions = layers_module(_residual_layers(c_in), NORMALIZATION)
        shortcut = layers_module((Conv(c_in, 2 * c_in),), NORMALIZATION)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, stride=2, ceil_mode=True), shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions and the shortcut give."""
        result: Tensor = self.shortcut(x) + self.convolutions(x)
        return result
