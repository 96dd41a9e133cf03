"""SqueezeNet (Iandola 2016): fire modules, which squeeze to a few maps and expand by 1 x 1 and 3 x 3 convolutions.

As in torchvision, initialisation (He 2015, uniform; the last convolution normal, deviation 0.01) and rectified
logits included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import conv_relu, extended, max_pool, network
from nas.baselines.sizes import Sizes
from search_spaces.scaling_rules import stem_kernel

PAPER = "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size"


@dataclass(frozen=True, slots=True)
class Version:
    """A network of fire modules.

    Attributes:
        filters, kernel: of the stem.
        stages: squeeze and expand filters of the fire modules; a max pooling comes before each stage.
    """

    filters: int
    kernel: int
    stages: tuple[tuple[tuple[int, int], ...], ...]


V1_0 = Version(  # Table 1
    96,
    7,
    (
        ((16, 64), (16, 64), (32, 128)),
        ((32, 128), (48, 192), (48, 192), (64, 256)),
        ((64, 256),),
    ),
)
V1_1 = Version(  # the authors' repository, SqueezeNet_v1.1
    64,
    3,
    (
        ((16, 64), (16, 64)),
        ((32, 128), (32, 128)),
        ((48, 192), (48, 192), (64, 256), (64, 256)),
    ),
)


class Fire(nn.Module):
    """Squeeze to a few maps by 1 x 1, expand them by 1 x 1 and by 3 x 3, concatenate (section 3.2)."""

    def __init__(self, channels: int, *, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = conv_relu(channels, squeeze, kernel=1)
        self.expand_1x1 = conv_relu(squeeze, expand, kernel=1)
        self.expand_3x3 = conv_relu(squeeze, expand, kernel=3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, 2 x expand, height, width)."""
        squeezed = self.squeeze(images)
        return torch.cat((self.expand_1x1(squeezed), self.expand_3x3(squeezed)), dim=1)


def squeezenet(version: Version, sizes: Sizes) -> nn.Sequential:
    """Build a version; `depth` multiplies the fire modules of each stage, the last kind repeated."""
    published = (2, 2, 2, 2)
    strides = sizes.strides(published, canonical=224)
    kernel = stem_kernel(version.kernel, strides[0], published[0])
    padding = 0 if strides == published else kernel // 2
    channels = sizes.filters(version.filters)
    features = nn.Sequential(conv_relu(sizes.channels, channels, kernel=kernel, stride=strides[0], padding=padding))
    for fires, stride in zip(version.stages, strides[1:], strict=True):
        features.extend(max_pool(3, stride, ceil=True))
        for squeeze, expand in extended(fires, sizes.repeats(len(fires))):
            features.append(Fire(channels, squeeze=sizes.filters(squeeze), expand=sizes.filters(expand)))
            channels = 2 * sizes.filters(expand)
    head = nn.Conv2d(channels, sizes.classes, 1)
    classifier = nn.Sequential(nn.Dropout(), head, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    built = network(features, classifier).apply(_init)
    nn.init.normal_(head.weight, 0, 0.01)
    return built


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="squeezenet-1.0",
        title="SqueezeNet 1.0",
        paper=PAPER,
        year=2016,
        make=partial(squeezenet, V1_0),
        aliases=("squeezenet", "squeezenet1_0"),
        top1_error=42.5,
        top5_error=19.7,
        torchvision="squeezenet1_0",
        note="counted at 224 pixels as in torchvision; the Caffe original reads 227",
    ),
    Baseline(
        name="squeezenet-1.1",
        title="SqueezeNet 1.1: as accurate as 1.0 for 2.3 times fewer MACs",
        paper=PAPER,
        year=2016,
        make=partial(squeezenet, V1_1),
        aliases=("squeezenet1_1",),
        torchvision="squeezenet1_1",
        note="not in the paper: the authors' repository",
    ),
)
