"""The torch modules that a layout of inverted bottlenecks becomes.

Layers are defined in the order of torchvision's MobileNets, MNASNet and EfficientNets, so that their weights fit
tensor by tensor.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from search_spaces.cell_network import drop_path
from search_spaces.layers import Normalization
from search_spaces.mbconv_design import Activation, Design
from search_spaces.mbconv_layout import BlockLayout, ConvNorm, Excitation, MBConvLayout

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
    "silu": nn.SiLU,
}
PUBLISHED_CLASSES = 1000
GATES = {"sigmoid": nn.Sigmoid, "hard_sigmoid": nn.Hardsigmoid}


class MBConvNetwork(nn.Module):
    """Images (batch, channels, height, width) -> logits (batch, classes).

    Weights are drawn from torch's global generator when it is made; whoever needs them repeatable seeds that.
    """

    def __init__(self, layout: MBConvLayout) -> None:
        """Make every module of the layout and draw its weights."""
        super().__init__()
        design = layout.design
        self.stem = _conv_norm(layout.stem, design.normalization)
        self.blocks = nn.Sequential(*(MBConvBlock(block, design) for block in layout.blocks))
        self.head = _conv_norm(layout.head, design.normalization)
        self.pool = nn.AdaptiveAvgPool2d(1)
        *hidden, last = (nn.Linear(c_in, c_out) for c_in, c_out in layout.linear_sizes)
        activations = [ACTIVATIONS[design.activation](inplace=True) for _ in hidden]
        self.classifier = nn.Sequential(*hidden, *activations, nn.Dropout(design.dropout), last)
        _initialize(self, design)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        features = self.pool(self.head(self.blocks(self.stem(images))))
        logits: Tensor = self.classifier(features.flatten(1))
        return logits


class MBConvBlock(nn.Module):
    """(batch, c_in, h, w) -> (batch, c_out, ceil(h / stride), ceil(w / stride))."""

    def __init__(self, layout: BlockLayout, design: Design) -> None:
        """Make the layers; while training, the residual is dropped at the layout's rate."""
        super().__init__()
        self.layers = nn.Sequential(*(_layer(layer, design) for layer in layout.layers))
        self.residual = layout.residual
        self.drop_path = layout.drop_path

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers, and add the input where shapes allow and the stage wants it."""
        result: Tensor = self.layers(x)
        if not self.residual:
            return result
        if self.training and self.drop_path > 0:
            result = drop_path(result, self.drop_path)
        return x + result


class SqueezeExcitation(nn.Module):
    """(batch, channels, h, w) -> the same shape: channels scaled by what two layers make of their means (Hu 2018)."""

    def __init__(self, layout: Excitation, design: Design) -> None:
        """Make the two pointwise layers."""
        super().__init__()
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(layout.channels, layout.squeeze, 1),
            ACTIVATIONS[layout.activation](inplace=True),
            nn.Conv2d(layout.squeeze, layout.channels, 1),
            GATES[design.gate](),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels."""
        scaled: Tensor = self.scale(x) * x
        return scaled


def _layer(layer: ConvNorm | Excitation, design: Design) -> nn.Module:
    if isinstance(layer, ConvNorm):
        return _conv_norm(layer, design.normalization)
    return SqueezeExcitation(layer, design)


def _conv_norm(layer: ConvNorm, normalization: Normalization) -> nn.Sequential:
    conv = nn.Conv2d(
        layer.c_in,
        layer.c_out,
        layer.kernel,
        stride=layer.stride,
        padding=layer.kernel // 2,
        groups=layer.groups,
        bias=False,
    )
    norm = nn.BatchNorm2d(layer.c_out, eps=normalization.eps, momentum=normalization.momentum)
    activations = [ACTIVATIONS[layer.activation](inplace=True)] if layer.activation else []
    return nn.Sequential(conv, norm, *activations)


def _initialize(network: nn.Module, design: Design) -> None:
    """Draw weights as torchvision: convolutions normal with variance 2 / fan-out, linear layers as the design says."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            _initialize_linear(module, design)
            nn.init.zeros_(module.bias)


def _initialize_linear(linear: nn.Linear, design: Design) -> None:
    """Draw a linear layer's weights; for few classes no further from zero than for ImageNet's 1,000.

    Published bounds grow as classes get fewer: MnasNet's first losses were 8 to 11 for 10 classes, and it learnt badly.
    """
    match design.classifier:
        case "normal":
            nn.init.normal_(linear.weight, std=0.01)
        case "uniform":
            bound = math.sqrt(1 / max(linear.out_features, PUBLISHED_CLASSES))
            nn.init.uniform_(linear.weight, -bound, bound)
        case "fan_out":
            bound = math.sqrt(3 / max(linear.out_features, PUBLISHED_CLASSES))
            nn.init.uniform_(linear.weight, -bound, bound)
