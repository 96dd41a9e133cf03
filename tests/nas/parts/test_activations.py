"""Activations by name, and maxout."""

from __future__ import annotations

import math

import pytest
import torch

from nas.errors import InvalidInputError, UnknownNameError
from nas.parts.activations import ACTIVATIONS, Maxout, make_activation

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
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_its_formula_and_leaves_its_input(name: str) -> None:
    x = torch.linspace(-8, 8, 33)
    before = x.clone()
    found = make_activation(name)(x)
    assert found.tolist() == pytest.approx([FORMULAS[name](value) for value in before.tolist()], abs=1e-5)
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
