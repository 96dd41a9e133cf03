"""Mobile networks, EfficientNets, ConvNeXt and the vision transformer: torchvision's outputs, sizes, training."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from nas.baselines import Baseline, Sizes, find_baseline
from nas.baselines.convnext import BASELINES as CONVNEXT
from nas.baselines.convnext import ConvNeXt
from nas.baselines.mobile import BASELINES as MOBILE
from nas.baselines.vision_transformer import BASELINES as VIT
from nas.baselines.vision_transformer import VisionTransformer
from search_spaces.counting import Sizes as Images
from search_spaces.counting import count_network

TORCHVISION = [baseline for baseline in (*MOBILE, *CONVNEXT, *VIT) if baseline.torchvision]
SMALL = {  # a configuration of each that trains in a second
    "mobilenet-v2": {"width": 0.25},
    "mobilenet-v3-small": {"width": 0.5},
    "mnasnet-a1": {"width": 0.25},
    "mnasnet-b1": {"width": 0.25},
    "efficientnet-b0": {"width": 0.25},
    "efficientnetv2-s": {"width": 0.25, "depth": 0.2},
    "convnext-t": {"width": 0.25, "depth": 0.3},
    "vit-b-16": {"width": 0.1, "depth": 0.2},
}


def shapes(network: nn.Module) -> list[torch.Size]:
    return [tensor.shape for tensor in network.state_dict().values()]


def torchvision_network(baseline: Baseline) -> nn.Module:
    """Return torchvision's, with biases, layer scales and a classifier that are large enough to matter."""
    network: nn.Module = getattr(torchvision.models, baseline.torchvision)()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.rand_like(parameter), alpha=0.2)
            elif name.endswith("layer_scale"):
                parameter.fill_(0.5)
            elif name.startswith("heads"):
                parameter.normal_(std=0.02)
    return network


def output(network: nn.Module, images: Tensor, *, training: bool) -> Tensor:
    torch.manual_seed(1)  # dropout and stochastic depth draw alike
    with torch.no_grad():
        result: Tensor = network.train(training)(images)
    return result


@pytest.mark.parametrize("baseline", TORCHVISION, ids=lambda baseline: baseline.name)
def test_outputs_are_torchvision_s(baseline: Baseline) -> None:
    """Same weights in the order of definition, same outputs, in both modes."""
    resolution = 224 if baseline.name == "vit-b-16" else 97  # the smallest that all strides are kept for
    torch.manual_seed(0)
    theirs = torchvision_network(baseline)
    with torch.device("meta"):
        ours = baseline.make(Sizes(resolution))
    assert shapes(ours) == shapes(theirs)
    copies = [tensor.clone() for tensor in theirs.state_dict().values()]
    ours.load_state_dict(dict(zip(ours.state_dict(), copies, strict=True)), assign=True)
    images = torch.randn(2, 3, resolution, resolution)
    for training in (False, True):
        expected = output(theirs, images, training=training)
        assert expected.std() > 0.01
        torch.testing.assert_close(output(ours, images, training=training), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("baseline", TORCHVISION, ids=lambda baseline: baseline.name)
def test_dropping_and_normalisation_are_torchvision_s(baseline: Baseline) -> None:
    """Rates of dropout, eps and momentum, but for MNASNet's momentum of 0.0003: too slow for short trainings."""
    with torch.device("meta"):
        networks = baseline.make(baseline.sizes), getattr(torchvision.models, baseline.torchvision)()
    found = []
    mnasnet = baseline.name.startswith("mnasnet")
    for network in networks:
        modules = list(network.modules())
        rates = {getattr(m, "p", 0.0) for m in modules if isinstance(m, nn.Dropout)} - {0.0}
        norms = [(m.eps, max(m.momentum or 0, 0.1 * mnasnet)) for m in modules if isinstance(m, nn.BatchNorm2d)]
        found.append((rates, norms, [m.eps for m in modules if isinstance(m, nn.LayerNorm)]))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "function", "options", "width"),
    [
        ("mobilenet-v2", "mobilenet_v2", {"width_mult": 0.75}, 0.75),
        ("mobilenet-v2", "mobilenet_v2", {"width_mult": 1.4}, 1.4),
        ("mnasnet-b1", "mnasnet0_5", {}, 0.5),
        ("mnasnet-b1", "mnasnet1_3", {}, 1.3),
    ],
)
def test_widths_are_the_published_variants(name: str, function: str, options: dict[str, float], width: float) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision.models, function)(**options)
        assert shapes(find_baseline(name).make(Sizes(224, width=width))) == shapes(theirs)


@pytest.mark.parametrize(
    ("name", "depth", "width"),
    [("efficientnet-b1", 1.1, 1.0), ("efficientnet-b4", 1.8, 1.4), ("efficientnet-b7", 3.1, 2.0)],
)
def test_b0_scales_to_its_family(name: str, depth: float, width: float) -> None:
    with torch.device("meta"):
        scaled = find_baseline("efficientnet-b0").make(Sizes(224, depth=depth, width=width))
        assert shapes(scaled) == shapes(find_baseline(name).make(Sizes(224)))


