"""Small networks by name, whose normalisations have seen something, as what is exported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from nas.building import build_blueprint, get_blueprint
from nas.exporting.network_file import Images
from nas.exporting.subject import Subject
from search_spaces.architecture import Blueprint
from search_spaces.genotypes import NETWORKS, published_blueprint
from search_spaces.registry import get_space

CLASSES = ("cat", "it's", 'a "dog"', "d", "e")


def blueprint_of(case: str) -> Blueprint:
    """A published cell network at a small size, a space's random architecture of a number, or a small baseline."""
    if case in NETWORKS:
        found = published_blueprint(case)
        return replace(found, depth=1, width=8, resolution=32 if found.stem == "imagenet" else 8, classes=5)
    if " " not in case:
        return replace(get_blueprint(case), depth=0.34, width=0.125)
    space, i = case.split()
    architecture = get_space(space).sample(np.random.default_rng(int(i)))
    depth, width = (0.3, 0.25) if space == "mbconv" else (1, 8)
    return get_blueprint(architecture, input_shape=(3, 8, 8), classes=5, stem="cifar", depth=depth, width=width)


def subject_of(case: str) -> Subject:
    """What `blueprint_of` builds, with random statistics."""
    blueprint = blueprint_of(case)
    torch.manual_seed(0)
    return subject(build_blueprint(blueprint), (blueprint.channels, blueprint.resolution, blueprint.resolution))


def subject(network: nn.Module, shape: tuple[int, int, int]) -> Subject:
    """A network as what is exported."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.2)
    images = Images(shape, (0.5,) * shape[0], (0.2,) * shape[0], CLASSES)
    return Subject(network.eval(), images, "a small network", "network")
