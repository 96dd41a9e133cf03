"""Small networks by name, whose normalisations have seen something, as what is exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.building import build_blueprint, get_blueprint
from nas.exporting.network_file import Images
from nas.exporting.subject import Subject
from search_spaces.architecture import Blueprint
from search_spaces.genotypes import CELLS, NETWORKS, published_blueprint
from search_spaces.registry import get_space

CLASSES = ("cat", "it's", 'a "dog"', "d", "e")


def own(choose: Callable[[str, list[Any]], Any], channels: int, resolution: int, classes: int) -> nn.Module:
    """A user's own space: layers, additions and a head that come and go with the choices."""
    width, kernel = choose("width", [4, 6, 9]), choose("kernel", [1, 3, 5])
    layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel, padding=kernel // 2)]
    for i in range(choose("depth", [1, 2, 3])):
        layers.append(
            OwnBlock(width, choose(f"norm{i}", ["batch", "group", "none"]), choose(f"adds{i}", [True, False]))
        )
    if choose("flat", [True, False]):
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * resolution**2, classes))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class OwnBlock(nn.Module):
    """A normalised convolution; with an addition or without."""

    def __init__(self, width: int, norm: str, adds: bool) -> None:
        """Have so many filters."""
        super().__init__()
        norms = {"batch": nn.BatchNorm2d(width), "group": nn.GroupNorm(1, width), "none": nn.Identity()}
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=width), norms[norm], nn.SiLU())
        self.adds = adds

    def forward(self, x: Tensor) -> Tensor:
        """Return as much as came in."""
        return x + self.body(x) if self.adds else self.body(x)


def blueprint_of(case: str) -> Blueprint:
    """A published cell network or cell at a small size, a space's random architecture, or a small baseline."""
    if case in NETWORKS:
        found = published_blueprint(case)
        return replace(found, depth=1, width=8, resolution=32 if found.stem == "imagenet" else 8, classes=5)
    if case in CELLS:
        return get_blueprint(case, input_shape=(3, 8, 8), classes=5, depth=1, width=8)
    if " " not in case:
        return replace(get_blueprint(case), depth=0.34, width=0.125)
    space, i = case.split()
    specification = f"{Path(__file__)}:own" if space == "own" else space
    architecture = get_space(specification).sample(np.random.default_rng(int(i)))
    depth, width = (0.3, 0.25) if space == "mbconv" else (1, 8)
    return get_blueprint(architecture, input_shape=(3, 8, 8), classes=5, stem="cifar", depth=depth, width=width)


def subject_of(case: str) -> Subject:
    """What `blueprint_of` builds, with random statistics."""
    blueprint = blueprint_of(case)
    torch.manual_seed(0)
    return subject(build_blueprint(blueprint), (blueprint.channels, blueprint.resolution, blueprint.resolution))


def subject(network: nn.Module, shape: tuple[int, int, int]) -> Subject:
    """A network as what is exported: its normalisations have followed ten batches of images, as in a training."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.affine:
            nn.init.uniform_(norm.weight, 0.8, 1.2)
            nn.init.normal_(norm.bias, std=0.1)
    with torch.no_grad():
        for _ in range(10):
            network.train()(torch.randn(16, *shape))
    images = Images(shape, (0.5,) * shape[0], (0.2,) * shape[0], CLASSES)
    return Subject(network.eval(), images, "a small network", "network")
