"""Accuracy by one view of an image, by two, and by ten crops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import nas
from nas.data import Augmentation, ImageData, Split
from nas.training import measuring
from nas.training.measuring import accuracy_of, border_of, evaluation_batch, measure_accuracy, predict

SIZE = 16


def images(count: int, *, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    return Split(pixels, torch.randint(0, 5, (count,), generator=generator))


def make_data(**augmentation: Any) -> ImageData:
    names = tuple("abcde")
    return ImageData(
        "d", images(9, seed=0), images(8, seed=1), images(300, seed=2), names, Augmentation(**augmentation)
    )


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 5))


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_ten_crops_are_shifts_by_the_training_crops_border(network: nn.Module, padding: str) -> None:
    """The mean of the softmax over four corners, the middle, and their mirror images, cut by hand."""
    data = make_data(crop_padding=3, padding=padding)
    prepared = data.normalise(data.test.images)
    if padding == "zeros":
        black = data.normalise(torch.zeros(1, 3, SIZE + 6, SIZE + 6, dtype=torch.uint8))
        padded = black.repeat(300, 1, 1, 1)
        padded[:, :, 3:-3, 3:-3] = prepared
    else:
        padded = functional.pad(prepared, (3, 3, 3, 3), mode="reflect")
    corners = [(0, 0), (0, 6), (6, 0), (6, 6), (3, 3)]
    crops = [padded[:, :, y : y + SIZE, x : x + SIZE] for y, x in corners]
    crops += [crop.flip(3) for crop in crops]
    with torch.no_grad():
        expected = torch.stack([network(crop).softmax(1) for crop in crops]).mean(0)
    found = predict(network, data, data.test, crops=10)
    torch.testing.assert_close(found.exp(), expected)
    measured = measure_accuracy(network, data, data.test, crops=10)
    assert measured.correct == int((expected.argmax(1) == data.test.labels).sum())
    assert measured.loss == pytest.approx(functional.nll_loss(expected.log(), data.test.labels).item(), rel=1e-5)


def test_the_border_is_an_eighth_where_training_crops_have_none() -> None:
    assert border_of(make_data(crop_padding=3)) == 3
    assert border_of(make_data()) == 2
    tiny = Split(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1]))
    assert border_of(ImageData("t", tiny, tiny, tiny, ("a", "b"))) == 1


def test_one_view_and_two(network: nn.Module) -> None:
    data = make_data()
    prepared = data.normalise(data.test.images)
    with torch.no_grad():
        one = network(prepared)
        two = (one + network(prepared.flip(3))) / 2
    torch.testing.assert_close(predict(network, data, data.test), one)
    torch.testing.assert_close(predict(network, data, data.test, mirrored=True), two)
    for logits, mirrored in ((one, False), (two, True)):
        measured = measure_accuracy(network, data, data.test, mirrored=mirrored)
        assert accuracy_of(logits, data.test.labels).correct == measured.correct
        assert accuracy_of(logits, data.test.labels).loss == pytest.approx(measured.loss, rel=1e-5)


def test_a_network_that_ignores_position_sees_one_image_in_a_plain_one() -> None:
    """Black pictures have a black border: ten crops are ten times the same."""
    network = nn.Sequential(nn.Conv2d(3, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    data = make_data()
    black = Split(torch.zeros(4, 3, SIZE, SIZE, dtype=torch.uint8), torch.tensor([0, 1, 2, 3]))
    data = replace(data, test_split=black)
    found = predict(network, data, data.test, crops=10)
    torch.testing.assert_close(found, predict(network, data, data.test).log_softmax(1))


@pytest.mark.parametrize(
    ("shape", "device", "expected"),
    [
        ((1, 8, 8), "cpu", 256),
        ((1, 28, 28), "cpu", 41),
        ((3, 32, 32), "cpu", 32),
        ((3, 224, 224), "cpu", 8),
        ((3, 224, 224), "cuda", 256),
    ],
)
def test_on_a_cpu_images_are_looked_at_as_they_suit_its_cache(
    shape: tuple[int, ...], device: str, expected: int
) -> None:
    assert evaluation_batch(shape, device) == expected
    assert evaluation_batch(torch.zeros(2, *shape), device) == expected


def test_logits_do_not_depend_on_how_many_images_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (70, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = Split(images, torch.arange(70) % 10)
    data = ImageData("noise", split, split, None, tuple(map(str, range(10))))
    network = nas.build("nasnet-a-mobile", classes=10, input_shape=(3, 32, 32), depth=1, width=8)
    predicted = predict(network, data, split)
    monkeypatch.setattr(measuring, "EVALUATION_PIXELS", 2**20)
    assert evaluation_batch(images, "cpu") == 256
    torch.testing.assert_close(predict(network, data, split), predicted, rtol=1e-5, atol=1e-5)
