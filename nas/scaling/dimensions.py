"""What depth, width and resolution are of a network, and the members that factors of them make after rounding.

**Depth.** Of a cell network N, normal cells a stage, and of other networks what multiplies the repeats of their
stages; both are rounded up. **Width.** Of a cell network F, filters of the first stage, rounded to the divisor that
its stem needs; of others what multiplies their filters, which are rounded to multiples of 8. Neither falls below
90 % of what was wanted. **Resolution.** Rounded to whole pixels below 64 and to even ones from there on; where a
network refuses that size, to the next multiple of 16, or of 32, that it takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from nas.baselines.blueprints import resolve
from nas.building import space_of
from nas.errors import InvalidInputError
from nas.scaling.counting import count, is_quick, outline
from nas.scaling.laws import DIMENSIONS, Dimension, Factors
from search_spaces.architecture import Architecture, Blueprint, Complexity
from search_spaces.mbconv import MBConvSpace
from search_spaces.nasbench201 import NasBench201Space
from search_spaces.nasbench201_network import DEFAULT_DEPTH, DEFAULT_WIDTH
from search_spaces.nasnet import CellSpace
from search_spaces.scaling_rules import round_filters
from search_spaces.skeleton import SMALLEST_RESOLUTION

Kind = Literal["cells", "multiplier", "none"]
EVEN_FROM = 64  # pixels
COARSE_STEPS = (16, 32)
MULTIPLIER_STEP = 1 / 64  # of a width that is a multiplier
SMALLEST_MULTIPLIER = 0.05
SMALLEST_IMAGES = 4
# F of the stems' narrowest cells is F / 4 for ImageNet; elsewhere every whole number will do.
IMAGENET_DIVISOR, IMAGENET_SMALLEST, SMALLEST_WIDTH = 4, 8, 2


@dataclass(frozen=True, slots=True)
class Scaler:
    """A base network, and how it is scaled.

    Attributes:
        base: with depth and width filled in where it has them.
        kind: ``cells`` has N and F, ``multiplier`` has multipliers, ``none`` has neither.
        missing: dimensions that it lacks.
        folder: where a user's own space was kept.
    """

    base: Blueprint
    kind: Kind
    missing: tuple[Dimension, ...]
    folder: Path | None = None

    @property
    def quick(self) -> bool:
        """Whether a count takes milliseconds."""
        return is_quick(self.base, self.folder)

    @property
    def divisor(self) -> int:
        """What F of a cell network is a multiple of."""
        return IMAGENET_DIVISOR if self.base.stem == "imagenet" else 1

    @property
    def smallest_resolution(self) -> int:
        """The smallest images that it is scaled to: a quarter of the base's, and no less than its stem takes."""
        least = SMALLEST_RESOLUTION[self.base.stem] if self.kind == "cells" else SMALLEST_IMAGES
        return max(least, math.ceil(self.base.resolution / 4))

    def count(self, blueprint: Blueprint) -> Complexity:
        """Return parameters and MACs."""
        return count(blueprint, self.folder)

    def outline(self, blueprint: Blueprint) -> object:
        """Return what two members share that rounding makes the same network: not of multipliers, but of N and F."""
        if self.kind != "multiplier":
            return blueprint
        return blueprint.resolution, outline(blueprint, self.folder)

    def resolution_step(self, resolution: float) -> int:
        """Return what images of about this size are a multiple of."""
        return 2 if resolution >= EVEN_FROM else 1

    def member(self, factors: Factors) -> Blueprint:
        """Return the network at these factors, rounded.

        Raises:
            InvalidInputError: a size that the network cannot take.
        """
        changes: dict[str, Any] = {}
        if "depth" not in self.missing:
            changes["depth"] = self._round_depth(factors.depth)
        if "width" not in self.missing:
            changes["width"] = self.round_width(self._base("width") * factors.width)
        sized = replace(self.base, **changes)
        if "resolution" in self.missing or factors.resolution == 1:
            return sized
        return self.at_resolution(sized, self.base.resolution * factors.resolution)

    def _base(self, name: Literal["depth", "width"]) -> float:
        return getattr(self.base, name) or 1.0

    def _round_depth(self, factor: float) -> float | None:
        if factor == 1:
            return self.base.depth
        wanted = self._base("depth") * factor
        return max(1, math.ceil(wanted - 1e-9)) if self.kind == "cells" else max(SMALLEST_MULTIPLIER, round(wanted, 4))

    def round_width(self, wanted: float) -> float | None:
        """Return a width near the wanted one, as a blueprint has it."""
        if wanted == self._base("width"):
            return self.base.width
        if self.kind != "cells":
            return max(SMALLEST_MULTIPLIER, round(wanted, 4))
        smallest = IMAGENET_SMALLEST if self.base.stem == "imagenet" else SMALLEST_WIDTH
        return max(smallest, round_filters(wanted, self.divisor))

    def at_resolution(self, blueprint: Blueprint, wanted: float) -> Blueprint:
        """Return a network at the nearest size of images that it takes.

        Raises:
            InvalidInputError: it takes none near enough.
        """
        refusal: InvalidInputError | None = None
        wanted = max(wanted, self.smallest_resolution)
        for resolution in self._resolutions(wanted):
            found = replace(blueprint, resolution=resolution)
            try:
                self.count(found)
            except InvalidInputError as error:
                refusal = refusal or error
            else:
                return found
        assert refusal is not None
        raise refusal

    def _resolutions(self, wanted: float) -> Iterator[int]:
        step = self.resolution_step(wanted)
        yield max(1, round(wanted / step) * step)
        for coarse in COARSE_STEPS:
            yield max(coarse, round(wanted / coarse) * coarse)
        coarse = COARSE_STEPS[-1]
        yield from range(max(coarse, math.ceil(wanted / coarse) * coarse), self.base.resolution + 1, coarse)
        if wanted < self.base.resolution:
            yield self.base.resolution

    @property
    def smallest(self) -> Blueprint:
        """The least network that it can be scaled to: one block a stage, the fewest filters, the smallest images."""
        changes = {name: 1e-9 for name in DIMENSIONS if name not in self.missing}
        return self.member(Factors(**changes))

    def factors_of(self, blueprint: Blueprint) -> Factors:
        """Return what a member's depth, width and resolution are of the base's, after rounding."""
        depth = (blueprint.depth or 1.0) / self._base("depth")
        width = (blueprint.width or 1.0) / self._base("width")
        return Factors(depth, width, blueprint.resolution / self.base.resolution)


