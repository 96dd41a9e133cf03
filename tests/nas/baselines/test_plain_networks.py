"""The networks without branches: equal to torchvision's, able to learn, wider and deeper where they say so."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torchvision
from torch import Tensor, nn

from nas.baselines import Baseline, Sizes, find_baseline
from nas.baselines.plain_layers import extended, map_size
from search_spaces.counting import Sizes as Images
from search_spaces.counting import count_network

THEIRS = (
    "alexnet-torchvision",
    "squeezenet-1.0",
    "squeezenet-1.1",
    *(f"vgg-{letter}{suffix}" for letter in "abde" for suffix in ("", "-bn")),
)
LEARNING = (  # one of each family, at an eighth of its width where that can be
    ("lenet-5", 0.005),
    ("lenet-5-modern", 0.05),
    ("alexnet", 0.01),
    ("zfnet", 0.01),
    ("maxout-cifar10", 0.01),
    ("nin-cifar10", 0.01),
    ("vgg-a", 0.05),
    ("vgg-d-bn", 0.01),
    ("highway-19", 0.01),
    ("squeezenet-1.1", 0.01),
    ("alphago-policy", 0.01),
    ("mobilenet-v1", 0.003),
    ("sagan-cifar", 0.01),
    ("airbench94", 0.01),
    ("airbench96", 0.01),
    ("hlb-cifar10", 0.01),
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _with_equal_weights(baseline: Baseline) -> tuple[nn.Module, nn.Module]:
    """Return our network and torchvision's, sharing their tensors."""
    with torch.device("meta"):
        ours = baseline.make(baseline.sizes)
        theirs = torchvision.models.get_model(baseline.torchvision)
    ours.to_empty(device="cpu")
    for tensor in ours.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(-1, 1).mul_((3 / tensor[0].numel()) ** 0.5)
    for name, buffer in ours.named_buffers():
        buffer.fill_(1 if name.endswith("running_var") else 0)
    assert [tensor.shape for tensor in ours.state_dict().values()] == [
        tensor.shape for tensor in theirs.state_dict().values()
    ]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)), assign=True)
    return ours, theirs


@pytest.mark.parametrize("name", THEIRS)
def test_outputs_are_torchvision_s(name: str) -> None:
    """Weights fit in the order of definition and give equal logits, in evaluation and in training, dropout seeded.

    Built for 224 pixels and shown 96, which torchvision's pooling to a fixed size allows.
    """
    ours, theirs = _with_equal_weights(find_baseline(name))
    images = torch.randn(2, 3, 96, 96)
    for training in (False, True):
        outputs = [_seeded_output(network.train(training), images) for network in (ours, theirs)]
        assert outputs[0].std() > 1e-3, "the comparison says nothing if all logits are equal"
        torch.testing.assert_close(*outputs, rtol=0, atol=1e-5)


def _seeded_output(network: nn.Module, images: Tensor) -> Tensor:
    torch.manual_seed(1)
    with torch.no_grad():
        return network(images)


def _small(baseline: Baseline, *, resolution: int = 16) -> nn.Module:
    width = 0.125 if "width" in baseline.scales else 1.0
    return baseline.make(Sizes(resolution, channels=2, classes=3, width=width))


@pytest.mark.parametrize(("name", "rate"), LEARNING)
def test_a_step_against_the_gradient_lowers_the_loss(name: str, rate: float) -> None:
    """Gradients of all trainable parameters are finite, not all zero, and point uphill, with dropout off."""
    network = _small(find_baseline(name)).train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    images, labels = torch.randn(12, 2, 16, 16), torch.arange(12) % 3
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=rate)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    assert len(gradients) == len(parameters)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)
    assert losses[1] < losses[0]


@pytest.mark.parametrize("name", [name for name, _ in LEARNING])
def test_depth_and_width_enlarge_what_says_so(name: str) -> None:
    """Parameters grow with each factor that a network lists, and stay where it does not list it."""
    baseline = find_baseline(name)
    images = Images(baseline.channels, baseline.resolution, baseline.classes)

    def params(**factors: float) -> int:
        sizes = Sizes(baseline.resolution, baseline.channels, baseline.classes, **factors)
        return count_network(lambda: baseline.make(sizes), images).params

    published = params()
    assert (params(depth=2.0) > published) == ("depth" in baseline.scales)
    assert (params(width=2.0) > published) == ("width" in baseline.scales)
    assert (params(width=0.5) < published) == ("width" in baseline.scales)


def _map_sizes(baseline: Baseline, resolution: int) -> list[int]:
    """Return height and width after each convolution, in order."""
    sizes: list[int] = []
    network = _small(baseline, resolution=resolution)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.shape[-1]))
    with torch.no_grad():
        network.eval()(torch.randn(1, 2, resolution, resolution))
    return sizes


@pytest.mark.parametrize("name", ["alexnet", "zfnet", "nin-imagenet", "squeezenet-1.0", "vgg-d", "mobilenet-v1"])
def test_small_images_keep_a_map_of_four_positions(name: str) -> None:
    """Where strides were given up, the last map before the head has four positions a side, on powers of two."""
    for resolution in (8, 16, 32):
        maps = _map_sizes(find_baseline(name), resolution)
        assert maps[0] == resolution, "the stem gave up its stride"
        assert all(small <= large for large, small in pairwise(maps))
        assert maps[-1] in (4, 8), "a last pooling may follow the last convolution"


@pytest.mark.parametrize(
    ("layers", "size"),
    [
        ([nn.Conv2d(1, 1, 11, stride=4), nn.MaxPool2d(3, 2)], 227),
        ([nn.Conv2d(1, 1, 3, stride=2, padding=1), nn.AvgPool2d(3, 2, ceil_mode=True)], 33),
        ([nn.MaxPool2d(3, 2, padding=1, ceil_mode=True) for _ in range(3)], 22),
        ([nn.MaxPool2d(2, 2, ceil_mode=True), nn.ReLU(), nn.MaxPool2d(4, 2)], 31),
    ],
)
def test_map_size_is_what_torch_gives(layers: list[nn.Module], size: int) -> None:
    features = nn.Sequential(*layers)
    for resolution in range(size - 8, size + 1):
        assert map_size(features, resolution) == features(torch.zeros(1, 1, resolution, resolution)).shape[-1]


def test_extended_repeats_the_last_item() -> None:
    assert extended((1, 2, 3), 2) == [1, 2]
    assert extended((1, 2, 3), 5) == [1, 2, 3, 3, 3]
