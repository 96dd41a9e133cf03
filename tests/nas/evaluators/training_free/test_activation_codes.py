"""NASWOT against kernels written out by hand and bit by bit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.evaluators.training_free import Minibatch, UnscorableError

Score = Callable[..., float]


class Calls(nn.Module):
    """A convolution, then whatever is given."""

    def __init__(self, then: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.convolution = nn.Conv2d(3, 4, 3)
        self.then = then

    def forward(self, images: Tensor) -> Tensor:
        return self.then(self.convolution(images)).mean(dim=(2, 3))


def test_two_units_by_hand(score: Score) -> None:
    """Codes 11, 10 and 00 agree in K = [[2, 1, 0], [1, 2, 1], [0, 1, 2]] units, whose determinant is 4."""
    images = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]).reshape(3, 2, 1, 1)
    network = nn.Sequential(nn.Flatten(), nn.ReLU())
    assert score("naswot", network, Minibatch(images, torch.zeros(3).long())) == pytest.approx(math.log(4))


def test_equals_the_kernel_counted_bit_by_bit(score: Score, batch: Minibatch) -> None:
    """Two layers with batch normalisation on the minibatch's statistics; codes are compared as Python lists."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 9), nn.ReLU())
    x = network[0](batch.images)
    x = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    y = network[4](x.relu().flatten(1))
    codes = torch.cat([x.flatten(1) > 0, y > 0], dim=1).tolist()
    kernel = [[sum(a == b for a, b in zip(left, right, strict=True)) for right in codes] for left in codes]
    assert score("naswot", network, batch) == pytest.approx(float(np.linalg.slogdet(kernel)[1]), rel=1e-9)


@pytest.mark.parametrize(
    "rectify",
    [
        nn.ReLU(inplace=True),
        nn.ReLU6(),
        functional.relu,
        functional.relu6,
        torch.relu,
        Tensor.relu,
        Tensor.relu_,
        lambda x: functional.relu(x, inplace=True),
        lambda x: functional.relu_(x),
    ],
)
def test_every_way_to_rectify_counts_alike(rectify: Callable[[Tensor], Tensor], score: Score, batch: Minibatch) -> None:
    assert score("naswot", Calls(rectify), batch) == score("naswot", Calls(nn.ReLU()), batch)


def test_module_that_runs_twice_counts_twice(score: Score, batch: Minibatch) -> None:
    """The second run sees the same codes: the kernel doubles, and each of 12 dimensions adds log 2."""
    relu = nn.ReLU(inplace=True)
    once, twice = (score("naswot", Calls(then), batch) for then in (relu, lambda x: relu(relu(x))))
    assert twice == pytest.approx(once + 12 * math.log(2))


def test_order_and_labels_of_the_images_do_not_matter(score: Score, batch: Minibatch) -> None:
    turned = Minibatch(batch.images.flip(0), torch.zeros(12).long())
    assert score("naswot", Calls(nn.ReLU()), turned) == pytest.approx(score("naswot", Calls(nn.ReLU()), batch))


def test_network_without_rectifiers_says_so(score: Score, batch: Minibatch) -> None:
    with pytest.raises(UnscorableError, match="rectified linear units, and none ran"):
        score("naswot", Calls(nn.Sequential(nn.SiLU(), nn.Hardtanh())), batch)


def test_equal_images_say_why_there_is_no_score(score: Score, batch: Minibatch) -> None:
    images = torch.cat([batch.images[:3], batch.images[:1]])
    with pytest.raises(UnscorableError, match="naswot score is -inf: two images have the same code"):
        score("naswot", Calls(nn.ReLU()), Minibatch(images, batch.labels[:4]))


def test_too_few_units_for_the_images_say_so(score: Score) -> None:
    """All sixteen codes of four bits differ, yet the kernel, a sum of five matrices of rank one, is singular."""
    bits = torch.tensor([[index >> bit & 1 for bit in range(4)] for index in range(16)])
    images = (2.0 * bits - 1).reshape(16, 1, 2, 2)
    with pytest.raises(UnscorableError, match="fewer units than images"):
        score("naswot", nn.Sequential(nn.ReLU(), nn.Flatten()), Minibatch(images, torch.zeros(16).long()))
