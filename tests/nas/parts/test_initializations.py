"""Initialisations against their variances."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from nas.errors import InvalidInputError, UnknownNameError
from nas.parts.initializations import INITIALIZATIONS, initialize


def deep() -> nn.Sequential:
    """Eight layers whose activations fade with torch's own weights."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1), nn.ReLU()]
    for _ in range(6):
        layers += [nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(256, 10))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("name", "variance"), [("he", 2 / (64 * 9)), ("xavier", 2 / (64 * 9 + 64 * 9)), ("orthogonal", 1 / (64 * 9))]
)
def test_weights_have_the_variance_of_the_formula(name: str, variance: float) -> None:
    """36,864 weights: a standard deviation of the variance is 0.7 %, five are 4 %."""
    network = initialize(deep(), name, generator=generator())
    assert network[2].weight.var().item() == pytest.approx(variance, rel=0.04)
    assert all(not layer.bias.any() for layer in network if isinstance(layer, nn.Conv2d))


def test_orthogonal_filters_are_orthonormal() -> None:
    rows = initialize(deep(), "orthogonal", generator=generator())[2].weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(64), atol=1e-5, rtol=0)


def test_lsuv_gives_every_layer_variance_1() -> None:
    sample = torch.randn(8, 3, 8, 8, generator=generator()) * 5 + 3
    network = initialize(deep(), "lsuv", sample=sample, generator=generator())
    outputs: list[Tensor] = []
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    network.eval()(sample)
    assert [output.var().item() for output in outputs] == pytest.approx([1] * 8, abs=0.1)
    before = initialize(deep(), "orthogonal", generator=generator()).eval()(sample)
    assert before.var() < 0.1 or before.var() > 10  # the test would pass without scaling otherwise


def test_lsuv_leaves_mode_hooks_statistics_and_constant_outputs() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout()).train()
    initialize(network, "lsuv", sample=torch.zeros(2, 3, 4, 4), generator=generator())
    assert network[0].weight.isfinite().all()
    assert all(module.training and not module._forward_hooks for module in network.modules())
    assert network[1].num_batches_tracked == 0


def test_lsuv_scales_a_shared_layer_once() -> None:
    layer = nn.Linear(6, 6)
    sample = torch.randn(500, 6, generator=generator()) * 3
    initialize(nn.Sequential(layer, layer), "lsuv", sample=sample, generator=generator())
    assert layer(sample).var().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_the_generator_decides(name: str) -> None:
    sample = torch.randn(4, 3, 8, 8, generator=generator())
    before = torch.get_rng_state()
    first, same, other = (deep() for _ in range(3))
    torch.set_rng_state(before)
    for network, seed in ((first, 1), (same, 1), (other, 2)):
        initialize(network, name, sample=sample, generator=generator(seed))
    assert torch.equal(first[4].weight, same[4].weight)
    assert not torch.equal(first[4].weight, other[4].weight)
    assert torch.equal(before, torch.get_rng_state())


def test_what_cannot_be_initialised_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Known: he, lsuv, orthogonal, xavier"):
        initialize(deep(), "hee")
    with pytest.raises(InvalidInputError, match="give a sample"):
        initialize(deep(), "lsuv")
    computed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)))
    with pytest.raises(InvalidInputError, match="weight of 0 is computed"):
        initialize(computed, "he")
    assert math.isfinite(computed[0].weight.sum().item())
