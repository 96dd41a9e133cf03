"""Residual networks with pre-activation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.preact_resnet import PreActivation, preact_basic, preact_bottleneck


def _without_branch(unit: nn.Module) -> nn.Module:
    """The same unit whose branch gives zeros."""
    assert isinstance(unit, PreActivation)
    nn.init.zeros_(unit.branch[-1].weight)
    return unit.eval()


@pytest.mark.parametrize("unit", [preact_basic, preact_bottleneck])
def test_identities_are_clean(unit: object) -> None:
    """Nothing acts on the shortcut where nothing changes: negative values pass (He 2016, Identity Mappings)."""
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(_without_branch(unit(8, 8, 1))(x), x)  # type: ignore[operator]


@pytest.mark.parametrize("unit", [preact_basic, preact_bottleneck])
def test_projections_see_the_activation(unit: object) -> None:
    """Where filters or sizes change, branch and projection share normalisation and ReLU: what is negative is lost."""
    made = _without_branch(unit(8, 16, 2))  # type: ignore[operator]
    assert not made(-torch.ones(2, 8, 4, 4)).any()


def test_the_first_shortcut_of_the_net_for_cifar_is_activated() -> None:
    network = find_baseline("preact-resnet-110").make(Sizes(32, classes=10, depth=0.1))
    first, second = network.stages[0][0], network.stages[0][1]
    assert not _without_branch(first)(-torch.ones(2, 16, 4, 4)).any()
    assert _without_branch(second)(-torch.ones(2, 16, 4, 4)).all()


@pytest.mark.parametrize(
    ("name", "layers"), [("preact-resnet-110", 110), ("preact-resnet-164", 164), ("resnet-200", 200)]
)
def test_layers_are_counted_as_in_the_paper(name: str, layers: int) -> None:
    """Convolutions in branches, the stem and the classifier."""
    with torch.device("meta"):
        network = find_baseline(name).make(Sizes(32))
    convolutions = sum(
        isinstance(m, nn.Conv2d) for unit in network.modules() if isinstance(unit, PreActivation) for m in unit.branch
    )
    assert convolutions + 2 == layers


def test_wide_resnet_is_table_1_of_its_paper() -> None:
    """Zagoruyko 2016, Table 1, k = 10: 16, 160, 320 and 640 filters; 28 layers with the three projections."""
    with torch.device("meta"):
        network = find_baseline("wide-resnet-28-10").make(Sizes(32, classes=10))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert sorted({c.out_channels for c in convolutions}) == [16, 160, 320, 640]
    assert len(convolutions) == 28
