"""LeNet-5 as published."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from nas.baselines import Sizes
from nas.baselines.lenet import CONNECTIONS, RadialBasisOutput, ScaledTanh, Subsampling, c3, lenet


def test_table_of_connections() -> None:
    """Table I: 60 of the 96 links; six maps read 3, nine read 4, one reads all; no two read the same."""
    assert Counter(map(len, CONNECTIONS)) == {3: 6, 4: 9, 6: 1}
    assert len(set(CONNECTIONS)) == 16
    assert Counter(source for sources in CONNECTIONS for source in sources) == dict.fromkeys(range(6), 10)


@pytest.mark.parametrize(
    ("layer", "params"), [("C1", 156), ("S2", 12), ("C3", 1516), ("S4", 32), ("C5", 48120), ("F6", 10164)]
)
def test_parameters_by_layer(layer: str, params: int) -> None:
    """Section II-B names the trainable parameters of each layer."""
    layers = [m for m in lenet(Sizes(32, 1, 10)) if not isinstance(m, ScaledTanh | torch.nn.Flatten)]
    named = dict(zip(("C1", "S2", "C3", "S4", "C5", "F6"), layers, strict=False))
    assert sum(p.numel() for p in named[layer].parameters()) == params


def test_partial_convolution_is_a_masked_one() -> None:
    """C3 equals a full convolution whose missing links are zero."""
    partial = c3(padding=0)
    rows = [weight for branch in partial for weight in branch.conv.weight]
    weight = torch.zeros(16, 6, 5, 5)
    for row, sources, full in zip(rows, CONNECTIONS, weight, strict=True):
        full[list(sources)] = row.detach()
    bias = torch.cat([branch.conv.bias.detach() for branch in partial])
    images = torch.randn(2, 6, 14, 14)
    torch.testing.assert_close(partial(images), torch.nn.functional.conv2d(images, weight, bias), rtol=0, atol=1e-5)


def test_subsampling_scales_sums() -> None:
    """Equation in section II-B: the four inputs are added, multiplied by a coefficient, and a bias is added."""
    layer = Subsampling(1, 2)
    with torch.no_grad():
        layer.coefficient.fill_(3.0)
        layer.bias.fill_(0.5)
    assert layer(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).item() == 30.5


def test_output_is_minus_the_squared_distance() -> None:
    """Equation 7; a code itself is its own class, at distance zero, and codes are not trained."""
    output = RadialBasisOutput(10)
    units = torch.randn(4, 84)
    distances = (units[:, None] - output.codes).square().sum(dim=2)
    torch.testing.assert_close(output(units), -distances, rtol=1e-5, atol=1e-3)
    assert output(output.codes).argmax(dim=1).tolist() == list(range(10))
    assert output(output.codes).diagonal().tolist() == [0.0] * 10
    assert not list(output.parameters())


def test_squashing_keeps_plus_and_minus_one() -> None:
    """The paper chose 1.7159 and 2/3 so that f(1) = 1 and f(-1) = -1."""
    torch.testing.assert_close(ScaledTanh()(torch.tensor([1.0, -1.0])), torch.tensor([1.0, -1.0]), rtol=0, atol=1e-4)


def test_larger_images_are_read_at_all_positions() -> None:
    """On 36 pixels C5 gives 2 x 2 positions, as the paper says, and F6 reads all of them."""
    dense = [m for m in lenet(Sizes(36, 1, 10)) if isinstance(m, torch.nn.Linear)]
    assert dense[0].in_features == 120 * 2 * 2
