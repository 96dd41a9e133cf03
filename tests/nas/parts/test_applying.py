"""Parts in networks: ours, others', a user's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import mobilenet_v3_small, resnet18

import nas
from nas.errors import InvalidInputError, UnknownNameError
from nas.parts import ACTIVATIONS, INITIALIZATIONS, NORMALIZATIONS, WEIGHT_NORMALIZATIONS, Parts, apply_parts
from nas.parts.activations import EXCHANGEABLE
from nas.parts.regularizers import DropBlock


def cell_network() -> nn.Module:
    return nas.build("nasnet-a", classes=5, input_shape=(3, 16, 16), depth=1, width=8)


def count(network: nn.Module, *kinds: type[nn.Module]) -> int:
    return sum(isinstance(module, kinds) for module in network.modules())


def check(network: nn.Module, size: int) -> None:
    """It trains: logits and gradients are finite."""
    logits = network.train()(torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)))
    functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_goes_into_a_cell_network(name: str) -> None:
    network = cell_network()
    before = count(network, nn.ReLU)
    kind = type(ACTIVATIONS[name]())
    assert count(apply_parts(network, Parts(activation=name)), kind) == before
    check(network, 16)


@pytest.mark.parametrize("name", [name for name in NORMALIZATIONS if name not in ("none", "local_response")])
def test_every_normalisation_goes_into_a_residual_network(name: str) -> None:
    network = resnet18(num_classes=5)
    params = sum(p.numel() for p in network.parameters())
    before = count(network, nn.BatchNorm2d)
    apply_parts(network, Parts(normalization=name))
    assert count(network, nn.BatchNorm2d) == (before if name == "batch" else 0)
    assert sum(p.numel() for p in network.parameters()) == params
    check(network, 64)


def test_the_squashing_of_the_first_lenet_is_an_activation_too() -> None:
    """Behind C1, S2, C3, S4, C5 and F6."""
    network = nas.build("lenet-5", classes=5, input_shape=(1, 32, 32), parts=Parts(activation="elu"))
    assert (count(network, nn.ELU), count(network, nn.Tanh)) == (6, 0)


def test_gates_stay() -> None:
    network = mobilenet_v3_small(num_classes=5)
    gates = count(network, nn.Hardsigmoid)
    apply_parts(network, Parts(activation="gelu"))
    assert count(network, nn.Hardsigmoid) == gates > 0
    assert count(network, *EXCHANGEABLE) == count(network, nn.GELU)


def test_a_shared_module_stays_shared_and_mode_and_function_stay_where_nothing_changes() -> None:
    activation = nn.ReLU()
    network = nn.Sequential(nn.Linear(3, 3), activation, nn.Linear(3, 3), activation).eval()
    x = torch.randn(4, 3)
    before = network(x)
    assert apply_parts(network, Parts()) is network
    apply_parts(network, Parts(activation="relu"))
    assert network[1] is network[3] is not activation
    assert not network[1].training
    assert torch.equal(network(x), before)


def test_dropblock_stands_behind_activations_and_only_trains() -> None:
    network = resnet18(num_classes=5)
    names = network.state_dict().keys()
    x = torch.randn(2, 3, 64, 64)
    before = network.eval()(x)
    apply_parts(network, Parts(dropblock=0.2, dropblock_size=3))
    assert network.state_dict().keys() == names
    assert count(network, DropBlock) == 9
    assert torch.equal(network.eval()(x), before)
    check(network, 64)
    assert not torch.equal(network(x), network(x))


def test_a_network_that_is_one_module_is_exchanged_itself() -> None:
    assert isinstance(apply_parts(nn.ReLU(), Parts(activation="silu")), nn.SiLU)


def test_all_at_once() -> None:
    parts = Parts("silu", "group", "weight", "lsuv", dropout=0.3, dropblock=0.1, dropblock_size=3)
    network = apply_parts(cell_network(), parts, sample=torch.randn(4, 3, 16, 16))
    dropouts = [module.p for module in network.modules() if isinstance(module, nn.Dropout)]
    assert set(dropouts) == {0.3}
    check(network, 16)


@pytest.mark.parametrize(
    "parts",
    [
        *(Parts(initialization=name) for name in INITIALIZATIONS),
        *(Parts(weight_normalization=n) for n in WEIGHT_NORMALIZATIONS),
    ],
)
def test_weights_of_any_network(parts: Parts) -> None:
    check(apply_parts(cell_network(), parts, sample=torch.randn(4, 3, 16, 16)), 16)


def test_what_would_change_nothing_is_refused() -> None:
    for parts, what in ((Parts(activation="silu"), "activation"), (Parts(normalization="group"), "normalization")):
        with pytest.raises(InvalidInputError, match=f"no {what} that is a module"):
            apply_parts(nn.Linear(2, 2), parts)
    with pytest.raises(InvalidInputError, match="no dropout"):
        apply_parts(nn.Linear(2, 2), Parts(dropout=0.5))
    with pytest.raises(InvalidInputError, match="give a sample"):
        apply_parts(nn.Linear(2, 2), Parts(initialization="lsuv"))


def test_parts_go_to_json_and_back() -> None:
    parts = Parts(activation="gelu", dropblock=0.1)
    assert Parts.from_json(json.loads(json.dumps(parts.to_json()))) == parts
    assert Parts.from_json({}) == Parts()
    with pytest.raises(UnknownNameError, match=r"unknown part 'activaton'. Did you mean 'activation'"):
        Parts.from_json({"activaton": "gelu"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"activation": "swish"}, "unknown activation 'swish'.*Known: elu"),
        ({"normalization": "bacth"}, "Did you mean 'batch'"),
        ({"weight_normalization": "spectrall"}, "Did you mean 'spectral'"),
        ({"initialization": 5}, "unknown initialization '5'"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"dropblock": -0.1}, "dropblock must be in"),
        ({"dropblock_size": 0}, "dropblock_size"),
        ({"attention": "cbma"}, "Did you mean 'cbam'"),
        ({"pooling": "stohastic"}, "Did you mean 'stochastic'"),
        ({"head": "global"}, "Known: global_average"),
        ({"stochastic_depth": 1.0}, "stochastic_depth must be in"),
        ({"dropconnect": "much"}, "dropconnect must be in"),
    ],
)
def test_parts_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Parts(**given)
