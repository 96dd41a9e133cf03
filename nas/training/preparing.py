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


def make_preparation(data: ImageData, recipe: Recipe) -> Preparation:
    """Return what a recipe makes of a batch: uint8 (batch, channels, height, width) and a generator -> float32.

    Raises:
        InvalidInputError: a policy for images that are neither grey nor of three colours.
    """
    changes: list[Preparation] = []
    if recipe.augment:
        changes.append(data.augmentation.apply)
    if recipe.policy != "none":
        changes.append(_policy(recipe.policy, channels=data.input_shape[0]))
    if recipe.colour_noise:
        changes.append(_colour_noise(data, recipe.colour_noise))
    if recipe.cutout:
        fill = [255 * mean for mean in data.mean]
        changes.append(lambda images, generator: cut_out(images, generator, size=recipe.cutout, fill=fill))

    def prepare(images: Tensor, generator: torch.Generator) -> Tensor:
        for change in changes:
            images = change(images, generator)
        return data.normalise(images).contiguous(memory_format=torch.channels_last)

    return prepare


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
