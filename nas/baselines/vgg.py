"""VGG (Simonyan 2015, Table 1): stages of 3 x 3 convolutions, a pooling after each, three dense layers.

Networks A to E, with and without batch normalisation, as in torchvision: the last map is averaged to at most 7 x 7
positions, convolutions are drawn as by He (2015, fan-out), dense layers normally with deviation 0.01.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain

from torch import nn

from nas.baselines.alexnet import response_norm
from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import extended, map_size, max_pool, network
from nas.baselines.sizes import Sizes

PAPER = "Very Deep Convolutional Networks for Large-Scale Image Recognition"
FILTERS = (64, 128, 256, 512, 512)
HIDDEN_UNITS = 4096
LARGEST_MAP = 7


@dataclass(frozen=True, slots=True)
class Configuration:
    """A column of Table 1.

    Attributes:
        kernels: kernel sizes of the convolutions, by stage.
        response_norm: whether responses are normalised after the first convolution.
        aliases: what it is called by its depth.
        torchvision: its name there; empty when it has none.
        top1_error, top5_error: Table 3, one network at its best test scale.
    """

    kernels: tuple[tuple[int, ...], ...]
    aliases: tuple[str, ...]
    torchvision: str
    top1_error: float
    top5_error: float
    response_norm: bool = False


A = ((3,), (3,), (3, 3), (3, 3), (3, 3))
B = ((3, 3),) * 5
C = ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))
D = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
E = ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))
CONFIGURATIONS = {
    "vgg-a": Configuration(A, ("vgg-11", "vgg11"), "vgg11", 29.6, 10.4),
    "vgg-a-lrn": Configuration(A, (), "", 29.7, 10.5, response_norm=True),
    "vgg-b": Configuration(B, ("vgg-13", "vgg13"), "vgg13", 28.7, 9.9),
    "vgg-c": Configuration(C, (), "", 27.3, 8.8),
    "vgg-d": Configuration(D, ("vgg-16", "vgg16"), "vgg16", 25.6, 8.1),
    "vgg-e": Configuration(E, ("vgg-19", "vgg19"), "vgg19", 25.5, 8.0),
}


def _features(configuration: Configuration, sizes: Sizes, *, batch_norm: bool) -> nn.Sequential:
    strides = sizes.strides((2,) * len(FILTERS), canonical=224)
    layers: list[nn.Module] = []
    channels = sizes.channels
    for filters, kernels, stride in zip(FILTERS, configuration.kernels, strides, strict=True):
        c_out = sizes.filters(filters)
        for kernel in extended(kernels, sizes.repeats(len(kernels))):
            layers.append(nn.Conv2d(channels, c_out, kernel, padding=kernel // 2))
            layers += [nn.BatchNorm2d(c_out)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            channels = c_out
        layers += max_pool(2, stride)
    if configuration.response_norm:
        layers.insert(3 if batch_norm else 2, response_norm())
    return nn.Sequential(*layers)


def vgg(configuration: Configuration, sizes: Sizes, *, batch_norm: bool) -> nn.Sequential:
    """Build a column of Table 1; `depth` multiplies the convolutions of each stage, the last kind repeated."""
    features = _features(configuration, sizes, batch_norm=batch_norm)
    size = min(LARGEST_MAP, map_size(features, sizes.resolution))
    units = sizes.filters(HIDDEN_UNITS)
    classifier = nn.Sequential(
        *(nn.AdaptiveAvgPool2d(size), nn.Flatten()),
        *(nn.Linear(sizes.filters(FILTERS[-1]) * size**2, units), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(units, units), nn.ReLU(inplace=True), nn.Dropout()),
        nn.Linear(units, sizes.classes),
    )
    return network(features, classifier).apply(_init)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(module.bias)


def _published(name: str, configuration: Configuration) -> Baseline:
    letter = name.removeprefix("vgg-").upper()
    depth = sum(map(len, configuration.kernels)) + 3
    return Baseline(
        name=name,
        title=f"VGG {letter} ({depth} layers)",
        paper=PAPER,
        year=2015,
        make=partial(vgg, configuration, batch_norm=False),
        aliases=configuration.aliases,
        top1_error=configuration.top1_error,
        top5_error=configuration.top5_error,
        torchvision=configuration.torchvision,
    )


def _normalised(name: str, configuration: Configuration) -> Baseline:
    letter = name.removeprefix("vgg-").upper()
    depth = sum(map(len, configuration.kernels)) + 3
    theirs = f"{configuration.torchvision}_bn" if configuration.torchvision else ""
    return Baseline(
        name=f"{name}-bn",
        title=f"VGG {letter} ({depth} layers) with batch normalisation",
        paper=PAPER,
        year=2015,
        make=partial(vgg, configuration, batch_norm=True),
        aliases=tuple(f"{alias}-bn" if "-" in alias else f"{alias}_bn" for alias in configuration.aliases),
        torchvision=theirs,
        note="batch normalisation is not in the paper; biases are kept before it, as in torchvision",
    )


BASELINES: tuple[Baseline, ...] = tuple(
    chain.from_iterable(
        [_published(name, configuration)] + ([] if configuration.response_norm else [_normalised(name, configuration)])
        for name, configuration in CONFIGURATIONS.items()
    )
)
