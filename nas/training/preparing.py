"""From a batch of bytes to what a network is trained on: augmentation, then normalisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from nas.data.augmentation import cut_out
from nas.data.image_data import ImageData
from nas.errors import InvalidInputError
from nas.training.recipe import Policy, Recipe
from nas.training.seeding import seeded

Preparation = Callable[[Tensor, torch.Generator], Tensor]


def make_preparation(data: ImageData, recipe: Recipe, *, device: torch.device | None = None) -> Preparation:
    """Return what a recipe makes of a batch: uint8 (batch, channels, height, width) and a generator -> float32.

    Args:
        data: its augmentation and statistics.
        recipe: how.
        device: where batches are, the CPU by default. On others nothing is copied from the host, and normalising is
            one multiplication and addition, which differs from the CPU's three operations by rounding.

    Raises:
        InvalidInputError: a policy for images that are neither grey nor of three colours.
    """
    device = device or torch.device("cpu")
    changes: list[Preparation] = []
    if recipe.augment:
        changes.append(data.augmentation.apply)
    if recipe.policy != "none":
        changes.append(_policy(recipe.policy, channels=data.input_shape[0]))
    if recipe.colour_noise:
        changes.append(_colour_noise(data, recipe.colour_noise))
    if recipe.cutout:
        fill = torch.tensor([255 * mean for mean in data.mean], dtype=torch.float64, device=device)
        changes.append(lambda images, generator: cut_out(images, generator, size=recipe.cutout, fill=fill))

    normalise = _normalisation(data, device)

    def prepare(images: Tensor, generator: torch.Generator) -> Tensor:
        for change in changes:
            images = change(images, generator)
        return normalise(images)

    return prepare


def _normalisation(data: ImageData, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return what makes bytes float32 in channels_last, of mean 0 and deviation 1 over the training images."""
    if device.type == "cpu":
        return lambda images: data.normalise(images).contiguous(memory_format=torch.channels_last)
    return fused_normalisation(data, device)


def fused_normalisation(data: ImageData, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return `ImageData.normalise` as one operation, x / 255 / std - mean / std, on bytes laid out beforehand."""
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (data.mean, data.std))
    scale = (1 / (255 * std)).to(device, torch.float32)
    shift = (-mean / std).to(device, torch.float32)
    return lambda images: torch.addcmul(shift, images.contiguous(memory_format=torch.channels_last), scale)


def _colour_noise(data: ImageData, std: float) -> Preparation:
    from nas.parts.colour_noise import ColourComponents, add_colour_noise  # comes with torchvision

    components = ColourComponents.of(data.train.images)
    return lambda images, generator: add_colour_noise(images, components, generator, std=std)


def _policy(name: Policy, *, channels: int) -> Preparation:
    """Return a policy that is drawn for every image; torchvision's draw from the global generator, seeded here."""
    if channels not in (1, 3):
        raise InvalidInputError(f"policy {name!r} needs grey or colour images, got {channels} channels: use 'none'.")
    transform = _transform(name)

    def apply(images: Tensor, generator: torch.Generator) -> Tensor:
        number = torch.randint(0, 2**62, (), generator=generator, device=generator.device)
        with seeded(int(number)):
            return torch.stack([transform(image) for image in images])

    return apply


@cache
def _transform(name: Policy) -> Callable[[Tensor], Tensor]:
    """Return AutoAugment (Cubuk 2019), RandAugment (Cubuk 2020) or TrivialAugment (Müller 2021) of torchvision."""
    from torchvision.transforms import v2

    made: dict[Policy, Callable[[], Callable[[Tensor], Tensor]]] = {
        "autoaugment": lambda: v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET),
        "autoaugment-cifar": lambda: v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
        "randaugment": v2.RandAugment,
        "trivialaugment": v2.TrivialAugmentWide,
    }
    return made[name]()
