"""What a network scores on images that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from nas.data.batching import batches
from nas.data.image_data import ImageData, Split

EVALUATION_BATCH = 256


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a network scores on a split: correct answers, images, and the mean cross-entropy."""

    correct: int
    images: int
    loss: float

    @property
    def share(self) -> float:
        """Correct answers as a share of all, in [0, 1]."""
        return self.correct / self.images


@torch.inference_mode()
def measure_accuracy(network: nn.Module, data: ImageData, split: Split, *, mirrored: bool = False) -> Accuracy:
    """Return what a network scores on a split, in evaluation mode, on the device that holds its weights.

    Args:
        network: left in evaluation mode.
        data: normalises the images.
        split: the images.
        mirrored: whether logits are the mean over an image and its mirror image (as in airbench, Jordan 2024).
    """
    network.eval()
    device = next(network.parameters()).device
    correct = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for images, labels in batches(split.to(device), EVALUATION_BATCH):
        prepared = data.normalise(images).contiguous(memory_format=torch.channels_last)
        logits = network(prepared)
        if mirrored:
            logits = (logits + network(prepared.flip(3))) / 2
        correct += (logits.argmax(1) == labels).sum()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
    return Accuracy(int(correct), len(split), float(loss) / len(split))
