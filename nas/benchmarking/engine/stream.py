"""Fixed streams of architectures to train: the same networks, images and recipe in every run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from controllers.trial import Trial
from nas.data import ImageData, load_data
from nas.data.augmentation import Augmentation
from nas.data.image_data import Split
from nas.training.recipe import Recipe, get_recipe
from search_spaces.architecture import Blueprint, Stem
from search_spaces.randomness import derive_generator, derive_torch_generator
from search_spaces.registry import get_space
from search_spaces.space import SearchSpace

NOISE = "noise"  # bytes drawn at random: speed does not depend on what is seen


@dataclass(frozen=True, slots=True)
class Stream:
    """Networks to train one after the other.

    Attributes:
        name: for the command line.
        space: where the architectures are drawn from.
        stem, depth, width: how they are built.
        data: the images' name, or `NOISE`.
        recipe: how each is trained.
        seed: of the architectures, their weights and batches.
    """

    name: str
    space: str
    stem: Stem
    depth: int
    width: int
    data: str
    recipe: Recipe
    seed: int = 0

    def load(self, root: Path | None = None) -> ImageData:
        """Return the images, without those to report on."""
        return _noise() if self.data == NOISE else load_data(self.data, root=root).for_search()

    def trials(self, count: int) -> list[Trial]:
        """Return the first trials of the stream."""
        space = get_space(self.space)
        return [Trial(i, space.sample(derive_generator(self.seed, i, "stream"))) for i in range(count)]

    def blueprint(self, trial: Trial, data: ImageData) -> Blueprint:
        """Return what is built for a trial."""
        channels, resolution, _ = data.input_shape
        return Blueprint(
            trial.architecture,
            resolution,
            channels=channels,
            classes=data.classes,
            stem=self.stem,
            depth=self.depth,
            width=self.width,
        )

    @property
    def search_space(self) -> SearchSpace:
        """The space itself."""
        return get_space(self.space)

    def with_epochs(self, epochs: int | None) -> Stream:
        """Return the stream with trainings of another length; None changes nothing."""
        return self if epochs is None else replace(self, recipe=replace(self.recipe, epochs=epochs))


STREAMS = {
    stream.name: stream
    for stream in (
        # What `make search` trains, on the images that come with it.
        Stream("tiny", "nasnet", "tiny", 1, 8, "digits", get_recipe("proxy")),
        # The proxy networks of Zoph 2018 (N = 2, F = 32) in batches of 128.
        Stream("cifar", "nasnet", "cifar", 2, 32, NOISE, replace(get_recipe("proxy"), epochs=1, batch_size=128)),
    )
}


def _noise(num_train: int = 5120, num_validation: int = 1280) -> ImageData:
    """Return images of CIFAR's size without any sense."""
    generator = derive_torch_generator(0, 0, "noise")

    def split(count: int) -> Split:
        images = torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
        return Split(images, torch.randint(0, 10, (count,), generator=generator))

    names = tuple(map(str, range(10)))
    changes = Augmentation(crop_padding=4, flip=True)
    return ImageData(NOISE, split(num_train), split(num_validation), None, names, augmentation=changes)
