"""From a name, an architecture or a blueprint to the network: the one way in for every command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from nas.baselines.blueprints import baseline_blueprint, baseline_complexity, build_baseline
from nas.baselines.registry import baselines
from nas.baselines.timm_models import PREFIX
from nas.errors import InvalidInputError, UnknownNameError
from search_spaces.architecture import Architecture, Blueprint, Complexity, Stem
from search_spaces.counting import Sizes, count_network
from search_spaces.genotypes import CELLS, NETWORKS, published_architecture, published_blueprint
from search_spaces.local_file import kept_specification
from search_spaces.registry import get_space
from search_spaces.space import PROXY_SIZES, SearchSpace

if TYPE_CHECKING:
    from nas.parts import Parts

NEEDING_SAMPLES = ("lsuv",)
Network = str | Architecture | Blueprint


def stem_for(resolution: int) -> Stem:
    """Return the stem for images of this size: tiny below 32 pixels, cifar up to 64, imagenet above."""
    if resolution < 32:
        return "tiny"
    return "cifar" if resolution <= 64 else "imagenet"


def get_blueprint(
    network: Network,
    *,
    classes: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    depth: float | None = None,
    width: float | None = None,
    stem: Stem | None = None,
    parts: Parts | None = None,
) -> Blueprint:
    """Return the blueprint of a network, with what is given changed.

    Args:
        network: a baseline, a published network or cell by name, ``timm:NAME``, an architecture, or a blueprint.
        classes: number of classes; by default the network's own, else 10.
        input_shape: (channels, height, width) of the images, height equal to width.
        depth: N, normal cells a stage, of a cell network; what multiplies the repeats of a baseline's blocks.
        width: F, filters of the first stage, of a cell network; what multiplies a baseline's filters.
        stem: how images enter; by default the network's own, else by image size.
        parts: what is exchanged in it, such as its activation functions.

    Raises:
        UnknownNameError: no network of that name.
        InvalidInputError: images that are not square, or a size that the network cannot take.
    """
    if input_shape is not None and (len(input_shape) != 3 or input_shape[1] != input_shape[2]):
        raise InvalidInputError(f"input_shape is (channels, size, size) with square images, got {input_shape}.")
    resolution = input_shape[1] if input_shape else None
    base = _base_blueprint(network, resolution, stem)
    changes: dict[str, Any] = {
        "classes": classes,
        "channels": input_shape[0] if input_shape else None,
        "resolution": resolution,
        "depth": depth,
        "width": width,
        "stem": stem,
        "parts": None if parts is None else parts.changes(),
    }
    return replace(base, **{name: value for name, value in changes.items() if value is not None})


def _base_blueprint(network: Network, resolution: int | None, stem: Stem | None) -> Blueprint:
    if isinstance(network, Blueprint):
        return network
    if isinstance(network, str) and network in NETWORKS:
        return published_blueprint(network)
    if isinstance(network, str) and network not in CELLS:
        return _baseline_blueprint(network)
    architecture = published_architecture(network)[1] if isinstance(network, str) else network
    if resolution is None:
        raise InvalidInputError("a cell is built for images of a size: give input_shape, like (3, 32, 32).")
    entry = stem or stem_for(resolution)
    depth, width = PROXY_SIZES[entry]
    return Blueprint(architecture, resolution, stem=entry, depth=depth, width=width)


def _baseline_blueprint(name: str) -> Blueprint:
    try:
        return baseline_blueprint(name)
    except UnknownNameError:
        if name.startswith(PREFIX):
            raise
        raise UnknownNameError("network", name, [*baselines(), *NETWORKS, *CELLS]) from None


def space_of(blueprint: Blueprint, *, folder: Path | None = None) -> SearchSpace:
    """Return the space whose architecture a blueprint builds.

    Args:
        blueprint: of an architecture.
        folder: where `search_spaces.local_file.save_source` kept a copy of a user's own space. That file is run if
            this process does not know the space yet.

    Raises:
        InvalidInputError: the blueprint names a baseline, or the space is in a file that is not there or has changed.
    """
    if not isinstance(blueprint.network, Architecture):
        raise InvalidInputError(f"{blueprint.network!r} is no architecture of a search space.")
    name = blueprint.network.space
    return get_space(kept_specification(name, folder) if folder else name)


def build(
    network: Network,
    *,
    classes: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    depth: float | None = None,
    width: float | None = None,
    stem: Stem | None = None,
    parts: Parts | None = None,
    sample: Tensor | None = None,
) -> nn.Module:
    """Return the network: images (batch, channels, height, width) -> logits (batch, classes).

    Weights are drawn from torch's global generator. Arguments and errors as `get_blueprint`, and `sample`: images as
    the network will take them, which initialisation by ``lsuv`` looks at, and is refused without.
    """
    blueprint = get_blueprint(
        network, classes=classes, input_shape=input_shape, depth=depth, width=width, stem=stem, parts=parts
    )
    if sample is None and needs_sample(blueprint):
        raise InvalidInputError(
            "initialization 'lsuv' looks at what layers give for images: give nas.build a sample of them, normalised, "
            "(batch, channels, height, width)."
        )
    return build_blueprint(blueprint, sample=sample)


def build_blueprint(blueprint: Blueprint, *, folder: Path | None = None, sample: Tensor | None = None) -> nn.Module:
    """Return the network of a blueprint, whatever kind it is.

    Args:
        blueprint: what to build.
        folder: as in `space_of`.
        sample: images that the network takes, for an initialisation that looks at them; without any it is left out.
    """
    baseline = isinstance(blueprint.network, str)
    network = build_baseline(blueprint) if baseline else space_of(blueprint, folder=folder).build(blueprint)
    return exchange_parts(network, blueprint, sample=sample)


def exchange_parts(network: nn.Module, blueprint: Blueprint, *, sample: Tensor | None = None) -> nn.Module:
    """Return a network that was built as a blueprint says, with the blueprint's parts; `sample` as above."""
    if not blueprint.parts:
        return network
    from nas.parts import Parts, apply_parts

    parts = Parts.from_json(dict(blueprint.parts))
    if sample is None and needs_sample(blueprint):
        parts = replace(parts, initialization=None)
    input_shape = (blueprint.channels, blueprint.resolution, blueprint.resolution)
    return apply_parts(network, parts, sample=sample, input_shape=input_shape)


def needs_sample(blueprint: Blueprint) -> bool:
    """Return whether a blueprint has a part that looks at images."""
    return dict(blueprint.parts).get("initialization") in NEEDING_SAMPLES


def complexity(blueprint: Blueprint) -> Complexity:
    """Return parameters and MACs of a blueprint, without allocating weights."""
    if blueprint.parts:
        return count_network(lambda: build_blueprint(replace(blueprint, auxiliary=False)), Sizes.of(blueprint))
    if isinstance(blueprint.network, str):
        return baseline_complexity(blueprint)
    return space_of(blueprint).complexity(blueprint)


def count_architecture(space: SearchSpace, blueprint: Blueprint) -> Complexity:
    """Return parameters and MACs of an architecture of this space, with the blueprint's parts."""
    if keeps_counts(blueprint):
        return space.complexity(blueprint)
    plain = replace(blueprint, auxiliary=False)
    return count_network(lambda: exchange_parts(space.build(plain), plain), Sizes.of(plain))


def keeps_counts(blueprint: Blueprint) -> bool:
    """Return whether a network costs with its parts what it costs without them."""
    if not blueprint.parts:
        return True
    from nas.parts import Parts

    return Parts.from_json(dict(blueprint.parts)).keeps_counts
