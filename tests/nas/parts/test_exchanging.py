"""Modules that are exchanged, and parts that come where there was none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import nas
from nas.errors import InvalidInputError
from nas.parts import DropConnectLinear, MaxoutActivation, Parts, StochasticPool2d, apply_parts
from nas.parts.exchanging import POOLINGS

SHAPE = (3, 8, 8)


def plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
        *(nn.Conv2d(6, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 5)),
    )


def exchanged(**parts: Any) -> nn.Sequential:
    network = apply_parts(plain(), Parts(**parts), input_shape=SHAPE)
    assert isinstance(network, nn.Sequential)
    return network


@pytest.mark.parametrize("name", POOLINGS)
def test_poolings_keep_their_windows(name: str) -> None:
    network, before, x = exchanged(pooling=name).eval(), plain().eval(), torch.randn(2, *SHAPE)
    for i in (2, 5):
        inputs = before[:i](x)
        assert network[i](inputs).shape == before[i](inputs).shape
    if name == "stochastic":
        assert isinstance(network[2], StochasticPool2d)
        assert (network[2].kernel_size, network[2].stride, network[2].padding) == ((3, 3), (2, 2), (1, 1))
        assert network[2].ceil
        assert not isinstance(network[5], nn.AvgPool2d)


def test_a_pooling_with_dilation_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="dilation"):
        apply_parts(nn.Sequential(nn.MaxPool2d(2, dilation=2)), Parts(pooling="stochastic"))
    with pytest.raises(InvalidInputError, match="no pooling"):
        apply_parts(nn.Linear(2, 2), Parts(pooling="stochastic"))


def test_dropconnect_keeps_the_weights_and_drops_in_training() -> None:
    network, x = exchanged(dropconnect=0.5), torch.randn(2, *SHAPE)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert [(type(layer), layer.p) for layer in layers] == [(DropConnectLinear, 0.5)] * 2  # type: ignore[union-attr]
    assert network.state_dict().keys() == plain().state_dict().keys()
    assert not torch.equal(network(x), network(x))
    assert torch.equal(network.eval()(x), plain().eval()(x))
    with pytest.raises(InvalidInputError, match="no linear layer"):
        apply_parts(nn.Conv2d(3, 3, 1), Parts(dropconnect=0.5))


def test_dropconnect_leaves_what_attention_reads_itself() -> None:
    network = apply_parts(nn.Sequential(nn.MultiheadAttention(4, 2), nn.Linear(4, 4)), Parts(dropconnect=0.5))
    assert not isinstance(network[0].out_proj, DropConnectLinear)
    assert isinstance(network[1], DropConnectLinear)


def test_maxout_has_functions_for_each_channel_where_it_sees_the_same_ones() -> None:
    network = exchanged(activation="maxout")
    found = [module.slopes.shape[1] for module in network.modules() if isinstance(module, MaxoutActivation)]
    assert found == [6, 4, 7]
    shared = nn.ReLU()
    network = nn.Sequential(nn.Conv2d(3, 6, 1), shared, nn.Conv2d(6, 4, 1), shared)
    apply_parts(network, Parts(activation="maxout"), input_shape=SHAPE)
    assert network[1] is network[3]
    assert network[1].slopes.shape == (2, 1)  # of all channels


def test_maxout_finds_the_channels_of_tokens() -> None:
    network = nas.build("vit-b-16", classes=5, input_shape=(3, 32, 32))
    apply_parts(network, Parts(activation="maxout"), input_shape=(3, 32, 32))
    found = [module for module in network.modules() if isinstance(module, MaxoutActivation)]
    assert len(found) == 12
    assert {module.shape for module in found} == {(3072,)}


def test_normalisations_come_where_there_is_none() -> None:
    network = exchanged(normalization="batch")
    assert [type(module) for module in network[0]] == [nn.Conv2d, nn.BatchNorm2d]
    assert [type(module) for module in network[3]] == [nn.Conv2d, nn.BatchNorm2d]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == 2
    whole = nn.Sequential(nn.Conv2d(3, 5, 8), nn.Flatten(), nn.Linear(5, 4))  # its map is one position
    with pytest.raises(InvalidInputError, match="no normalization"):
        apply_parts(whole, Parts(normalization="instance"), input_shape=SHAPE)
    tokens = nn.Sequential(nn.Conv2d(3, 6, 1), nn.GroupNorm(2, 6), nn.Flatten(), nn.Linear(384, 5))
    with pytest.raises(InvalidInputError, match="no normalization"):
        apply_parts(tokens, Parts(normalization="batch"), input_shape=SHAPE)


def test_local_response_normalisation_is_exchanged_as_batch_normalisation_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 1), nn.LocalResponseNorm(5), nn.BatchNorm2d(6))
    apply_parts(network, Parts(normalization="group"), input_shape=SHAPE)
    assert [type(module) for module in network] == [nn.Conv2d, nn.GroupNorm, nn.GroupNorm]
    apply_parts(network := nn.Sequential(nn.BatchNorm2d(3)), Parts(normalization="local_response"))
    assert isinstance(network[0], nn.LocalResponseNorm)


def test_a_dropout_comes_in_front_of_the_classifier_where_there_is_none() -> None:
    network = exchanged(dropout=0.4)
    assert [type(module) for module in network[8]] == [nn.ReLU, nn.Dropout]
    assert network[8][1].p == 0.4
    assert network.state_dict().keys() == plain().state_dict().keys()
    assert sum(isinstance(module, nn.Dropout) for module in network.modules()) == 1
    alone = nn.Sequential(nn.Conv2d(3, 3, 8), nn.Flatten(), nn.Linear(3, 4), nn.Linear(4, 2))
    apply_parts(alone, Parts(dropout=0.4), input_shape=SHAPE)
    assert [type(module) for module in alone[3]] == [nn.Dropout, nn.Linear]


@pytest.mark.parametrize("name", ["densenet-121", "preact-resnet-110"])
def test_without_normalisations_activations_leave_what_others_read(name: str) -> None:
    """They stand first in these blocks, where what they are given goes into the sum or the concatenation as well."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"classes": 5, "input_shape": (3, 16, 16), "depth": 0.1, "width": 0.25}
    network = nas.build(name, **sizes, parts=Parts(normalization="none"))
    changed: list[str] = []
    for place, module in network.named_modules():
        if isinstance(module, nn.ReLU):
            before: dict[str, torch.Tensor] = {}
            module.register_forward_pre_hook(lambda _, given, kept=before: kept.update(x=given[0].detach().clone()))
            module.register_forward_hook(
                lambda _, given, result, kept=before, place=place: (
                    None if torch.equal(given[0], kept["x"]) else changed.append(place)
                )
            )
    functional.cross_entropy(network(torch.randn(4, 3, 16, 16)), torch.tensor([0, 1, 2, 3])).backward()
    assert changed == []
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_instance_normalisation_of_single_positions_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(InvalidInputError, match="maps of a single one"):
        apply_parts(network, Parts(normalization="instance"), input_shape=(3, 8, 8))


def test_dropout_stands_in_front_of_a_convolution_that_gives_the_classes() -> None:
    network = nas.build("alphago-policy-128", input_shape=(48, 9, 9), parts=Parts(dropout=0.3), width=0.1)
    layers = [module for module in network.modules() if isinstance(module, nn.Dropout | nn.Conv2d)]
    assert [type(module) for module in layers[-3:]] == [nn.Conv2d, nn.Dropout, nn.Conv2d]
    assert layers[-2].p == 0.3
