"""How depth, width and resolution grow together: compound scaling, and fast compound scaling.

Compound scaling (Tan 2019, EfficientNet, https://arxiv.org/abs/1905.11946, equation 3): depth alpha^phi, width
beta^phi, resolution gamma^phi under alpha * beta^2 * gamma^2 = 2, so that one step of phi doubles the MACs. Fast
compound scaling (Dollar 2021, Fast and Accurate Model Scaling, https://arxiv.org/abs/2103.06877, section 4) spends
four fifths of the growth on width, because activations, and with them time, grow with its root only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from nas.errors import InvalidInputError, UnknownNameError

Dimension = Literal["depth", "width", "resolution"]
DIMENSIONS: tuple[Dimension, ...] = ("depth", "width", "resolution")
GROWTH = 2.0  # of MACs in a step of phi
TOLERANCE = 0.1  # of the constraint: the paper's own triple gives 1.92
SPACING = 0.05  # the paper does not print its grid's; its triple is of multiples of this


@dataclass(frozen=True, slots=True)
class Factors:
    """What depth, width and resolution of a base network are multiplied by."""

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0

    @property
    def values(self) -> tuple[float, ...]:
        """The three, in the order of `DIMENSIONS`."""
        return self.depth, self.width, self.resolution

    def to_json(self) -> dict[str, float]:
        """Return a JSON-ready dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Alpha, beta and gamma: the growth of depth, width and resolution in one step of phi."""

    depth: float
    width: float
    resolution: float

    def __post_init__(self) -> None:
        """Refuse coefficients that shrink, and those that break the constraint."""
        if not all(math.isfinite(value) and value >= 1 for value in self.values):
            raise InvalidInputError(f"coefficients are numbers >= 1 (equation 3 of EfficientNet), got {self}.")
        if abs(self.growth - GROWTH) > TOLERANCE + 1e-9:
            alpha = max(1.0, GROWTH / (self.width * self.resolution) ** 2)
            remedy = f"; with these width and resolution, depth {alpha:.3g} keeps it" if alpha > 1 else ""
            raise InvalidInputError(
                f"coefficients keep depth x width^2 x resolution^2 = {GROWTH:g} within {TOLERANCE:g}, got {self}, "
                f"which gives {self.growth:.4g}{remedy}."
            )

    @property
    def values(self) -> tuple[float, ...]:
        """The three, in the order of `DIMENSIONS`."""
        return self.depth, self.width, self.resolution

    @property
    def growth(self) -> float:
        """Growth of MACs in one step of phi: alpha * beta^2 * gamma^2."""
        return self.depth * self.width**2 * self.resolution**2

    def __str__(self) -> str:
        """Return them as `parse_coefficients` takes them."""
        return ",".join(f"{value:.6g}" for value in self.values)

    def to_json(self) -> dict[str, float]:
        """Return a JSON-ready dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Coefficients:
        """Read what `to_json` wrote."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Law:
    """Coefficients with a name, and the dimensions that a network lacks, which are held at 1."""

    name: str
    coefficients: Coefficients
    held: tuple[Dimension, ...] = ()

    def factors(self, phi: float) -> Factors:
        """Return what to multiply by at some phi, which may be negative."""
        held, steps = self.held, self.coefficients
        return Factors(
            1.0 if "depth" in held else steps.depth**phi,
            1.0 if "width" in held else steps.width**phi,
            1.0 if "resolution" in held else steps.resolution**phi,
        )

    @property
    def growth(self) -> float:
        """Growth of MACs in one step of phi, before rounding."""
        step = self.factors(1.0)
        return step.depth * step.width**2 * step.resolution**2

    def holding(self, missing: Iterable[Dimension]) -> Law:
        """Return the law for a network that lacks some dimensions.

        Raises:
            InvalidInputError: nothing that grows is left.
        """
        law = replace(self, held=tuple(name for name in DIMENSIONS if name in set(missing)))
        if law.growth <= 1:
            grown = [name for name in DIMENSIONS if getattr(self.coefficients, name) > 1]
            raise InvalidInputError(
                f"the {self.name} law scales {' and '.join(grown)}, and this network has no such thing to scale: "
                f"it lacks {', '.join(law.held)}."
            )
        return law


# Tan 2019, section 3.3: found by a grid search on EfficientNet-B0 at phi = 1.
PUBLISHED = Coefficients(1.2, 1.1, 1.15)
# Dollar 2021, section 4, alpha = 4/5: depth s^(1/10), width s^(4/5 / 2), resolution s^(1/10 / 2) for s times the MACs.
FAST = Coefficients(GROWTH**0.1, GROWTH**0.4, GROWTH**0.05)
LAWS = ("compound", "fast")
# Tan 2019, figure 3 and section 3.1: all of the growth in one dimension.
SINGLE: dict[Dimension, Coefficients] = {
    "depth": Coefficients(GROWTH, 1.0, 1.0),
    "width": Coefficients(1.0, GROWTH**0.5, 1.0),
    "resolution": Coefficients(1.0, 1.0, GROWTH**0.5),
}
# EfficientNet-B0 to B7 as released, rounded by hand (efficientnet_builder.py); resolutions over B0's 224.
EFFICIENTNETS: dict[str, Factors] = {
    f"efficientnet-b{i}": Factors(depth, width, resolution / 224)
    for i, (width, depth, resolution) in enumerate(
        (
            (1.0, 1.0, 224),
            (1.0, 1.1, 240),
            (1.1, 1.2, 260),
            (1.2, 1.4, 300),
            (1.4, 1.8, 380),
            (1.6, 2.2, 456),
            (1.8, 2.6, 528),
            (2.0, 3.1, 600),
        )
    )
}


def make_law(name: str, coefficients: Coefficients = PUBLISHED) -> Law:
    """Return the law of a name; coefficients are those of ``compound``, while ``fast`` has its own.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in LAWS:
        raise UnknownNameError("scaling law", name, LAWS)
    return Law(name, FAST if name == "fast" else coefficients)


def parse_coefficients(text: str) -> Coefficients:
    """Return the coefficients of depth, width and resolution in ``1.2,1.1,1.15``.

    Raises:
        InvalidInputError: no three numbers, or numbers that break the constraint.
    """
    try:
        depth, width, resolution = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(
            f"coefficients are three numbers, of depth, width and resolution, like 1.2,1.1,1.15; got {text!r}."
        ) from None
    return Coefficients(depth, width, resolution)


def grid_coefficients(*, spacing: float = SPACING, held: Iterable[Dimension] = ()) -> list[Coefficients]:
    """Return the triples of a grid that keep the constraint.

    Every coefficient takes every multiple of the spacing from 1 on.

    Args:
        spacing: between the values of a coefficient.
        held: dimensions that stay at 1.

    Raises:
        InvalidInputError: a spacing so wide, or so few dimensions, that no triple is left.
    """
    if not 0.01 <= spacing <= 0.5:
        raise InvalidInputError(f"the spacing of a grid is between 0.01 and 0.5, got {spacing}.")
    held = set(held)
    values = [round(1 + i * spacing, 6) for i in range(int((GROWTH + TOLERANCE - 1) / spacing + 1e-9) + 1)]
    depths, widths, resolutions = ([1.0] if name in held else values for name in DIMENSIONS)
    found = [
        Coefficients(depth, width, resolution)
        for depth, width, resolution in itertools.product(depths, widths, resolutions)
        if abs(depth * (width * resolution) ** 2 - GROWTH) <= TOLERANCE
    ]
    if not found:
        raise InvalidInputError(f"no triple on a grid of spacing {spacing:g} keeps the constraint: use a smaller one.")
    return found
