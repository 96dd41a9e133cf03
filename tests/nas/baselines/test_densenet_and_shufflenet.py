"""DenseNet and ShuffleNet against what their papers say of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.densenet import BOTTLENECK, DenseLayer
from nas.baselines.shufflenet import FILTERS_V1, Shuffle, UnitV1, UnitV2


def test_a_dense_layer_keeps_what_it_reads_and_adds_its_growth() -> None:
    layer = DenseLayer(6, 4)
    images = torch.randn(2, 6, 5, 5)
    out = layer(images)
    assert out.shape == (2, 10, 5, 5)
    assert torch.equal(out[:, :6], images)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("densenet-121", [256, 512, 1024, 1024]),
        ("densenet-161", [384, 768, 2112, 2208]),
        ("densenet-264", [256, 512, 2304, 2688]),
        ("densenet-bc-100-12", [216, 300, 342]),
    ],
)
def test_blocks_of_densenet_end_in_known_channels(name: str, channels: list[int]) -> None:
    """Stem plus layers times growth, halved by each transition (Huang 2017, Section 3)."""
    with torch.device("meta"):
        network = find_baseline(name).make(Sizes(32))
    blocks = [m for m in network.children() if isinstance(m, nn.Sequential) and isinstance(m[0], DenseLayer)]
    ends = [block[-1].layers[0].num_features + block[-1].layers[-1].out_channels for block in blocks]
    assert ends == channels


def test_bottlenecks_of_densenet_have_four_growth_rates() -> None:
    layer = DenseLayer(6, 5)
    assert layer.layers[2].out_channels == BOTTLENECK * 5 == 20


def test_shuffling_deals_groups_out() -> None:
    """Six channels in two groups: the first of each, the second of each, the third of each."""
    images = torch.arange(6.0).view(1, 6, 1, 1)
    assert Shuffle(2)(images).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_shuffling_back_undoes_it() -> None:
    images = torch.randn(1, 12, 2, 2)
    assert torch.equal(Shuffle(4)(Shuffle(3)(images)), images)


def test_half_of_the_channels_pass_a_unit_of_version_2_untouched() -> None:
    images = torch.randn(1, 8, 4, 4)
    out = UnitV2(8, 8, None)(images)
    assert torch.equal(out[:, 0::2], images[:, :4])


@pytest.mark.parametrize("unit", [UnitV2(8, 24, 2), UnitV1(8, 24, 2, groups=2, first=False)])
def test_a_strided_unit_halves_the_size_and_widens(unit: nn.Module) -> None:
    assert unit(torch.randn(2, 8, 6, 6)).shape == (2, 24, 3, 3)


def test_a_strided_unit_of_version_1_adds_to_the_average_of_what_it_reads() -> None:
    images = torch.rand(1, 8, 6, 6)
    out = UnitV1(8, 24, 2, groups=2, first=False)(images)
    assert torch.equal(out[:, -8:], nn.functional.avg_pool2d(images, 3, 2, 1))


@pytest.mark.parametrize("groups", FILTERS_V1)
@pytest.mark.parametrize("width", [0.1, 0.25, 0.5, 0.75, 1.3, 2.0])
def test_groups_divide_the_filters_at_every_width(groups: int, width: float) -> None:
    name = "shufflenet-v1" if groups == 3 else f"shufflenet-v1-g{groups}"
    with torch.device("meta"):
        network = find_baseline(name).make(Sizes(32, classes=5, width=width))
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


def test_groups_keep_the_cost_of_version_1_about_equal() -> None:
    """Zhang 2018, Table 1: filters grow with the groups so that all stay near 140 M multiply-accumulates."""
    with torch.device("meta"):
        first = find_baseline("shufflenet-v1").make(Sizes(224))
    convs = [m for m in first.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert convs[0].groups == 1  # the first has few channels to read
    assert {m.groups for m in convs[1:]} == {3}
