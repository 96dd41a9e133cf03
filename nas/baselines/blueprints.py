"""Baselines as blueprints: the same value that describes a found network describes one that people designed."""

from __future__ import annotations

from functools import lru_cache

from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.registry import find_baseline
from nas.baselines.sizes import Sizes
from nas.baselines.timm_models import PREFIX, find_timm_model
from nas.errors import InvalidInputError
from search_spaces.architecture import Blueprint, Complexity
from search_spaces.counting import Sizes as Images
from search_spaces.counting import count_network


def resolve(name: str) -> Baseline:
    """Return the baseline of a name, an alias, or ``timm:NAME``.

    Raises:
        UnknownNameError: there is none.
        MissingDependencyError: a model of timm, without timm.
    """
    if name.startswith(PREFIX):
        return find_timm_model(name.removeprefix(PREFIX))
    return find_baseline(name)


def baseline_blueprint(name: str) -> Blueprint:
    """Return the blueprint of a baseline as it was published."""
    baseline = resolve(name)
    return Blueprint(
        baseline.name, baseline.resolution, channels=baseline.channels, classes=baseline.classes, stem="imagenet"
    )


def build_baseline(blueprint: Blueprint) -> nn.Module:
    """Return the network of a baseline's blueprint; its weights are drawn from torch's global generator.

    Raises:
        InvalidInputError: images that the network cannot take, or a size that it cannot be scaled in.
    """
    assert isinstance(blueprint.network, str)
    baseline = resolve(blueprint.network)
    for field in ("depth", "width"):
        if getattr(blueprint, field) not in (None, 1) and field not in baseline.scales:
            raise InvalidInputError(f"{baseline.name} has no {field} to be scaled: leave it out.")
    sizes = Sizes(
        blueprint.resolution,
        blueprint.channels,
        blueprint.classes,
        depth=blueprint.depth or 1.0,
        width=blueprint.width or 1.0,
        auxiliary=blueprint.auxiliary,
    )
    return baseline.make(sizes)


@lru_cache(maxsize=10_000)
def baseline_complexity(blueprint: Blueprint) -> Complexity:
    """Return parameters and MACs of a baseline's blueprint, without allocating weights."""
    images = Images.of(blueprint)
    return count_network(lambda: build_baseline(blueprint), images)
