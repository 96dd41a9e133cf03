"""Means of probabilities: ten crops and ensembles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas.errors import InvalidInputError
from nas.parts.prediction import Ensemble, predict_ten_crops


def test_ten_crops_are_corners_centre_and_mirrored() -> None:
    """The mean of the softmax over the ten, cut by hand."""
    torch.manual_seed(0)
    network, images = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 5)), torch.randn(2, 3, 7, 8)
    corners = [(0, 0), (0, 4), (3, 0), (3, 4), (2, 2)]
    crops = [images[:, :, y : y + 4, x : x + 4] for y, x in corners]
    crops += [crop.flip(3) for crop in crops]
    expected = torch.stack([network(crop).softmax(1) for crop in crops]).mean(0)
    torch.testing.assert_close(predict_ten_crops(network, images, 4).exp(), expected)


def test_crops_of_a_symmetric_network_are_one() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.rand(2, 5, 1, 1).expand(2, 5, 8, 8)
    torch.testing.assert_close(predict_ten_crops(network, images, 6), network(images).log_softmax(1))


def test_crops_larger_than_the_images_are_refused() -> None:
    for crop in (0, 9):
        with pytest.raises(InvalidInputError, match=f"crop of {crop} pixels"):
            predict_ten_crops(nn.Flatten(), torch.zeros(1, 3, 8, 9), crop)


class Constant(nn.Module):
    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images: Tensor) -> Tensor:
        return self.logits.expand(len(images), -1)


def test_an_ensemble_is_the_mean_of_probabilities() -> None:
    first, second = Constant(0.0, 100.0, 0.0), Constant(1.0, 1.0, -99.0)
    found = Ensemble([first, second])(torch.zeros(4, 1)).softmax(1)
    assert found.tolist() == [pytest.approx([0.25, 0.75, 0.0], abs=1e-6)] * 4


def test_an_ensemble_of_one_is_that_one_and_trains() -> None:
    network = Constant(1.0, 2.0)
    ensemble = Ensemble([network])
    logits = ensemble(torch.zeros(1, 1))
    torch.testing.assert_close(logits, network.logits.log_softmax(0)[None])
    logits[0, 0].backward()
    assert network.logits.grad is not None
    assert len(list(ensemble.parameters())) == 1


def test_an_ensemble_of_none_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one network"):
        Ensemble([])
