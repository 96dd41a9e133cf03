"""Predictions that are the mean of several: of ten crops of an image, and of several networks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from nas.errors import InvalidInputError


def mean_of_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of the probabilities that logits stand for.

    Args:
        logits: each (batch, classes); where they come from one image, of the same shape.
    """
    stacked = torch.stack(list(logits)).log_softmax(dim=-1)
    return stacked.logsumexp(dim=0) - math.log(len(stacked))


def predict_ten_crops(network: nn.Module, images: Tensor, crop: int) -> Tensor:
    """Return log-probabilities: the mean over four corners, the centre, and their mirror images.

    Krizhevsky 2012, section 4.1: the average of the softmax layer's predictions.

    Args:
        network: logits of (batch, channels, crop, crop); in the mode that it is in.
        images: (batch, channels, height, width), ready for the network.
        crop: side in pixels.

    Raises:
        InvalidInputError: the images are smaller than the crop.
    """
    from torchvision.transforms.functional import ten_crop

    if crop < 1 or crop > min(images.shape[2:]):
        raise InvalidInputError(f"a crop of {crop} pixels needs images at least as large, got {tuple(images.shape)}.")
    return mean_of_probabilities([network(part) for part in ten_crop(images, crop)])


class Ensemble(nn.Module):
    """Several networks as one: the mean of their probabilities, as log-probabilities in the place of logits.

    The softmax of these logits is the mean itself, so they can be measured and trained on like any other.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        """Take the networks; all give the same classes.

        Raises:
            InvalidInputError: there is none.
        """
        super().__init__()
        self.networks = nn.ModuleList(networks)
        if not self.networks:
            raise InvalidInputError("an ensemble needs at least one network, got none.")

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> log-probabilities (batch, classes)."""
        return mean_of_probabilities([network(images) for network in self.networks])