def test_convnext_scales_to_its_family() -> None:
    """ConvNeXt-B has a third more filters, and 27 blocks in its third stage (Liu 2022, section 3)."""
    with torch.device("meta"):
        wide = ConvNeXt(Sizes(224, width=4 / 3))
        theirs = torchvision.models.convnext_base()
    assert [tensor.shape for tensor in wide.stem.state_dict().values()] == shapes(theirs.features[0])
    last = [tensor.shape for tensor in wide.stages[-1].state_dict().values()]
    assert last == shapes(theirs.features[-1])
    deep = ConvNeXt(Sizes(32, depth=3, width=0.1))
    assert [len(stage) for stage in list(deep.stages)[::2]] == [9, 9, 27, 9]


def test_vision_transformers_keep_heads_of_64_channels() -> None:
    """ViT-L/16 has 24 blocks and 1,024 channels, ViT-B/16 12 and 768 (Dosovitskiy 2021, Table 1)."""
    with torch.device("meta"):
        large = VisionTransformer(Sizes(224, depth=2, width=4 / 3))
        assert shapes(large) == shapes(torchvision.models.vit_l_16())
        assert VisionTransformer(Sizes(32, width=1 / 12)).encoder.positions.shape == (1, 17, 64)


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_learn(name: str) -> None:
    """Gradients are finite, and a step against them lowers the loss on the same batch."""
    torch.manual_seed(0)
    network = find_baseline(name).make(Sizes(16, channels=1, classes=3, **SMALL[name])).train()
    images, labels = torch.randn(12, 1, 16, 16), torch.arange(12) % 3
    losses = []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for _ in range(2):
        torch.manual_seed(1)
        loss = functional.cross_entropy(network(images), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        optimizer.step()
    assert losses[1] < losses[0]


@pytest.mark.parametrize("resolution", [4, 8, 13, 30, 32, 50, 64, 95])
def test_small_images_keep_a_map_of_four_and_every_pixel(resolution: int) -> None:
    """ConvNeXt below 97 pixels: its patchifying convolutions are padded, and each pixel has a gradient."""
    torch.manual_seed(0)
    network = ConvNeXt(Sizes(resolution, width=0.1, depth=0.1)).eval()
    strides = Sizes(resolution).strides((4, 2, 2, 2), canonical=224)
    images = torch.randn(1, 3, resolution, resolution, requires_grad=True)
    features = network.stages(network.stem(images))
    side = resolution
    for stride in strides:
        side = -(-side // stride)
    assert features.shape[2:] == (side, side)
    assert side >= 4
    (features * torch.randn_like(features)).sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).all()


@pytest.mark.parametrize("resolution", [97, 107, 331])
def test_large_images_of_any_size_are_torchvision_s(resolution: int) -> None:
    """ConvNeXt where no stride is given up: what is no whole patch is left out, as published."""
    with torch.device("meta"):
        images = torch.zeros(1, 3, resolution, resolution)
        ours, theirs = ConvNeXt(Sizes(resolution)), torchvision.models.convnext_tiny()
        assert ours.stages(ours.stem(images)).shape == theirs.features(images).shape


@pytest.mark.parametrize(
    ("resolution", "patch", "grid"), [(384, 16, 24), (224, 16, 14), (100, 16, 7), (32, 8, 4), (29, 8, 4), (8, 2, 4)]
)
def test_patches_shrink_with_the_image(resolution: int, patch: int, grid: int) -> None:
    """At least 4 x 4 patches, all of the image in them, and a position for each and for the class token."""
    network = VisionTransformer(Sizes(resolution, depth=0.05, width=0.1))
    images = torch.randn(1, 3, resolution, resolution, requires_grad=True)
    patches = network.patches(images)
    assert network.patches.kernel_size == network.patches.stride == (patch, patch)
    assert patches.shape[2:] == (grid, grid)
    assert network.encoder.positions.shape[1] == grid**2 + 1
    patches.sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).all()


def test_attention_s_products_are_not_among_the_macs() -> None:
    """Twice 197 x 197 x 768 in each of 12 blocks: 715,327,488, which torch's own counter adds at 2 a MAC."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network = VisionTransformer(Sizes(224))
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, 224, 224))
    macs = count_network(lambda: VisionTransformer(Sizes(224)), Images(3, 224, 1000)).macs
    assert counter.get_total_flops() // 2 - macs == 2 * 12 * 197 * 197 * 768 == 715_327_488


@pytest.mark.parametrize("name", ["mnasnet-a1", "efficientnet-b0"])
def test_classifiers_start_as_near_to_zero_for_few_classes_as_for_many(name: str) -> None:
    """Bounds by the number of classes, as published, would be ten times as large for 10 as for 1,000."""
    deviations = []
    for classes in (10, 1000, 4000):
        torch.manual_seed(0)
        network = find_baseline(name).make(Sizes(8, classes=classes, width=0.25, depth=0.1))
        linear = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        deviations.append(linear.weight.std().item())
    assert deviations[0] == pytest.approx(deviations[1], rel=0.03)
    assert deviations[2] == pytest.approx(deviations[1] / 2, rel=0.03)
