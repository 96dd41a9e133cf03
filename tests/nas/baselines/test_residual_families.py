"""What all residual families must do: equal torchvision's networks, learn, and scale."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.functional import cross_entropy

from nas.baselines import Sizes, baselines, find_baseline
from nas.baselines.cifar_resnet import BASELINES as CIFAR
from nas.baselines.regnet import BASELINES as REGNETS
from nas.baselines.resnet import BASELINES as RESNETS

SMALLEST_UNCHANGED = 97  # pixels: no stride is given up
REPRESENTATIVES = (
    "cifar-plain-20",
    "cifar-resnet-20",
    "stochastic-depth-110",
    "resnet-18",
    "resnet-50",
    "resnet-50-v1",
    "resnet18-cifar-standard",
    "resnext-50-32x4d",
    "preact-resnet-110",
    "preact-resnet-164",
    "resnet-200",
    "wide-resnet-28-10",
    "pyramidnet-110-a48",
    "pyramidnet-200-a300",
    "dpn-92",
    "residual-attention-56",
    "se-resnet-50",
    "se-resnext-50",
    "senet-154",
    "cbam-resnet-50",
    "regnetx-400mf",
    "regnety-400mf",
)


def _draw_weights(network: nn.Module) -> None:
    """Weights that keep activations in range, and statistics that are not the ones a network starts with."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.dim() > 1:
            bound = math.sqrt(6 / tensor[0].numel())
            tensor.uniform_(-bound, bound, generator=generator)
        elif name.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1.0, generator=generator)
        elif tensor.is_floating_point():
            tensor.uniform_(-0.1, 0.1, generator=generator)
        else:
            tensor.zero_()


@pytest.mark.parametrize("name", [b.name for b in (*RESNETS, *REGNETS) if b.torchvision])
def test_equals_torchvision(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights, in the order of their definition, give the same logits in evaluation and in training."""
    for draw in ("kaiming_uniform_", "kaiming_normal_", "normal_"):  # of up to 145e6 numbers, to be replaced at once
        monkeypatch.setattr(nn.init, draw, lambda tensor, *_, **__: tensor)
    baseline = find_baseline(name)
    theirs = getattr(torchvision.models, baseline.torchvision)(num_classes=10)
    _draw_weights(theirs)
    with torch.device("meta"):
        ours = baseline.make(Sizes(SMALLEST_UNCHANGED, classes=10))
    tensors = theirs.state_dict().values()
    ours.load_state_dict(dict(zip(ours.state_dict(), tensors, strict=True)), assign=True)
    images = torch.randn(1, 3, SMALLEST_UNCHANGED, SMALLEST_UNCHANGED, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for training in (False, True):
            expected = theirs.train(training)(images)
            assert expected.isfinite().all()
            assert (ours.train(training)(images) - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_learns(name: str) -> None:
    """Gradients are finite everywhere, and a step against them lowers the loss."""
    torch.manual_seed(0)
    network = find_baseline(name).make(Sizes(16, channels=1, classes=4, depth=0.1, width=0.125))
    images, labels = torch.randn(8, 1, 16, 16), torch.arange(8) % 4

    def loss() -> torch.Tensor:
        torch.manual_seed(1)  # what is dropped is the same before and after
        return cross_entropy(network(images), labels)

    before = loss()
    before.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    torch.optim.SGD(network.parameters(), lr=0.05 / norm).step()
    assert loss() < before


@pytest.mark.parametrize("name", [name for name in REPRESENTATIVES if name != "stochastic-depth-110"])
def test_every_parameter_has_a_gradient(name: str) -> None:
    network = find_baseline(name).make(Sizes(8, classes=3, depth=0.1, width=0.125))
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_depth_and_width_scale(name: str) -> None:
    """More of either, more parameters; and still logits."""

    def params(*, depth: float, width: float) -> int:
        with torch.device("meta"):
            network = find_baseline(name).make(Sizes(32, classes=10, depth=depth, width=width)).eval()
            assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
        return sum(p.numel() for p in network.parameters())

    shallow = params(depth=0.2, width=1)
    assert shallow < params(depth=0.6, width=1)
    assert params(depth=0.2, width=0.3) < shallow < params(depth=0.2, width=1.3)


def test_initialisation_is_he_s() -> None:
    """Convolutions from N(0, 2 / (kernel area x filters out)): 36,864 draws, so five standard errors are 2 %."""
    torch.manual_seed(0)
    network = find_baseline("resnet-18").make(Sizes(32))
    weight = network.stages[0][0].branch[0].weight.detach()
    assert float(weight.std()) == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.02)


def test_nets_for_cifar_keep_their_strides_on_larger_images() -> None:
    for baseline in (b for b in CIFAR if b.name.endswith("-20")):
        with torch.device("meta"):
            network = baseline.make(Sizes(64, classes=10))
            features = nn.Sequential(network.stem, network.stages)(torch.zeros(2, 3, 64, 64))
        assert features.shape[2:] == (16, 16)


def test_aliases_lead_to_the_same_network() -> None:
    assert find_baseline("resnet50") is baselines()["resnet-50"]
    assert find_baseline("resnet-20") is baselines()["cifar-resnet-20"]
    assert find_baseline("wrn-28-10") is baselines()["wide-resnet-28-10"]
