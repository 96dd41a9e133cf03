"""What a network scores on images that it was not trained on, by one view of each, two or ten.

Ten crops are as large as the image, so that every network takes them. They are cut from the image with a border around
it, at its four corners and in the middle: the border that the data's augmentation cuts its training crops from, or
where that has none an eighth of the image's size, as Krizhevsky's (2012, section 4.1) 256 pixels are to his 224.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data.batching import batches
from nas.data.image_data import ImageData, Split
from nas.data.residence import resident

EVALUATION_BATCH = 256  # images at most, and always on a GPU
EVALUATION_PIXELS = 2**15  # on a CPU: a layer's call costs little beside its work, and its maps stay in the cache
LEAST_BATCH = 8
BORDER_SHARE = 8  # of the image's size
TEN_CROPS = 10


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


def evaluation_batch(images: Tensor | tuple[int, ...], device: torch.device | str) -> int:
    """Return how many images are looked at together: on a CPU so many that their maps suit its cache.

    Args:
        images: (..., height, width), or that shape.
        device: where they are looked at.
    """
    if torch.device(device).type != "cpu":
        return EVALUATION_BATCH
    height, width = (images.shape if isinstance(images, Tensor) else images)[-2:]
    return min(EVALUATION_BATCH, max(LEAST_BATCH, EVALUATION_PIXELS // (height * width)))


@torch.inference_mode()
def measure_accuracy(
    network: nn.Module, data: ImageData, split: Split, *, mirrored: bool = False, crops: int = 1
) -> Accuracy:
    """Return what a network scores on a split, in evaluation mode, on the device that holds its weights.

    Args:
        network: left in evaluation mode.
        data: normalises the images.
        split: the images.
        mirrored: whether logits are the mean over an image and its mirror image (as in airbench, Jordan 2024).
        crops: 10 for the mean of the probabilities of ten crops, which hold mirror images; 1 for the image itself.
    """
    device = next(network.parameters()).device
    correct = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for logits, labels in _predictions(network, data, split, mirrored=mirrored, crops=crops):
        correct += (logits.argmax(1) == labels).sum()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
    return Accuracy(int(correct), len(split), float(loss) / len(split))


@torch.inference_mode()
def predict(network: nn.Module, data: ImageData, split: Split, *, mirrored: bool = False, crops: int = 1) -> Tensor:
    """Return logits (images, classes) on the network's device; arguments as those of `measure_accuracy`.

    Those of ten crops are logarithms of probabilities.
    """
    return torch.cat([logits for logits, _ in _predictions(network, data, split, mirrored=mirrored, crops=crops)])


def accuracy_of(logits: Tensor, labels: Tensor) -> Accuracy:
    """Return what logits (images, classes) score against labels (images,), both on the same device."""
    loss = functional.cross_entropy(logits.double(), labels)
    return Accuracy(int((logits.argmax(1) == labels).sum()), len(labels), float(loss))


def border_of(data: ImageData) -> int:
    """Return the pixels around an image that its ten crops are cut from."""
    return data.augmentation.crop_padding or max(1, round(data.input_shape[1] / BORDER_SHARE))


def _predictions(
    network: nn.Module, data: ImageData, split: Split, *, mirrored: bool, crops: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits and labels, batch by batch."""
    network.eval()
    device = next(network.parameters()).device
    for images, labels in batches(resident(split, device), evaluation_batch(split.images, device)):
        if crops == TEN_CROPS:
            yield _of_ten_crops(network, data, images), labels
            continue
        prepared = data.normalise(images).contiguous(memory_format=torch.channels_last)
        logits = network(prepared)
        if mirrored:
            logits = (logits + network(prepared.flip(3))) / 2
        yield logits, labels


def _of_ten_crops(network: nn.Module, data: ImageData, images: Tensor) -> Tensor:
    from nas.parts.prediction import predict_ten_crops  # comes with torchvision, which takes a second to load

    border = (border_of(data),) * 4
    if data.augmentation.padding == "zeros":  # black, as augmentation pads bytes
        prepared = data.normalise(functional.pad(images, border))
    else:
        prepared = functional.pad(data.normalise(images), border, mode="reflect")
    return predict_ten_crops(network, prepared.contiguous(memory_format=torch.channels_last), images.shape[3])
