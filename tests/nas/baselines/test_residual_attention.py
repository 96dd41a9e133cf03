"""Residual attention networks: masks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.residual_attention import Attention, Hourglass


@pytest.mark.parametrize("side", [1, 2, 5, 7, 56])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_an_hourglass_keeps_the_size(side: int, levels: int) -> None:
    x = torch.randn(1, 2, side, side)
    assert Hourglass(nn.Identity, levels)(x).shape == x.shape


def test_an_hourglass_of_one_level_enlarges_the_pooled_image() -> None:
    """A constant stays; with skips at every further level it is added once a level."""
    x = torch.ones(1, 1, 8, 8)
    for levels in (1, 2, 3):
        torch.testing.assert_close(Hourglass(nn.Identity, levels)(x), x * levels)


def test_a_mask_scales_the_trunk_by_one_and_itself() -> None:
    """Wang 2017, eq. 3: where the mask's scores are 0 the trunk counts 1.5 times."""
    module = Attention(8, levels=2).eval()
    nn.init.zeros_(module.mask[-2].weight)
    x = torch.randn(1, 8, 8, 8)
    expected = module.last(1.5 * module.trunk(module.first(x)))
    torch.testing.assert_close(module(x), expected)


def test_stages_are_those_of_table_2() -> None:
    """Wang 2017, Table 2, Attention-92: 1, 2 and 3 modules, of 3, 2 and 1 levels; three units at the end."""
    with torch.device("meta"):
        network = find_baseline("residual-attention-92").make(Sizes(224))
    modules = [[m for m in stage if isinstance(m, Attention)] for stage in network.stages]
    assert [len(stage) for stage in modules] == [1, 2, 3, 0]
    levels = [sum(isinstance(m, Hourglass) for m in stage[0].modules()) for stage in modules[:3]]
    assert levels == [3, 2, 1]
    assert len(network.stages[3]) == 3
