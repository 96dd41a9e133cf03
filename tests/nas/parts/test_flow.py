"""What one run shows: which modules are added, joined, and where tensors come from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nas.parts.flow import Flow, watch_flow


class Joined(nn.Module):
    """Two modules on the same maps, and what is made of both results."""

    def __init__(self, first: nn.Module, second: nn.Module, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.join = first, second, join

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return self.join(first, self.second(x))


def conv() -> nn.Module:
    return nn.Conv2d(3, 3, 3, padding=1)


def watch(*modules: nn.Module) -> Flow:
    return watch_flow(nn.Sequential(*modules), (3, 8, 8))


def added(a: Tensor, b: Tensor) -> Tensor:
    return a + b


def added_in_place(a: Tensor, b: Tensor) -> Tensor:
    a += b
    return a


@pytest.mark.parametrize("join", [added, added_in_place])
def test_the_branch_is_the_side_with_more_weight_layers(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    deep = nn.Sequential(conv(), nn.BatchNorm2d(3), nn.ReLU(), conv(), nn.BatchNorm2d(3))
    for shortcut in (nn.Identity(), conv(), nn.Sequential(conv(), nn.BatchNorm2d(3))):
        # what comes before the block counts for neither side
        assert watch(conv(), conv(), conv(), Joined(deep, shortcut, join)).branches == [(deep,)]
    assert watch(conv(), Joined(nn.Identity(), deep, added)).branches == [(deep,)]


def test_both_sides_are_branches_where_they_are_equally_deep_and_neither_without_weights() -> None:
    first, second = conv(), nn.Sequential(conv(), nn.ReLU())
    assert watch(conv(), Joined(first, second, added)).branches == [(first, second)]
    assert watch(conv(), Joined(nn.AvgPool2d(3, 1, 1), nn.Identity(), added)).branches == []


def test_what_keeps_the_shape_hides_no_branch_and_what_cuts_does() -> None:
    deep = conv()
    assert watch(conv(), Joined(deep, nn.Identity(), lambda a, b: 0.5 * a + b)).branches == [(deep,)]
    assert watch(conv(), Joined(conv(), nn.Identity(), lambda a, b: a[:, :2] + b[:, :2])).branches == []
    gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv())
    assert watch(conv(), Joined(gate, nn.Identity(), added)).branches == []  # shapes differ


def test_maps_that_are_joined() -> None:
    block = Joined(conv(), conv(), lambda a, b: torch.cat([a, b], 1))
    flow = watch(block)
    assert flow.joints == [block]
    assert flow.branches == []
    assert watch(Joined(conv(), conv(), lambda a, b: torch.cat([a, b], 2))).joints == []


def test_shapes_calls_and_givers() -> None:
    first, relu, second = conv(), nn.ReLU(inplace=True), nn.Conv2d(3, 5, 3, stride=2)
    flow = watch(first, relu, second, nn.Flatten(), nn.Linear(45, 7))
    assert [type(layer).__name__ for layer in flow.layers] == ["Conv2d", "ReLU", "Conv2d", "Flatten", "Linear"]
    assert flow.inputs[second] == (2, 3, 8, 8)
    assert flow.outputs[second] == (2, 5, 3, 3)
    assert flow.givers[relu] is first
    assert flow.givers[second] is relu
    assert flow.runs_once(relu)
    shared = nn.ReLU()
    assert not watch(first, shared, second, shared).runs_once(shared)


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(conv(), nn.BatchNorm2d(3)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    watch_flow(network, (3, 8, 8))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert network.training
    assert all(module.training and not module._forward_hooks for module in network.modules())
