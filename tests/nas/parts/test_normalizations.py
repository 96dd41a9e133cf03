"""Normalisations against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.errors import UnknownNameError
from nas.parts.normalizations import (
    NORMALIZATIONS,
    WEIGHT_NORMALIZATIONS,
    local_response,
    make_normalization,
    normalize_weights,
)

# over which of (batch, groups, channels of a group, height, width) a mean is taken, with 4 groups
DIMENSIONS = {"batch": (0, 3, 4), "layer": (1, 2, 3, 4), "instance": (3, 4), "group": (2, 3, 4)}


def maps(channels: int) -> torch.Tensor:
    return torch.randn(3, channels, 5, 6, generator=torch.Generator().manual_seed(1)) * 3 + 2


@pytest.mark.parametrize("name", DIMENSIONS)
def test_every_normalisation_has_mean_0_and_variance_1_over_its_dimensions(name: str) -> None:
    """64 channels are 32 groups of 2."""
    found = make_normalization(name, 64)(maps(64)).unflatten(1, (32, 2))
    dimensions = DIMENSIONS[name]
    torch.testing.assert_close(found.mean(dimensions), torch.zeros_like(found.mean(dimensions)), atol=1e-5, rtol=0)
    variance = found.var(dimensions, correction=0)
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 24), (7, 7), (37, 1), (1, 1)])
def test_groups_are_the_most_that_divide_the_channels(channels: int, groups: int) -> None:
    found = make_normalization("group", channels)
    assert isinstance(found, nn.GroupNorm)
    assert found.num_groups == groups


def test_none_is_none_and_without_a_scale_nothing_is_learnt() -> None:
    x = maps(4)
    assert torch.equal(make_normalization("none", 4)(x), x)
    assert all(not list(make_normalization(name, 4, affine=False).parameters()) for name in NORMALIZATIONS)
    with pytest.raises(UnknownNameError, match="Did you mean 'batch'"):
        make_normalization("bach", 4)


def test_local_response_is_the_paper_s() -> None:
    """b_i = a_i / (2 + 1e-4 x sum of squares of the five nearest channels)^0.75."""
    a = maps(9) * 30
    expected = torch.empty_like(a)
    for i in range(9):
        squares = a[:, max(0, i - 2) : i + 3].square().sum(1)
        expected[:, i] = a[:, i] / (2 + 1e-4 * squares) ** 0.75
    torch.testing.assert_close(local_response()(a), expected)
    torch.testing.assert_close(make_normalization("local_response", 9)(a), expected)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 12, 5))


def test_weight_normalisation_keeps_the_function_and_takes_length_apart() -> None:
    plain, normalized = network().eval(), normalize_weights(network(), "weight").eval()
    x = maps(3)
    torch.testing.assert_close(normalized(x), plain(x))
    length = normalized[4].parametrizations.weight.original0
    torch.testing.assert_close(length.flatten(), plain[4].weight.norm(dim=1))


def test_spectral_normalisation_brings_the_largest_singular_value_to_1() -> None:
    normalized = normalize_weights(network(), "spectral")
    for _ in range(100):
        normalized(maps(3))
    for layer in (normalized[0], normalized[4]):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
    with pytest.raises(UnknownNameError, match="weight normalization"):
        normalize_weights(network(), "spectrum")


def test_attention_s_inner_layer_is_left() -> None:
    attention = nn.MultiheadAttention(4, 2)
    normalize_weights(nn.Sequential(attention), "weight")
    x = torch.zeros(3, 1, 4)
    assert attention(x, x, x)[0].shape == (3, 1, 4)


@pytest.mark.parametrize("name", WEIGHT_NORMALIZATIONS)
def test_layers_that_begin_at_zero_stay_finite_and_learn(name: str) -> None:
    """A vision transformer's classifier does; zero has no direction, and no multiple of it the singular value 1."""
    torch.manual_seed(0)
    layer = nn.Linear(5, 3, bias=False)
    nn.init.zeros_(layer.weight)
    normalize_weights(layer, name)
    x = torch.randn(4, 5)
    if name == "weight":
        assert torch.equal(layer(x), torch.zeros(4, 3))
    layer(x).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
    assert any(p.grad.abs().max() > 0 for p in layer.parameters() if p.grad is not None)


def test_a_row_of_zeros_keeps_the_others_as_they_are() -> None:
    layer, x = nn.Linear(5, 3), torch.randn(4, 5)
    nn.init.zeros_(layer.weight[1])
    before = layer(x)
    torch.testing.assert_close(normalize_weights(layer, "weight")(x), before)
