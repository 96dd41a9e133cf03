"""The maxout network for CIFAR-10 (Goodfellow 2013): each unit is the largest of several linear pieces.

Sizes are those of the authors' pylearn2 definition. What belongs to its training (limits on the norms of weights,
input preprocessing) is left out. Convolutions are drawn normally with variance 1 / fan-in, which the larger of two
pieces keeps, instead of uniformly from ±0.005.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import map_size, max_pool, network
from nas.baselines.sizes import Sizes


@dataclass(frozen=True, slots=True)
class Stage:
    """A maxout convolution of two pieces, and a max pooling of stride 2."""

    units: int
    kernel: int
    padding: int
    pool: int


STAGES = (Stage(96, 8, 4, 4), Stage(192, 8, 3, 4), Stage(192, 5, 3, 2))
PIECES = 2
DENSE_UNITS, DENSE_PIECES = 500, 5


class Maxout(nn.Module):
    """The largest of the pieces of each unit; pieces of one unit are neighbouring channels."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, values: Tensor) -> Tensor:
        """Return (batch, channels / pieces, ...)."""
        pieces: Tensor = values.unflatten(1, (-1, self.pieces))  # type: ignore[no-untyped-call]
        return pieces.amax(dim=2)


def maxout(sizes: Sizes) -> nn.Sequential:
    """Build the network; a fifth of the inputs and half of the units before each layer are dropped in training."""
    strides = sizes.strides((2, 2, 2), canonical=32)
    features = nn.Sequential()
    channels = sizes.channels
    for stage, stride in zip(STAGES, strides, strict=True):
        features.append(nn.Dropout(0.5 if len(features) else 0.2))
        units = sizes.filters(stage.units)
        features.append(nn.Conv2d(channels, PIECES * units, stage.kernel, padding=stage.padding))
        features.extend((Maxout(PIECES), *max_pool(stage.pool, stride, ceil=True)))
        channels = units
    units = sizes.filters(DENSE_UNITS)
    inputs = channels * map_size(features, sizes.resolution) ** 2
    classifier = nn.Sequential(
        *(nn.Flatten(), nn.Dropout(), nn.Linear(inputs, DENSE_PIECES * units), Maxout(DENSE_PIECES)),
        *(nn.Dropout(), nn.Linear(units, sizes.classes)),
    )
    return network(features.apply(_init), classifier)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        assert module.bias is not None
        nn.init.zeros_(module.bias)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="maxout-cifar10",
        title="Maxout network for CIFAR-10",
        paper="Maxout Networks",
        year=2013,
        make=maxout,
        resolution=32,
        classes=10,
        aliases=("maxout",),
        note="the paper prints no counts",
        scales=("width",),
    ),
)
