"""SynFlow against the product of absolute weights that it is for a chain."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from nas.evaluators.training_free import Minibatch, UnscorableError

Score = Callable[..., float]


def chain(*sizes: int) -> list[nn.Linear]:
    """Linear layers without biases, signs mixed."""
    torch.manual_seed(0)
    return [nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)]


def flow(layers: list[nn.Linear]) -> float:
    """Return R = 1' |W_L| ... |W_1| 1."""
    x = torch.ones(layers[0].in_features, dtype=torch.float64)
    for layer in layers:
        x = layer.weight.detach().double().abs() @ x
    return float(x.sum())


@pytest.mark.parametrize("between", [nn.Identity, nn.ReLU, lambda: nn.ReLU(inplace=True)])
def test_chain_of_layers_gives_the_product(between: Callable[[], nn.Module], score: Score, batch: Minibatch) -> None:
    """Each of the three layers' saliencies add up to R; rectifiers pass what is positive."""
    a, b, c = chain(108, 7, 5, 4)
    network = nn.Sequential(nn.Flatten(), a, between(), b, between(), c)
    assert score("synflow", network, batch) == pytest.approx(math.log(3 * flow([a, b, c])), rel=1e-12)


def test_convolution_counts_its_taps(score: Score, batch: Minibatch) -> None:
    """Over an image of ones without padding, each of 4 x 4 outputs sums all taps; normalisation divides by its eps."""
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 2, 3, bias=False)
    network = nn.Sequential(convolution, nn.BatchNorm2d(2), nn.Flatten())
    taps = float(convolution.weight.detach().double().abs().sum())
    assert score("synflow", network, batch) == pytest.approx(math.log(16 * taps / math.sqrt(1 + 1e-5)), rel=1e-12)


def test_biases_flow_on_but_are_not_counted(score: Score, batch: Minibatch) -> None:
    """Layer 2's saliencies are |W2| (|W1| 1 + |b1|), layer 1's |W2| |W1| 1; no bias has any."""
    torch.manual_seed(0)
    first, second = nn.Linear(108, 5), nn.Linear(5, 4)
    w1, w2 = (layer.weight.detach().double().abs() for layer in (first, second))
    through = w1.sum(1)
    total = float((w2 @ through).sum() + (w2 @ (through + first.bias.detach().double().abs())).sum())
    network = nn.Sequential(nn.Flatten(), first, nn.ReLU(), second)
    assert score("synflow", network, batch) == pytest.approx(math.log(total), rel=1e-12)


def test_neither_images_nor_signs_nor_running_statistics_matter(score: Score, batch: Minibatch) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))
    before = score("synflow", network, batch)
    network(batch.images)
    with torch.no_grad():
        network[4].weight.neg_()
    other = Minibatch(batch.images * 100 - 7, torch.zeros(12).long())
    assert score("synflow", network, other) == before


def test_module_that_runs_twice_is_counted_through_both(score: Score, batch: Minibatch) -> None:
    """The logits are |W| |W| 1: the derivative of a weight has a part for each of its two places."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = chain(108, 108)[0]

        def forward(self, images: Tensor) -> Tensor:
            return self.layer(self.layer(images.flatten(1)))  # type: ignore[no-any-return]

    network = Twice()
    assert score("synflow", network, batch) == pytest.approx(math.log(2 * flow([network.layer] * 2)), rel=1e-12)


def deep(layers: int) -> nn.Module:
    """Each layer multiplies by 4 x 10^6."""
    first, *rest = chain(108, *[4] * layers)
    for layer in (first, *rest):
        nn.init.constant_(layer.weight, 1e6)
    return nn.Sequential(nn.Flatten(), first, *rest)


def test_deep_network_goes_beyond_single_precision(score: Score, batch: Minibatch) -> None:
    """R = 4 x 108 x 10^6 x (4 x 10^6)^39, about 1e266."""
    expected = math.log(40) + math.log(432e6) + 39 * math.log(4e6)
    assert score("synflow", deep(40), batch) == pytest.approx(expected, rel=1e-12)


def test_overflow_says_so(score: Score, batch: Minibatch) -> None:
    with pytest.raises(UnscorableError, match=r"synflow score is (inf|nan): .* numbers grew too large"):
        score("synflow", deep(60), batch)


def test_network_that_nothing_passes_says_so(score: Score, batch: Minibatch) -> None:
    (layer,) = chain(108, 4)
    nn.init.zeros_(layer.weight)
    with pytest.raises(UnscorableError, match=r"score is -inf: .* does not depend on what goes in"):
        score("synflow", nn.Sequential(nn.Flatten(), layer), batch)


def test_network_without_weights_says_so(score: Score, batch: Minibatch) -> None:
    with pytest.raises(UnscorableError, match="no trainable weights"):
        score("synflow", nn.Sequential(nn.ReLU(), nn.Flatten()), batch)
