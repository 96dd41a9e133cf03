"""Where attention and stochastic depth go: in residual networks, Inception, plain ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation, StochasticDepth

import nas
from nas.errors import InvalidInputError
from nas.parts import CBAM, Parts, apply_parts, squeeze_excitation
from nas.parts.flow import watch_flow
from nas.parts.placing import attention_places, depth_places, put_behind
from search_spaces.mbconv_network import MBConvBlock

SHAPE = (3, 32, 32)


class Block(nn.Module):
    """A residual block as torchvision writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.conv(x))


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), *(Block() for _ in range(4)), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_attention_scales_what_is_added_and_nothing_else() -> None:
    """The input and SE(norm(conv(input))): Hu 2018, figure 3."""
    plain = small().eval()
    network = apply_parts(small().eval(), Parts(attention="se"), input_shape=SHAPE)
    x = expected = torch.randn(2, *SHAPE)
    expected = plain[0](expected)
    for before, after in zip(plain[1:5], network[1:5], strict=True):
        norm, attention = after.norm
        assert isinstance(norm, nn.BatchNorm2d)
        expected = expected + attention(before.norm(before.conv(expected)))
    torch.testing.assert_close(network(x), expected.mean((2, 3)))
    added = sum(p.numel() for p in squeeze_excitation(4).parameters())
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in plain.parameters()) + 4 * added


def test_depth_decays_linearly_and_drops_only_in_training() -> None:
    """Huang 2016, eq. 4, for a rate of 0.8 at the last of four blocks."""
    plain = small().eval()
    network = apply_parts(small().eval(), Parts(stochastic_depth=0.8), input_shape=SHAPE)
    drops = [module for module in network.modules() if isinstance(module, StochasticDepth)]
    assert [drop.p for drop in drops] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert {drop.mode for drop in drops} == {"row"}
    x = torch.randn(2, *SHAPE)
    assert torch.equal(network(x), plain(x))
    assert not torch.equal(network.train()(x), network(x))


@pytest.mark.parametrize(
    ("name", "count", "ends"),
    [
        ("resnet-18", 8, "branch"),
        ("cifar-resnet-20", 9, "branch"),
        ("mobilenet-v2", 10, "layers"),  # the blocks with a residual
        ("se-resnet-50", 16, "branch"),
    ],
)
def test_residual_networks_get_one_for_each_block(name: str, count: int, ends: str) -> None:
    network = nas.build(name, classes=5, input_shape=(3, 64, 64))
    flow = watch_flow(network, (3, 64, 64))
    places = attention_places(network, flow)
    assert len(places) == count
    assert all(place.endswith(ends) for place in places)
    assert list(depth_places(network, flow).values()) == pytest.approx([(i + 1) / count for i in range(count)])


def test_cells_get_one_for_each_operation_that_is_added() -> None:
    network = nas.build("nasnet-a", classes=5, input_shape=(3, 16, 16), depth=1, width=8)
    places = attention_places(network, watch_flow(network, (3, 16, 16)))
    assert all(".blocks." in place and place.endswith(("left", "right")) for place in places)
    assert not [place for place in places if isinstance(network.get_submodule(place), nn.Identity | nn.AvgPool2d)]


def test_inception_gets_one_behind_each_module_and_plain_networks_one_for_each_stage() -> None:
    network = nas.build("googlenet", classes=5, input_shape=(3, 64, 64), width=0.25)
    places = attention_places(network, watch_flow(network, (3, 64, 64)))
    assert len(places) == 9  # Szegedy 2015, table 1
    assert {type(network.get_submodule(place)).__name__ for place in places} == {"InceptionModule"}
    network = nas.build("vgg-11", classes=5, input_shape=(3, 224, 224), width=0.125)
    places = attention_places(network, watch_flow(network, (3, 224, 224)))
    assert list(places.items()) == [
        *(("features.1", 8), ("features.4", 16), ("features.9", 32), ("features.14", 64), ("features.19", 64))
    ]
    assert all(isinstance(network.get_submodule(place), nn.ReLU) for place in places)


def test_a_plain_sequence_keeps_the_names_of_its_weights() -> None:
    network = nas.build("resnet-18", classes=5, input_shape=SHAPE, width=0.25)
    before = set(network.state_dict())
    apply_parts(network, Parts(attention="cbam", stochastic_depth=0.2), input_shape=SHAPE)
    assert before < set(network.state_dict())
    branch = network.get_submodule("stages.0.0.branch")
    assert [type(module) for module in branch[-2:]] == [CBAM, StochasticDepth]  # attention is dropped with it


def test_a_network_that_drops_branches_gets_the_rate_for_its_own() -> None:
    network = nas.build("efficientnet-b0", classes=5, input_shape=SHAPE)
    names = set(network.state_dict())
    apply_parts(network, Parts(stochastic_depth=0.4), input_shape=SHAPE)
    rates = [module.drop_path for module in network.modules() if isinstance(module, MBConvBlock)]
    assert max(rates) == pytest.approx(0.4)
    assert set(network.state_dict()) == names
    assert not [module for module in network.modules() if isinstance(module, StochasticDepth)]


def test_what_has_no_place_is_refused_in_words() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    with pytest.raises(InvalidInputError, match="no place for attention"):
        apply_parts(network, Parts(attention="se"), input_shape=(3, 4, 4))
    with pytest.raises(InvalidInputError, match="has no such addition"):
        apply_parts(network, Parts(stochastic_depth=0.1), input_shape=(3, 4, 4))
    for parts in (Parts(attention="se"), Parts(stochastic_depth=0.1), Parts(head="global_average")):
        with pytest.raises(InvalidInputError, match="give the input_shape"):
            apply_parts(network, parts)


def test_behind_keeps_device_and_mode() -> None:
    linear = nn.Linear(2, 2, device="meta").eval()
    both = put_behind(linear, nn.Linear(2, 2))
    assert {p.device.type for p in both.parameters()} == {"meta"}
    assert not any(module.training for module in both.modules())
    sequence = nn.Sequential(nn.Linear(2, 2))
    assert put_behind(sequence, nn.ReLU()) is sequence


def test_attention_inside_is_not_exchanged() -> None:
    """Squeeze-and-excitation keeps its own ReLU, and batch normalisation its place."""
    parts = Parts(attention="se", activation="silu", normalization="group", dropconnect=0.5)
    network = apply_parts(nas.build("resnet-18", classes=5, input_shape=SHAPE, width=0.25), parts, input_shape=SHAPE)
    attentions = [module for module in network.modules() if isinstance(module, SqueezeExcitation)]
    assert len(attentions) == 8
    assert all(isinstance(attention.activation, nn.ReLU) for attention in attentions)
    assert sum(isinstance(module, nn.ReLU) for module in network.modules()) == 8
