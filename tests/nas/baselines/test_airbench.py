"""The networks of fast CIFAR-10 training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.baselines import Sizes, find_baseline
from nas.baselines.airbench import Whitening
from search_spaces.counting import Sizes as Images
from search_spaces.counting import count_network


def test_hlb_counts_by_hand() -> None:
    """Whitening (fixed), 27 to 64, then 3 x 3 convolutions at 64-128-256-512; of BN only shifts are trained."""
    pairs = ((32, 64, 128), (16, 128, 128), (16, 128, 128), (16, 128, 256), (8, 256, 512), (4, 512, 512), (4, 512, 512))
    params = 27 * 64 + 64 + sum(9 * a * b + b for _, a, b in pairs) + 512 * 10
    macs = 32**2 * (27 * 27 + 27 * 64) + sum(size**2 * 9 * a * b for size, a, b in pairs) + 512 * 10
    baseline = find_baseline("hlb-cifar10")
    cost = count_network(lambda: baseline.make(baseline.sizes), Images(3, 32, 10))
    assert (cost.params, cost.macs) == (params, macs)


@pytest.mark.parametrize("name", ["airbench94", "airbench96", "hlb-cifar10"])
def test_whitening_and_scales_are_fixed(name: str) -> None:
    """Nothing of them is trained; all other weights are."""
    network = find_baseline(name).make(Sizes(32, classes=10, width=0.25))
    fixed = {id(m.weight) for m in network.modules() if isinstance(m, Whitening | nn.BatchNorm2d)}
    assert {id(p) for p in network.parameters() if not p.requires_grad} == fixed


@pytest.mark.parametrize(("mirrored", "kernel"), [(True, 2), (False, 3)])
def test_whitened_patches_are_white(mirrored: bool, kernel: int) -> None:
    """After `whiten`, the filters' responses to those images are uncorrelated and of mean square one."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 3, 10, 10, generator=generator).cumsum(2).cumsum(3)  # strongly correlated
    whitening = Whitening(3, kernel, padding=0, mirrored=mirrored, epsilon=1e-6)
    whitening.whiten(images)
    with torch.no_grad():
        responses = whitening(images).transpose(0, 1).flatten(1)[: 3 * kernel**2]
    second_moments = responses @ responses.T / responses.shape[1]
    torch.testing.assert_close(second_moments, torch.eye(3 * kernel**2), rtol=0, atol=0.02)


def test_mirrored_filters_come_with_their_negatives() -> None:
    weight = Whitening(3, 2, padding=0, mirrored=True, epsilon=5e-4).weight
    assert weight.isfinite().all()
    assert torch.equal(weight[12:], -weight[:12])


def test_convolutions_start_as_identities() -> None:
    """The first filters hand on their inputs, as many as there are."""
    network = find_baseline("airbench94").make(Sizes(32, classes=10))
    convs = [m for m in network.modules() if type(m) is nn.Conv2d]
    assert [(m.in_channels, m.out_channels) for m in convs[:2]] == [(24, 64), (64, 64)]
    images = torch.randn(1, 24, 8, 8)
    torch.testing.assert_close(convs[0](images)[:, :24], images)


def test_groups_of_airbench96_add_what_they_pooled() -> None:
    """Where its convolutions give zero, a group gives GELU of the pooled maps."""
    group = find_baseline("airbench96").make(Sizes(32, classes=10, width=0.25))[2].eval()
    last = group.convs[-1]
    nn.init.zeros_(last.weight)
    images = torch.randn(1, 24, 8, 8)
    torch.testing.assert_close(group(images), nn.functional.gelu(group.reduction(images)))
