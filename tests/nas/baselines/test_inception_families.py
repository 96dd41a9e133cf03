"""What the Inception, dense and shuffled families must do: equal torchvision's networks, learn, and scale."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nas.baselines import Baseline, Sizes, find_baseline
from nas.baselines.bn_inception import BASELINES as BN_INCEPTION
from nas.baselines.densenet import BASELINES as DENSENETS
from nas.baselines.googlenet import BASELINES as GOOGLENETS
from nas.baselines.inception_resnet import BASELINES as INCEPTION_RESNETS
from nas.baselines.inception_v3 import BASELINES as INCEPTION_V3
from nas.baselines.inception_v4 import BASELINES as INCEPTION_V4
from nas.baselines.polynet import BASELINES as POLYNET
from nas.baselines.shufflenet import BASELINES as SHUFFLENETS
from nas.baselines.xception import BASELINES as XCEPTION
from search_spaces.counting import Sizes as Images
from search_spaces.counting import count_network

INCEPTIONS = (*GOOGLENETS, *BN_INCEPTION, *INCEPTION_V3, *INCEPTION_V4, *INCEPTION_RESNETS, *POLYNET, *XCEPTION)
ALL = (*INCEPTIONS, *DENSENETS, *SHUFFLENETS)
SMALLEST_UNCHANGED = 97  # pixels: no stride is given up
SMALLEST_OF_INCEPTION_V3 = 299  # torchvision's auxiliary classifier takes no smaller images
CLASSES = 10


def _without_dropout(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def _theirs(name: str, *, auxiliary: bool = False) -> nn.Module:
    extra = {} if name.startswith(("densenet", "shufflenet")) else {"aux_logits": auxiliary, "init_weights": False}
    return _without_dropout(torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **extra))


def _give_weights(source: nn.Module, target: nn.Module) -> None:
    """Draw weights and statistics that no network starts with, and copy them tensor by tensor, in order."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in source.state_dict().items():
        if tensor.dim() > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1.0, generator=generator)
        elif tensor.is_floating_point():
            tensor.uniform_(-0.1, 0.1, generator=generator)
    ours, theirs = target.state_dict(), source.state_dict()
    assert [t.shape for t in ours.values()] == [t.shape for t in theirs.values()]
    target.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))


def _assert_close(ours: Tensor, theirs: Tensor) -> None:
    scale = theirs.abs().max().clamp(min=1.0)
    assert (ours - theirs).abs().max() <= 1e-5 * scale


