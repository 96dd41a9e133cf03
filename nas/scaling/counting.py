"""What members cost while one is being looked for: counts in milliseconds where shapes are known without a network.

A count gives exactly what `nas.building.complexity` gives. Inverted bottlenecks are counted from their layout, and in
other hand-designed networks what keeps the shape and costs no multiply-accumulates is skipped while they run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.baselines.blueprints import build_baseline, resolve
from nas.building import build_blueprint, space_of
from nas.errors import NASError
from nas.profiling.measures import LiveTensors, measure_latency
from search_spaces.architecture import Architecture, Blueprint, Complexity
from search_spaces.counting import Sizes, count_network, plain_operators, without_weights
from search_spaces.mbconv import MBConvSpace
from search_spaces.mbconv_design import DESIGNS
from search_spaces.mbconv_layout import layout_network
from search_spaces.nasbench201 import NasBench201Space
from search_spaces.nasnet import CellSpace

# They give the shape that they take, and no products: a run that counts products can do without them.
SHAPE_KEEPERS = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Dropout, nn.Identity)
WEIGHTED = (nn.Conv2d, nn.Linear)
REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, IndexError, ZeroDivisionError)


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a network from one run without weights.

    Attributes:
        layers: convolutions and linear layers.
        memory_bytes: the most bytes alive at once in a forward pass of one image, weights and image among them.
    """

    layers: int
    memory_bytes: int


@lru_cache(maxsize=20_000)
def count(blueprint: Blueprint, folder: Path | None = None) -> Complexity:
    """Return parameters and MACs, without the auxiliary classifier and without allocating weights.

    Args:
        blueprint: of an architecture or a baseline.
        folder: where a user's own space was kept.

    Raises:
        InvalidInputError: a size that the network cannot take.
    """
    plain = replace(blueprint, auxiliary=False)
    if plain.parts:
        return count_network(lambda: build_blueprint(plain, folder=folder), Sizes.of(plain))
    if isinstance(plain.network, Architecture):
        return space_of(plain, folder=folder).complexity(plain)
    images = Sizes.of(plain)
    name = resolve(plain.network).name
    if name in DESIGNS:
        return layout_network(DESIGNS[name], images, depth=plain.depth or 1.0, width=plain.width or 1.0).complexity
    return count_network(lambda: _skip_shape_keepers(build_baseline(plain)), images)


def why_refused(blueprint: Blueprint, folder: Path | None = None) -> str:
    """Return in a line why a network cannot take the images of its blueprint; empty when it can."""
    size = f"{blueprint.channels} x {blueprint.resolution} x {blueprint.resolution}"
    try:
        count(blueprint, folder)
    except NASError as error:
        return str(error).splitlines()[0]
    except REFUSALS as error:  # models of timm and users' networks raise what they like
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return f"images of {size}: {first}"
    return ""


def is_quick(blueprint: Blueprint, folder: Path | None = None) -> bool:
    """Return whether a count takes milliseconds: then many of them can be made to find a member."""
    if blueprint.parts:
        return False
    if isinstance(blueprint.network, Architecture):
        return isinstance(space_of(blueprint, folder=folder), CellSpace | MBConvSpace | NasBench201Space)
    return resolve(blueprint.network).name in DESIGNS


@lru_cache(maxsize=1_000)
def outline(blueprint: Blueprint, folder: Path | None = None) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of all weights in order, which members of a family that are one network have in common."""
    plain = replace(blueprint, auxiliary=False)
    return without_weights(
        lambda _: tuple([tuple(p.shape) for p in build_blueprint(plain, folder=folder).parameters()])
    )


@lru_cache(maxsize=1_000)
def run_without_weights(blueprint: Blueprint, folder: Path | None = None) -> Shape:
    """Return layers and peak memory of a forward pass; the numbers of `nas profile`."""
    plain = replace(blueprint, auxiliary=False)

    def run(device: str) -> Shape:
        network = build_blueprint(plain, folder=folder).eval()
        images = torch.zeros(1, plain.channels, plain.resolution, plain.resolution, device=device)
        tensors = [*network.parameters(), *network.buffers(), images]
        with LiveTensors(tensors) as live, torch.no_grad():
            network(images)
        layers = sum(isinstance(module, WEIGHTED) for module in network.modules())
        return Shape(layers, int(live.peak_bytes))

    with plain_operators():
        return without_weights(run)


def time_forward(blueprint: Blueprint, folder: Path | None = None, *, device: str = "cpu") -> float:
    """Return the median milliseconds of a forward pass of one image on a device; torch's generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        network = build_blueprint(replace(blueprint, auxiliary=False), folder=folder)
    shape = (blueprint.channels, blueprint.resolution, blueprint.resolution)
    return measure_latency(network, shape, repeats=7, warmup=2, device=device).median_ms


def _skip_shape_keepers(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if type(module) in SHAPE_KEEPERS:
            module.forward = _same
    return network


def _same(x: Tensor) -> Tensor:
    return x
