"""Activations by name, and maxout."""

from __future__ import annotations

import math

import pytest
import torch

from nas.errors import InvalidInputError, UnknownNameError
from nas.parts.activations import ACTIVATIONS, Maxout, MaxoutActivation, make_activation

FORMULAS = {
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "prelu": lambda x: x if x > 0 else 0.25 * x,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "hardswish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "tanh": math.tanh,
    "maxout": lambda x: max(x, 0.0),  # as it begins
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_its_formula_and_leaves_its_input(name: str) -> None:
    x = torch.linspace(-8, 8, 33)[:, None]
    before = x.clone()
    found = make_activation(name)(x)
    expected = [FORMULAS[name](value) for value in before.flatten().tolist()]
    assert found.flatten().tolist() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(x, before)


def test_unknown_activations_are_listed() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown activation 'rely'. Did you mean 'relu'\? Known: elu"):
        make_activation("rely")


def test_maxout_is_the_largest_of_neighbouring_channels() -> None:
    x = torch.randn(2, 6, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([torch.maximum(x[:, i], x[:, i + 1]) for i in (0, 2, 4)], dim=1)
    assert torch.equal(Maxout()(x), expected)
    assert Maxout(3)(x[:, :, 0, 0]).shape == (2, 2)
    with pytest.raises(InvalidInputError, match="multiple"):
        Maxout(4)(x)
    with pytest.raises(InvalidInputError, match="pieces=0"):
        Maxout(0)


@pytest.mark.parametrize(("dim", "shape"), [(1, (2, 3)), (1, (2, 3, 4, 5)), (-1, (2, 7, 3)), (-1, (2, 4, 5, 3))])
def test_maxout_as_an_activation_is_the_largest_affine_function_of_each_channel(dim: int, shape: tuple[int]) -> None:
    torch.manual_seed(0)
    module, x = MaxoutActivation(3, pieces=4, positions=0 if dim < 0 else len(shape) - 2), torch.randn(shape)
    module.slopes.data.normal_()
    module.intercepts.data.normal_()
    found = module(x)
    for channel in range(3):
        values = x.select(dim, channel)
        lines = zip(module.slopes[:, channel], module.intercepts[:, channel], strict=True)
        expected = torch.stack([values * a + b for a, b in lines]).amax(0)
        torch.testing.assert_close(found.select(dim, channel), expected)


def test_maxout_as_an_activation_can_be_a_ramp_an_absolute_value_and_learns() -> None:
    """Goodfellow 2013, figure 1."""
    module, x = MaxoutActivation(), torch.linspace(-2, 2, 9)[:, None]
    assert torch.equal(module(x), x.relu())
    module.slopes.data = torch.tensor([[1.0], [-1.0]])
    result = module(x)
    assert torch.equal(result, x.abs())
    result += 1  # as residual blocks do
    result.sum().backward()
    assert module.slopes.grad is not None
    assert module.slopes.grad.flatten().tolist() == [5.0, -5.0]
