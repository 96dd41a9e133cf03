"""Gradient scores against back-propagation written out, and the Jacobian's against eigenvalues known by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from nas.evaluators.training_free import Minibatch, UnscorableError

Score = Callable[..., float]
Array = npt.NDArray[np.float64]
K = 1e-5


class Function(nn.Module):
    """A function of the images as a network."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


def two_layers() -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    return nn.Linear(108, 6), nn.Linear(6, 4)


def errors(logits: Array, labels: Tensor) -> Array:
    """Return the mean cross-entropy's derivative by the logits: (softmax - one-hot) / batch."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True) - np.eye(4)[labels.numpy()]) / len(labels)


def written_out(batch: Minibatch) -> list[tuple[Array, Array]]:
    """Return (weights, gradient) of both layers of linear, ReLU, linear."""
    first, second = two_layers()
    (w1, b1), (w2, b2) = (
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()) for layer in (first, second)
    )
    x = batch.images.flatten(1).double().numpy()
    hidden = x @ w1.T + b1
    active = np.maximum(hidden, 0)
    delta = errors(active @ w2.T + b2, batch.labels)
    return [(w1, ((delta @ w2) * (hidden > 0)).T @ x), (w2, delta.T @ active)]


def network() -> nn.Module:
    first, second = two_layers()
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(inplace=True), second)


def test_grad_norm_of_softmax_regression(score: Score, batch: Minibatch) -> None:
    """From weights of zero every class has probability 1/4."""
    layer = nn.Linear(108, 4)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    gradient = (0.25 - np.eye(4)[batch.labels.numpy()]).T @ batch.images.flatten(1).double().numpy() / 12
    found = score("grad_norm", nn.Sequential(nn.Flatten(), layer), batch)
    assert found == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


def test_grad_norm_adds_the_layers_norms(score: Score, batch: Minibatch) -> None:
    expected = sum(np.linalg.norm(gradient) for _, gradient in written_out(batch))
    assert score("grad_norm", network(), batch) == pytest.approx(expected, rel=1e-5)


def test_snip_adds_weights_times_gradients(score: Score, batch: Minibatch) -> None:
    expected = sum(np.abs(weights * gradient).sum() for weights, gradient in written_out(batch))
    assert score("snip", network(), batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["grad_norm", "snip"])
def test_module_that_runs_twice_has_one_gradient(name: str, score: Score, batch: Minibatch) -> None:
    """Of logits w (w x) with one weight w and one pixel x: dL/dw by numerical differentiation."""

    class Twice(nn.Module):
        def __init__(self, weight: float) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.constant_(self.layer.weight, weight)

        def forward(self, images: Tensor) -> Tensor:
            x = self.layer(self.layer(images)).flatten(1)
            return torch.cat([x, torch.zeros_like(x)], dim=1)

    pixels = Minibatch(torch.tensor([1.0, -2.0]).reshape(2, 1, 1, 1), torch.tensor([0, 1]))

    def loss(w: float) -> float:
        return (math.log1p(math.exp(-w * w)) + math.log1p(math.exp(-2 * w * w))) / 2

    slope = (loss(0.7 + 1e-5) - loss(0.7 - 1e-5)) / 2e-5
    expected = abs(slope) * (0.7 if name == "snip" else 1.0)
    assert score(name, Twice(0.7), pixels) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["grad_norm", "snip", "jacov"])
def test_order_of_the_images_does_not_matter(name: str, score: Score, batch: Minibatch) -> None:
    torch.manual_seed(0)
    convolutional = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))
    turned = Minibatch(batch.images.flip(0), batch.labels.flip(0))
    assert score(name, convolutional, turned) == pytest.approx(score(name, convolutional, batch), rel=1e-4)


@pytest.mark.parametrize("name", ["grad_norm", "snip", "jacov"])
def test_dropout_is_off(name: str, score: Score, batch: Minibatch) -> None:
    dropping = nn.Sequential(nn.Dropout(0.9), network(), nn.Dropout(0.9))
    assert score(name, dropping, batch) == score(name, network(), batch)


def test_weights_without_influence_count_nothing(score: Score, batch: Minibatch) -> None:
    """A layer that the loss does not reach has no gradient at all, not one of zeros."""
    idle = network()
    idle.add_module("idle", nn.Identity())
    idle.idle.register_parameter("weight", nn.Parameter(torch.ones(3, 3)))
    assert score("grad_norm", idle, batch) == score("grad_norm", network(), batch)


def test_jacov_of_a_linear_network(score: Score, batch: Minibatch) -> None:
    """All 12 Jacobians are one: the correlations are 1, the eigenvalues 12 and eleven zeros.

    Rounding of the zeros, some 1e-15, is felt through 1 / (v + k): 11 x 1e-15 / k^2 = 1e-4, of 1.1 million.
    """
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(108, 4))
    expected = -(math.log(12 + K) + 1 / (12 + K)) - 11 * (math.log(K) + 1 / K)
    assert score("jacov", linear, batch) == pytest.approx(expected, rel=1e-8)


def test_jacov_of_unrelated_jacobians(score: Score) -> None:
    """Of half the sum of squares the Jacobian is the image; these two are uncorrelated, both eigenvalues are 1."""
    images = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]).reshape(2, 1, 2, 2)
    squares = Function(lambda x: x.flatten(1).square() / 2)
    found = score("jacov", squares, Minibatch(images, torch.zeros(2).long()))
    assert found == pytest.approx(-2 * (math.log(1 + K) + 1 / (1 + K)))


def test_jacov_takes_a_network_that_begins_in_place(score: Score, batch: Minibatch) -> None:
    begins = nn.Sequential(nn.ReLU(inplace=True), network())
    assert score("jacov", begins, batch) == score("jacov", nn.Sequential(nn.ReLU(), network()), batch)


def test_jacov_of_a_constant_jacobian_says_so(score: Score, batch: Minibatch) -> None:
    with pytest.raises(UnscorableError, match="jacov score is nan"):
        score("jacov", Function(lambda x: x.flatten(1).sum(1, keepdim=True)), batch)


@pytest.mark.parametrize("name", ["grad_norm", "snip"])
def test_network_without_weights_says_so(name: str, score: Score, batch: Minibatch) -> None:
    with pytest.raises(UnscorableError, match="no trainable weights"):
        score(name, nn.Flatten(), batch)