@pytest.mark.parametrize("name", [b.name for b in ALL if b.torchvision])
def test_outputs_equal_torchvision_s(name: str) -> None:
    """The same weights give the same logits, in both modes, on images whose maps have odd sizes; dropout is off."""
    baseline = find_baseline(name)
    resolution = SMALLEST_UNCHANGED + 3
    theirs = _theirs(baseline.torchvision)
    ours = _without_dropout(baseline.make(Sizes(resolution, classes=CLASSES)))
    _give_weights(theirs, ours)
    images = torch.randn(2, 3, resolution, resolution, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for training in (False, True):
            _assert_close(ours.train(training)(images), theirs.train(training)(images))


@pytest.mark.parametrize(
    ("name", "resolution"), [("googlenet-torchvision", 128), ("inception-v3", SMALLEST_OF_INCEPTION_V3)]
)
def test_auxiliary_logits_equal_torchvision_s(name: str, resolution: int) -> None:
    baseline = find_baseline(name)
    theirs = _theirs(baseline.torchvision, auxiliary=True).train()
    ours = _without_dropout(baseline.make(Sizes(resolution, classes=CLASSES, auxiliary=True))).train()
    _give_weights(theirs, ours)
    images = torch.randn(2, 3, resolution, resolution, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, auxiliary = ours.forward_with_auxiliary(images)
        expected, *expected_auxiliary = theirs(images)
    _assert_close(logits, expected)
    assert len(auxiliary) == len(expected_auxiliary)
    for mine, other in zip(auxiliary, reversed(expected_auxiliary), strict=True):  # torchvision's last comes first
        _assert_close(mine, other)


@pytest.mark.parametrize(
    ("name", "params"),
    [("googlenet", 13_378_280), ("googlenet-torchvision", 13_004_888), ("inception-v3", 27_161_264)],
)
def test_parameters_with_auxiliary_classifiers_are_exact(name: str, params: int) -> None:
    baseline = find_baseline(name)
    with torch.device("meta"):
        network = baseline.make(Sizes(baseline.resolution, auxiliary=True))
    assert sum(p.numel() for p in network.parameters()) == params


def test_there_are_no_auxiliary_logits_where_no_classifiers_were_built() -> None:
    for name in ("googlenet", "inception-v3"):
        with torch.device("meta"):
            network = find_baseline(name).make(Sizes(32)).eval()
            logits, auxiliary = network.forward_with_auxiliary(torch.zeros(1, 3, 32, 32))
        assert logits.shape == (1, 1000)
        assert auxiliary == ()


LEARNERS = (  # one of each file, and of each kind of block
    "googlenet",
    "googlenet-torchvision",
    "inception-v2",
    "inception-v3",
    "inception-v4",
    "inception-resnet-v1",
    "se-inception-resnet-v2",
    "polynet",
    "xception",
    "densenet-121",
    "densenet-bc-100-12",
    "shufflenet-v1",
    "shufflenet-v2",
)


@pytest.mark.parametrize("name", LEARNERS)
def test_one_step_of_gradient_descent_lowers_the_loss(name: str) -> None:
    """Small networks on noise: every weight gets a finite gradient, and a small step along them helps."""
    baseline = find_baseline(name)
    torch.manual_seed(0)
    depth = 0.2 if "depth" in baseline.scales else 1.0
    network = baseline.make(Sizes(16, classes=CLASSES, width=0.25, depth=depth))
    _without_dropout(network).train()
    images, labels = torch.randn(8, 3, 16, 16), torch.arange(8)
    loss = cross_entropy(network(images), labels)
    loss.backward()
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    norm = torch.stack([g.norm() for g in gradients]).norm()
    assert norm > 0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.01 / norm * parameter.grad  # a step of length 0.01
        assert cross_entropy(network(images), labels) < loss


@pytest.mark.parametrize("name", ["googlenet", "inception-v3"])
def test_auxiliary_classifiers_learn_too(name: str) -> None:
    torch.manual_seed(0)
    network = find_baseline(name).make(Sizes(16, classes=CLASSES, width=0.25, auxiliary=True)).train()
    logits, auxiliary = network.forward_with_auxiliary(torch.randn(4, 3, 16, 16))
    loss = sum(cross_entropy(each, torch.arange(4)) for each in (logits, *auxiliary))
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("baseline", [b for b in ALL if b.name in LEARNERS], ids=lambda b: b.name)
@pytest.mark.parametrize("dimension", ["depth", "width"])
def test_what_a_family_says_it_scales_it_scales(baseline: Baseline, dimension: str) -> None:
    """More of it costs more, in parameters and MACs; what is not in `scales` changes nothing."""
    few, many = (
        count_network(partial(baseline.make, Sizes(32, classes=CLASSES, **scales)), Images(3, 32, CLASSES))
        for scales in ({"depth": 0.2, "width": 0.5}, {"depth": 0.2, "width": 0.5} | {dimension: 1.0})
    )
    assert (few.params < many.params and few.macs < many.macs) == (dimension in baseline.scales)
    assert (few == many) == (dimension not in baseline.scales)


@pytest.mark.parametrize("name", ["inception-v3", "inception-resnet-v2", "polynet", "xception", "shufflenet-v1"])
def test_images_are_left_as_they_were(name: str) -> None:
    """No operation in place reaches what came in."""
    images = torch.randn(2, 3, 16, 16)
    before = copy.deepcopy(images)
    find_baseline(name).make(Sizes(16, width=0.25, depth=0.1 if name != "inception-v3" else 1.0))(images)
    assert torch.equal(images, before)