@lru_cache(maxsize=256)
def make_scaler(blueprint: Blueprint, folder: Path | None = None) -> Scaler:
    """Return how a network is scaled; what it lacks is found by its kind, or by trying.

    Raises:
        InvalidInputError: it has none of the three dimensions.
    """
    base = replace(blueprint, auxiliary=False)
    kind, missing = _dimensions(base, folder)
    if isinstance(base.network, Architecture) and isinstance(space_of(base, folder=folder), NasBench201Space):
        base = replace(base, depth=base.depth or DEFAULT_DEPTH, width=base.width or DEFAULT_WIDTH)
    if not _has_resolution(base, folder):
        missing = (*missing, "resolution")
    if len(missing) == len(DIMENSIONS):
        raise InvalidInputError(
            f"{base.network} has no depth, no width and no resolution that could be changed: scale another network."
        )
    return Scaler(base, kind, missing, folder)


def _dimensions(base: Blueprint, folder: Path | None) -> tuple[Kind, tuple[Dimension, ...]]:
    if isinstance(base.network, str):
        scales = resolve(base.network).scales
        return "multiplier", tuple(name for name in DIMENSIONS[:2] if name not in scales)
    space = space_of(base, folder=folder)
    if isinstance(space, CellSpace | NasBench201Space):
        return "cells", ()
    if isinstance(space, MBConvSpace):
        return "multiplier", ()
    return "none", ("depth", "width")  # a user's own code is given neither


def _has_resolution(base: Blueprint, folder: Path | None) -> bool:
    """Return whether larger images are taken, and cost more."""
    here = count(base, folder)
    for size in (base.resolution + 2, base.resolution + 32, base.resolution * 2):
        try:
            if count(replace(base, resolution=size), folder).macs > here.macs:
                return True
        except InvalidInputError:
            continue
    return False
