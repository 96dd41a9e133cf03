"""Self-attention over positions (Zhang 2019, SAGAN), and a small classifier around it.

The block is that of the authors' released code: no biases, keys and values pooled to a quarter of the positions.
SAGAN is a generative network; the classifier is ours: two 3 x 3 convolutions with BN at 64, 128 and 256 filters, the
attention after the first pooling, global average pooling. Spectral normalisation belongs to the adversarial training
and is left out. Weights are drawn as by He (2015).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import init_he, max_pool
from nas.baselines.sizes import Sizes

FILTERS = (64, 128, 256)
CONVOLUTIONS = 2  # in each stage


class SelfAttention(nn.Module):
    """x + gamma attention(x): 1.25 C^2 + 1 parameters for C channels (section 3, and its released code).

    gamma starts at zero, so the block starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.out = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape, of at least 2 x 2 positions."""
        query = self.query(images).flatten(2)
        key = nn.functional.max_pool2d(self.key(images), 2).flatten(2)
        value = nn.functional.max_pool2d(self.value(images), 2).flatten(2)
        attention = torch.bmm(query.transpose(1, 2), key).softmax(dim=-1)  # (batch, positions, positions / 4)
        read = torch.bmm(value, attention.transpose(1, 2))
        maps: Tensor = read.unflatten(2, images.shape[2:])  # type: ignore[no-untyped-call]
        change: Tensor = self.out(maps)
        return images + self.gamma * change


def sagan_classifier(sizes: Sizes) -> nn.Sequential:
    """Build the classifier; `depth` multiplies the convolutions of each stage."""
    sizes.require("sagan-cifar", at_least=2)  # keys and values are pooled over 2 x 2 positions
    strides = (*sizes.strides((2, 2), canonical=32), 1)
    channels = sizes.channels
    layers: list[nn.Module] = []
    for i, (count, stride) in enumerate(zip(FILTERS, strides, strict=True)):
        filters = sizes.filters(count)
        for _ in range(sizes.repeats(CONVOLUTIONS)):
            conv = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
            channels = filters
        layers += max_pool(2, stride)
        layers += [SelfAttention(channels)] if i == 0 else []
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, sizes.classes))
    return nn.Sequential(*layers, *head).apply(init_he)


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="sagan-cifar",
        title="Small convolutional network with SAGAN's self-attention",
        paper="Self-Attention Generative Adversarial Networks",
        year=2019,
        make=sagan_classifier,
        resolution=32,
        classes=10,
        note="the block is the paper's, the classifier around it ours",
    ),
)
