"""The Zen-score of a convolution, whose expectation is known, and what must not change it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nas.evaluators.training_free import Minibatch, UnscorableError

Score = Callable[..., float]
WIDE = Minibatch(torch.zeros(8, 64, 16, 16), torch.zeros(8).long())


def pointwise(*after: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(64, 64, 1), *after)


class Beside(nn.Module):
    """A convolution, and beside it a normalisation of what a function makes of its result."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.convolution = pointwise()
        self.normalisation = nn.BatchNorm2d(64)
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        x = self.convolution(images)
        return x + self.normalisation(self.function(x))  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", range(5))
def test_one_convolution_has_the_expected_score(seed: int, score: Score) -> None:
    """A step e moves a pixel by 0.01 W e: E|.|^2 = 0.01^2 x 64 x 64 for each of 256 pixels, so log 10.24.

    |W|^2 has 4096 degrees of freedom, a relative deviation of sqrt(2 / 4096) = 0.022; an image's |W e|^2 given W
    has 0.016, 0.006 for the mean of eight. The score, half the logarithm, deviates by 0.0115; five of those,
    with five seeds, alarm falsely 3 times in a million.
    """
    assert score("zen", pointwise(), WIDE, seed=seed) == pytest.approx(math.log(10.24), abs=5 * 0.0115)


def test_normalisation_takes_nothing_away(score: Score) -> None:
    """Without the compensation, dividing by sigma = 8 would cost log 8 = 2.1."""
    plain, normalised = (score("zen", pointwise(*after), WIDE) for after in ((), (nn.BatchNorm2d(64),)))
    assert normalised == pytest.approx(plain, abs=0.01)


def test_every_normalisation_adds_its_scale(score: Score) -> None:
    """The first sigma is 8. Behind it a step is 0.01 of the scale, and the rectifier passes half of it.

    So E|.|^2 = 0.01^2 x 64 x 64 x 256 / 2 behind the second convolution, and its normalisation changes nothing. Ten
    per cent cover two matrices' deviations, 0.0115 each, and that sigma belongs to all channels together.
    """
    once = pointwise(nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 64, 1))
    twice = pointwise(nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.BatchNorm2d(64))
    expected = math.log(0.01 * math.sqrt(64 * 64 * 256 / 2)) + math.log(8)
    assert score("zen", once, WIDE) == pytest.approx(expected, abs=0.1)
    assert score("zen", twice, WIDE) == pytest.approx(score("zen", once, WIDE), abs=0.1)


def test_neither_images_nor_labels_nor_weights_matter(score: Score) -> None:
    """It draws its own; only the generator decides."""
    network = pointwise(nn.BatchNorm2d(64), nn.ReLU())
    before = score("zen", network, WIDE)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(7.0)
    network(torch.randn(8, 64, 16, 16))
    assert score("zen", network, Minibatch(WIDE.images + 5, WIDE.labels + 1)) == before
    assert score("zen", network, WIDE, seed=1) != before


def test_global_average_and_classifier_are_not_looked_at(score: Score) -> None:
    """The classifier's weights are drawn before the inputs: other draws, so the expectation is what it shares."""
    pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert score("zen", pointwise(*pool), WIDE) == score("zen", pointwise(), WIDE)
    classified = score("zen", pointwise(*pool, nn.Linear(64, 10)), WIDE)
    assert classified == pytest.approx(math.log(10.24), abs=5 * 0.0115)


def test_normalisation_of_a_constant_adds_nothing(score: Score) -> None:
    assert score("zen", Beside(torch.zeros_like), WIDE) == score("zen", pointwise(), WIDE)


def test_features_that_do_not_move_say_so(score: Score) -> None:
    class Constant(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.zeros_like(images)

    with pytest.raises(UnscorableError, match="zen score is -inf"):
        score("zen", Constant(), WIDE)


def test_network_without_feature_maps_says_so(score: Score, batch: Minibatch) -> None:
    with pytest.raises(UnscorableError, match="compares feature maps"):
        score("zen", nn.Sequential(nn.Flatten(), nn.Linear(108, 4)), batch)
