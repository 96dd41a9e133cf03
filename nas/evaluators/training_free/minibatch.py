"""The few images that a training-free score looks at: one minibatch a run, the same for every network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from nas.data.image_data import ImageData
from nas.errors import InvalidInputError
from search_spaces.randomness import derive_torch_generator

BATCH_SIZE = 64  # as in the released code of Abdelfattah 2021


@dataclass(frozen=True, slots=True, eq=False)
class Minibatch:
    """Images as a network takes them, and their labels.

    Attributes:
        images: float32 (batch, channels, height, width), normalised.
        labels: int64 (batch,).
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        """Refuse images and labels that do not belong together."""
        if self.images.ndim != 4 or len(self.images) == 0 or self.labels.shape != self.images.shape[:1]:
            raise InvalidInputError(
                "a minibatch has images (batch, channels, height, width) and a label for each, "
                f"got {tuple(self.images.shape)} and {tuple(self.labels.shape)}."
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def to(self, device: torch.device | str) -> Self:
        """Return the same minibatch on a device."""
        return type(self)(self.images.to(device), self.labels.to(device))


def draw_minibatch(data: ImageData, *, seed: int, size: int = BATCH_SIZE) -> Minibatch:
    """Draw different images of the training split.

    Args:
        data: only its training split is read.
        seed: decides which images.
        size: how many; all there are where the split has fewer. Copies of an image count once, because two equal
            rows make the kernel of `compute_naswot` singular.
    """
    order = torch.randperm(len(data.train), generator=derive_torch_generator(seed, 0, "minibatch"))
    chosen: dict[int, int] = {}  # an image's hash -> its index
    for index in order.tolist():
        chosen.setdefault(int(data.train.keys[index]), index)
        if len(chosen) == size:
            break
    split = data.train.select(torch.tensor(list(chosen.values())))
    return Minibatch(data.normalise(split.images), split.labels)
