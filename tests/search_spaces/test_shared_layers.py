"""Layers that cells share in training change neither the outputs nor the gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_spaces import cell_network, joined_pointwise, shared_layers
from search_spaces.architecture import Blueprint
from search_spaces.cell_network import CellNetwork
from search_spaces.nasnet import cell_space
from search_spaces.shared_layers import SharedLayers


def network(space: str, seed: int) -> CellNetwork:
    found = cell_space(space)
    architecture = found.sample(np.random.default_rng(seed))
    torch.manual_seed(seed)
    return found.build(Blueprint(architecture, 8, channels=1, classes=10, stem="tiny", depth=1, width=4))


def gradients(net: CellNetwork, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    net.zero_grad()
    logits = net.train()(images)
    (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum().backward()
    return logits.detach(), {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("space", ["nasnet", "darts", "enas", "amoebanet", "pnasnet"])
def test_a_network_trains_as_if_nothing_were_shared(space: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In double precision, which these small networks need: normalisations of few numbers blow up rounding."""
    monkeypatch.setattr(shared_layers, "suits", lambda x: True)  # meant for float32
    monkeypatch.setattr(joined_pointwise, "WORTH_BYTES", 0)
    net = network(space, seed).double()
    statistics = {name: value.clone() for name, value in net.named_buffers()}
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    shared, with_sharing = gradients(net, images)
    followed = {name: value.clone() for name, value in net.named_buffers()}
    net.load_state_dict(statistics, strict=False)
    monkeypatch.setattr(cell_network, "SharedLayers", lambda: None)
    alone, without = gradients(net, images)
    torch.testing.assert_close(shared, alone, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(followed, dict(net.named_buffers()), rtol=1e-9, atol=1e-9)
    largest = max(float(one.abs().max()) for one in without.values())
    assert with_sharing.keys() == without.keys()
    for name, expected in without.items():
        torch.testing.assert_close(with_sharing[name], expected, rtol=1e-7, atol=1e-10 * largest)


def test_a_first_layer_runs_once_for_all_that_begin_with_it() -> None:
    pool, other = nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1)
    shared, x = SharedLayers(), torch.randn(2, 3, 4, 4)
    first = shared.run(pool, x, place=0)
    assert shared.run(other, x, place=0) is first
    assert shared.run(nn.AvgPool2d(3, 1, 1, count_include_pad=False), x, place=0) is not first
    assert shared.run(other, x, place=1) is not first


def test_what_is_forgotten_is_computed_again() -> None:
    shared, x = SharedLayers(), torch.randn(2, 3, 4, 4)
    first = shared.run(nn.ReLU(), x, place=0)
    shared.forget(0)
    assert shared.run(nn.ReLU(), x, place=0) is not first


def test_a_watched_layer_runs_itself() -> None:
    """Scores such as NASWOT see every ReLU through a hook."""
    seen = []
    layers = [nn.ReLU(), nn.ReLU()]
    for layer in layers:
        layer.register_forward_hook(lambda *_: seen.append(1))
    shared, x = SharedLayers(), torch.randn(2, 3, 4, 4)
    for layer in layers:
        shared.run(layer, x, place=0)
    assert len(seen) == 2


def test_a_rectification_inside_an_operation_is_done_in_place_behind_a_normalisation_only() -> None:
    """Behind a convolution its output is kept for no one, but may be what a hook or an identity handed on."""
    x = torch.randn(2, 3, 4, 4)
    operation = nn.Sequential(nn.Identity(), nn.ReLU())
    before = x.clone()
    SharedLayers().run(operation, x, place=0)
    assert torch.equal(x, before)
