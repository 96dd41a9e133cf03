"""Which images the scores look at."""

from __future__ import annotations

import pytest
import torch

from nas.data.image_data import ImageData, Split
from nas.errors import InvalidInputError
from nas.evaluators.training_free import Minibatch, draw_minibatch


def data(images: torch.Tensor) -> ImageData:
    split = Split(images, torch.arange(len(images)) % 5)
    return ImageData("noise", split, split, None, tuple("abcde"))


def noise(count: int) -> ImageData:
    return data(torch.randint(256, (count, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8))


def test_images_are_normalised_training_images_with_their_labels() -> None:
    source = noise(30)
    batch = draw_minibatch(source, seed=0, size=8)
    everything = source.normalise(source.train.images)
    for image, label in zip(batch.images, batch.labels, strict=True):
        (index,) = (everything == image).flatten(1).all(1).nonzero().flatten().tolist()
        assert source.train.labels[index] == label


def test_seed_decides() -> None:
    first, again, other = (draw_minibatch(noise(30), seed=seed, size=8) for seed in (0, 0, 1))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


def test_64_images_or_all_there_are() -> None:
    assert [len(draw_minibatch(noise(count), seed=0)) for count in (10, 64, 200)] == [10, 64, 64]


def test_copies_of_an_image_are_drawn_once() -> None:
    three = noise(3).train.images
    batch = draw_minibatch(data(three.repeat(10, 1, 1, 1)), seed=0, size=8)
    assert len(batch) == 3
    assert len(batch.images.unique(dim=0)) == 3


@pytest.mark.parametrize(("images", "labels"), [((2, 1, 4, 4), 3), ((0, 1, 4, 4), 0), ((2, 4, 4), 2)])
def test_what_does_not_belong_together_is_refused(images: tuple[int, ...], labels: int) -> None:
    with pytest.raises(InvalidInputError, match="a label for each"):
        Minibatch(torch.zeros(images), torch.zeros(labels).long())
