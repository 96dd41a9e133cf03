"""Regularisers: nothing at rate 0, the mean in evaluation, and in training what the papers draw."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nas.errors import InvalidInputError
from nas.parts.regularizers import DropBlock, DropConnectLinear, StochasticPool2d, stochastic_depth


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_dropconnect_without_drops_and_in_evaluation_is_a_linear_layer() -> None:
    layer, x = DropConnectLinear(6, 4, p=0.5), torch.randn(3, 6)
    expected = nn.functional.linear(x, layer.weight, layer.bias)
    assert torch.equal(layer.eval()(x), expected)
    layer.p = 0.0
    assert torch.equal(layer.train()(x), expected)


def test_dropconnect_drops_weights_for_each_image_and_is_right_in_the_mean() -> None:
    """One weight of 1: kept half of the time, then doubled. 20,000 draws: five standard deviations are 0.036."""
    layer = DropConnectLinear(1, 1, bias=False, p=0.5)
    layer.weight.data.fill_(1)
    drawn = layer(torch.ones(20_000, 1))
    assert set(drawn.unique().tolist()) == {0.0, 2.0}
    assert drawn.mean().item() == pytest.approx(1, abs=0.036)


def test_dropconnect_draws_weights_apart_and_drops_biases() -> None:
    """The sum of 8 weights that are 0 or 2 takes more values than an input that is dropped whole."""
    layer = DropConnectLinear(8, 3, p=0.5)
    layer.weight.data.fill_(1)
    layer.bias.data.fill_(100)
    drawn = layer(torch.ones(2_000, 8))
    assert {0, 200} == {round(value / 100) * 100 for value in drawn.flatten().tolist()}
    assert len(set((drawn % 200).flatten().tolist())) > 6
    assert not torch.equal(drawn[:, 0], drawn[:, 1])


def test_dropconnect_learns() -> None:
    layer = DropConnectLinear(8, 3)
    layer(torch.randn(5, 8)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all()


def test_dropconnect_takes_rows_and_drops_the_same_weights_of_all_rows_of_an_image() -> None:
    layer = DropConnectLinear(6, 4, p=0.5)
    x = torch.randn(3, 1, 6).expand(3, 5, 6)
    drawn = layer(x)
    assert drawn.shape == (3, 5, 4)
    torch.testing.assert_close(drawn, drawn[:, :1].expand(3, 5, 4))
    maps = layer(torch.randn(2, 3, 5, 6))
    assert maps.shape == (2, 3, 5, 4)


def test_dropconnect_of_a_linear_layer_has_its_weights() -> None:
    linear = nn.Linear(6, 4, bias=False)
    layer, x = DropConnectLinear.of(linear, 0.5).eval(), torch.randn(3, 6)
    assert layer.weight is linear.weight
    assert layer.bias is None
    assert torch.equal(layer(x), linear(x))


def test_dropblock_drops_squares_and_keeps_the_sum() -> None:
    x = torch.ones(200, 1, 12, 12)
    dropped = DropBlock(0.1, 3)(x)
    zeros = dropped == 0
    assert 0.05 < zeros.float().mean() < 0.15
    assert dropped.mean().item() == pytest.approx(1, abs=1e-3)
    whole = zeros.float().unfold(2, 3, 1).unfold(3, 3, 1).amin((-1, -2))  # where a square of zeros begins
    covered = nn.functional.max_pool2d(nn.functional.pad(whole, (2, 2, 2, 2)), 3, 1)
    assert torch.equal(covered.bool(), zeros)  # each zero lies in a 3 x 3 square of zeros


def test_dropblock_leaves_evaluation_small_maps_and_what_is_no_map() -> None:
    block, x = DropBlock(0.5, 7), torch.ones(2, 3, 8, 8)
    assert torch.equal(block.eval()(x), x)
    block.train()
    assert torch.equal(block(x[:, :, :6]), x[:, :, :6])
    assert torch.equal(block(x[:, :, 0, 0]), x[:, :, 0, 0])


def test_stochastic_pooling_draws_in_proportion() -> None:
    """Values 1, 0, 3, -2: drawn 1/4, never, 3/4, never. 20,000 draws: five standard deviations are 0.016."""
    x = torch.tensor([[1.0, 0.0], [3.0, -2.0]]).expand(20_000, 1, 2, 2)
    drawn = StochasticPool2d(2)(x)
    assert drawn.shape == (20_000, 1, 1, 1)
    assert set(drawn.unique().tolist()) == {1.0, 3.0}
    assert (drawn == 3).float().mean().item() == pytest.approx(0.75, abs=0.016)


def test_stochastic_pooling_in_evaluation_is_the_weighted_mean() -> None:
    """(1 x 1 + 3 x 3) / 4; nothing where there is nothing."""
    x = torch.tensor([[1.0, 0.0, 0.0, -1.0], [3.0, -2.0, 0.0, 0.0]])[None, None]
    assert StochasticPool2d(2).eval()(x).flatten().tolist() == [2.5, 0.0]
    assert StochasticPool2d(2).train()(x)[0, 0, 0, 1].item() == 0


def test_stochastic_pooling_has_the_sizes_and_the_gradients_of_pooling() -> None:
    x = torch.rand(2, 3, 9, 7, requires_grad=True)
    pool = StochasticPool2d(3, 2)
    drawn = pool(x)
    assert drawn.shape == nn.MaxPool2d(3, 2)(x).shape
    drawn.sum().backward()
    assert x.grad is not None
    assert x.grad.sum().item() == drawn.numel()
    for part in (pool(x), pool.eval()(x)):
        assert (part <= nn.MaxPool2d(3, 2)(x)).all()


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1), (3, 1, 1), ((3, 2), (2, 1), (1, 0)), (5, 3, 2), (2, 3, 0)])
def test_stochastic_pooling_has_the_sizes_of_any_pooling(window: tuple[Any, Any, Any], ceil: bool) -> None:
    for size in range(6, 13):
        x = torch.rand(1, 2, size, size + 1)
        assert StochasticPool2d(*window, ceil=ceil)(x).shape == nn.MaxPool2d(*window, ceil_mode=ceil)(x).shape


def test_stochastic_pooling_never_draws_the_border() -> None:
    """All values are positive, so a zero would be one of the border's; the mean leaves it out as well."""
    pool, x = StochasticPool2d(3, 2, 1, ceil=True), torch.full((50, 2, 8, 8), 4.0)
    assert set(pool(x).unique().tolist()) == {4.0}
    assert set(pool.eval()(x).unique().tolist()) == {4.0}


def test_stochastic_depth_drops_whole_images() -> None:
    """1,000 images, half of them dropped, the others doubled: five standard deviations are 0.16."""
    x = torch.ones(1_000, 2, 3, 3)
    drawn = stochastic_depth(0.5)(x)
    assert all(len(image.unique()) == 1 for image in drawn)
    assert drawn.mean().item() == pytest.approx(1, abs=0.16)
    assert torch.equal(stochastic_depth(0.5).eval()(x), x)


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_rates_outside_their_range_are_refused(p: float) -> None:
    with pytest.raises(InvalidInputError, match="in \\[0, 1\\)"):
        DropBlock(p)
    with pytest.raises(InvalidInputError, match="in \\[0, 1\\)"):
        DropConnectLinear(2, 2, p=p)
