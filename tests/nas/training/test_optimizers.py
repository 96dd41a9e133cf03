"""Optimizers: one step against the textbook, groups, and Muon on the right matrices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas.training.optimizers import make_optimizer
from nas.training.recipe import Recipe

RECIPE = Recipe("test", epochs=1, learning_rate=0.1, weight_decay=0.01, momentum=0.9)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self.conv(x)).relu().mean((2, 3)))
        return logits


def network(memory_format: torch.memory_format = torch.channels_last) -> Small:
    torch.manual_seed(0)
    return Small().to(memory_format=memory_format)  # type: ignore[call-overload, no-any-return]


def stepped(recipe: Recipe, net: Small, rates: dict[str, float] | None = None, steps: int = 1) -> Any:
    optimizer = make_optimizer(net, recipe, rates=rates or {}, fused=False)
    for _ in range(steps):
        optimizer.set_rate(recipe.learning_rate)
        optimizer.zero_grad()
        net(torch.arange(2 * 3 * 25.0).view(2, 3, 5, 5).sin()).square().sum().backward()
        optimizer.step()
    return optimizer


@pytest.fixture(autouse=True)
def _generator_kept() -> Any:
    with torch.random.fork_rng(devices=[]):
        yield


def test_rmsprop_steps_by_the_root_of_the_mean_square() -> None:
    recipe = RECIPE.with_changes({"optimizer": "rmsprop", "momentum": 0.0, "weight_decay": 0.0, "epsilon": 1e-3})
    net = network()
    before = net.conv.weight.detach().clone()
    stepped(recipe, net)
    gradient = net.conv.weight.grad
    assert gradient is not None
    expected = before - 0.1 * gradient / ((0.1 * gradient**2).sqrt() + 1e-3)
    assert torch.allclose(net.conv.weight, expected, atol=1e-6)


def test_adamw_decays_apart_from_the_gradient() -> None:
    recipe = RECIPE.with_changes({"optimizer": "adamw", "squared_momentum": 0.999})
    net = network()
    before = net.head.weight.detach().clone()
    stepped(recipe, net)
    assert net.head.weight.grad is not None
    expected = before * (1 - 0.1 * 0.01) - 0.1 * net.head.weight.grad.sign()
    assert torch.allclose(net.head.weight, expected, atol=1e-4)


@pytest.mark.parametrize(("decayed", "expected"), [("matrices", [0.01, 0.0]), ("all", [0.01, 0.01])])
def test_decay_is_on_matrices_or_on_all(decayed: str, expected: list[float]) -> None:
    optimizer = make_optimizer(network(), RECIPE.with_changes({"decayed": decayed}), rates={}, fused=False)
    assert [group["weight_decay"] for group in optimizer.state_dict()["param_groups"]] == expected


def test_a_share_of_the_rate_is_kept_through_the_schedule() -> None:
    net = network()
    optimizer = make_optimizer(net, RECIPE, rates={"conv.weight": 0.1, "conv.bias": 0.1}, fused=False)
    optimizer.set_rate(0.5)
    assert [group["lr"] for group in optimizer.state_dict()["param_groups"]] == pytest.approx([0.5, 0.5, 0.05, 0.05])


def test_without_momentum_nothing_is_nesterov() -> None:
    make_optimizer(network(), RECIPE.with_changes({"momentum": 0.0}), rates={}, fused=False)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_muon_changes_inner_filters_by_an_orthogonal_step(layout: torch.memory_format) -> None:
    """Rows of the change are about orthogonal and of one length, whatever the layout of the weight."""
    recipe = RECIPE.with_changes({"optimizer": "muon", "weight_decay": 0.0})
    net = network(layout)
    before = net.conv.weight.detach().clone()
    stepped(recipe, net)
    change = (net.conv.weight.detach() - before).flatten(1).double()
    products = change @ change.T
    lengths = products.diagonal().sqrt()
    assert lengths.max() / lengths.min() < 2
    assert (products / lengths.outer(lengths) - torch.eye(4)).abs().max() < 0.5
    # Liu 2025, section 2.2: the size of AdamW's steps, 0.2 on average
    assert change.square().mean().sqrt() == pytest.approx(0.1 * 0.2, rel=0.5)  # Newton-Schulz leaves lengths about 1


def test_muon_is_the_same_in_any_layout() -> None:
    recipe = RECIPE.with_changes({"optimizer": "muon"})
    nets = [network(torch.channels_last), network(torch.contiguous_format)]
    for net in nets:
        stepped(recipe, net, steps=2)
    assert torch.allclose(nets[0].conv.weight, nets[1].conv.weight, atol=2e-3)  # it computes in 8 bits of precision


def test_muon_leaves_the_classifier_and_vectors_to_adamw() -> None:
    state = stepped(RECIPE.with_changes({"optimizer": "muon"}), network()).state_dict()
    assert [len(group["params"]) for group in state["0"]["param_groups"]] == [1]
    assert sum(len(group["params"]) for group in state["1"]["param_groups"]) == 5


def test_a_state_of_another_optimizer_is_refused() -> None:
    muon = make_optimizer(network(), RECIPE.with_changes({"optimizer": "muon"}), rates={}, fused=False)
    with pytest.raises(ValueError, match="another training"):
        muon.load_state_dict(stepped(RECIPE, network()).state_dict())
