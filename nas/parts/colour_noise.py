"""Colour noise along the principal components of the training images' colours (Krizhevsky 2012, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

STANDARD_DEVIATION = 0.1  # of the paper's alpha
_CHUNK = 256  # images whose colours are added up at once, in double precision
_WHITE = 255


@dataclass(frozen=True, slots=True)
class ColourComponents:
    """Principal components of colours in [0, 1], the largest variance first.

    Attributes:
        variances: eigenvalues of the covariance of the channels.
        directions: eigenvectors, in the same order; the largest entry of each is positive.
    """

    variances: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, images: Tensor) -> Self:
        """Return those of training images: uint8 (n, channels, height, width)."""
        channels = images.shape[1]
        total, products = torch.zeros(channels).double(), torch.zeros(channels, channels).double()
        for start in range(0, len(images), _CHUNK):
            colours = images[start : start + _CHUNK].cpu().transpose(0, 1).flatten(1).double() / _WHITE
            total += colours.sum(1)
            products += colours @ colours.T
        pixels = images.numel() / channels
        mean = total / pixels
        values, vectors = torch.linalg.eigh(products / pixels - torch.outer(mean, mean))
        values, vectors = values.flip(0).clamp_min(0), vectors.T.flip(0)
        largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
        return cls(tuple(values.tolist()), tuple(map(tuple, (vectors * largest.sign()).tolist())))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"variances": list(self.variances), "directions": [list(one) for one in self.directions]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(tuple(data["variances"]), tuple(tuple(one) for one in data["directions"]))


def add_colour_noise(
    images: Tensor, components: ColourComponents, generator: torch.Generator, *, std: float = STANDARD_DEVIATION
) -> Tensor:
    """Return the images, to every pixel of each the same colour added: sum of p_i alpha_i lambda_i.

    Args:
        images: uint8 (batch, channels, height, width); not changed.
        components: of the training images; p their directions, lambda their variances.
        generator: on the CPU or on the images' device.
        std: of alpha, drawn from a normal distribution for every image and component.
    """
    variances = torch.tensor(components.variances)
    directions = torch.tensor(components.directions)
    drawn = torch.randn(len(images), len(variances), generator=generator, device=generator.device).cpu()
    colours = (std * drawn * variances) @ directions * _WHITE
    noisy = images.float() + colours.to(images.device)[:, :, None, None]
    return noisy.round().clamp(0, _WHITE).to(torch.uint8)
