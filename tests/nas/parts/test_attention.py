"""Attention modules against their equations."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from nas.parts.attention import ATTENTIONS, CBAM, squeeze_excitation


def test_cbam_is_equations_2_and_3() -> None:
    torch.manual_seed(0)
    module, x = CBAM(32), torch.randn(2, 32, 9, 8)
    (first, _, second), spatial = module[0].perceptron, module[1].convolution
    assert first.weight.shape == (2, 32)

    def perceptron(v: torch.Tensor) -> torch.Tensor:
        hidden = functional.relu(v @ first.weight.T + first.bias)
        return hidden @ second.weight.T + second.bias

    average, largest = x.mean((2, 3)), x.flatten(2).max(2).values
    scaled = x * torch.sigmoid(perceptron(average) + perceptron(largest))[:, :, None, None]
    described = torch.cat([scaled.mean(1, keepdim=True), scaled.max(1, keepdim=True).values], 1)
    expected = scaled * torch.sigmoid(functional.conv2d(described, spatial.weight, padding=3))
    torch.testing.assert_close(module(x), expected)


def test_squeeze_and_excitation_has_the_paper_s_weights() -> None:
    """2 C^2 / r weights a block (Hu 2018, eq. 5), and biases."""
    assert sum(p.numel() for p in squeeze_excitation(64).parameters()) == 2 * 64 * 64 // 16 + 64 // 16 + 64


@pytest.mark.parametrize("name", ATTENTIONS)
@pytest.mark.parametrize("channels", [3, 32])
def test_attention_keeps_shapes_and_gates_below_one(name: str, channels: int) -> None:
    x = torch.rand(2, channels, 5, 5)
    found = ATTENTIONS[name](channels)(x)
    assert found.shape == x.shape
    assert (found < x).all()
