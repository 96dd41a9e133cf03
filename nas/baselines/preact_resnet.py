"""Residual networks with pre-activation, for CIFAR and ImageNet, and wide residual networks."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.residual_layers import (
    CIFAR_STRIDES,
    IMAGENET_STRIDES,
    STAGE_FILTERS,
    conv,
    imagenet_stem,
    norm_relu,
    pooled_classifier,
    residual_network,
    stages,
)
from nas.baselines.sizes import Sizes

EXPANSION = 4  # a bottleneck gives four times the filters of its 3 x 3


class PreActivation(nn.Module):
    """(batch, c_in, h, w) -> branch(a) + shortcut, with a = relu(norm(x)) (He 2016, Identity Mappings, Fig. 4e).

    The shortcut is x itself, or a convolution of a where filters or size change.
    """

    def __init__(self, activation: nn.Module, branch: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.activation = activation
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, c_out, h', w')."""
        activated = self.activation(x)
        total: Tensor = self.branch(activated)
        total += x if self.shortcut is None else self.shortcut(activated)
        return total


def _unit(branch: list[nn.Module], c_in: int, c_out: int, stride: int) -> nn.Module:
    changes = stride > 1 or c_in != c_out
    shortcut = conv(c_in, c_out, stride=stride) if changes else None
    return PreActivation(nn.Sequential(*norm_relu(c_in)), nn.Sequential(*branch), shortcut)


def preact_basic(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Return a unit of two 3 x 3 convolutions."""
    branch = [conv(c_in, c_out, kernel=3, stride=stride), *norm_relu(c_out), conv(c_out, c_out, kernel=3)]
    return _unit(branch, c_in, c_out, stride)


def preact_bottleneck(c_in: int, c_out: int, stride: int) -> nn.Module:
    """Return a unit of 1x1, 3x3, 1x1 convolutions; the stride is in the 3x3."""
    inner = max(1, c_out // EXPANSION)
    branch = [
        conv(c_in, inner),
        *norm_relu(inner),
        conv(inner, inner, kernel=3, stride=stride),
        *norm_relu(inner),
        conv(inner, c_out),
    ]
    return _unit(branch, c_in, c_out, stride)


@dataclass(frozen=True, slots=True)
class CifarPreactNet:
    """A 3 x 3 stem of 16 filters and three stages (He 2016, Identity Mappings; Zagoruyko 2016, Table 1).

    Attributes:
        repeats: units in each stage.
        bottleneck: units are bottlenecks.
        widening: multiplies the filters of the stages.
    """

    repeats: int
    bottleneck: bool = False
    widening: int = 1

    def make(self, sizes: Sizes) -> nn.Sequential:
        """Build it."""
        factor = self.widening * (EXPANSION if self.bottleneck else 1)
        filters = [sizes.filters(16), *(sizes.filters(count) * factor for count in (16, 32, 64))]
        body = stages(
            preact_bottleneck if self.bottleneck else preact_basic,
            filters,
            repeats=[sizes.repeats(self.repeats)] * 3,
            strides=sizes.strides(CIFAR_STRIDES, canonical=32),
        )
        _activate_first_shortcut(body)
        head = [*norm_relu(filters[-1]), *pooled_classifier(filters[-1], sizes.classes)]
        return residual_network(conv(sizes.channels, filters[0], kernel=3), body, head)


def _activate_first_shortcut(body: nn.Sequential) -> None:
    """Let the first unit's identity start after the activation: nothing has activated the stem (He 2016, appendix)."""
    first = next(module for module in body.modules() if isinstance(module, PreActivation))
    if first.shortcut is None:
        first.shortcut = nn.Identity()


def _resnet_200(sizes: Sizes) -> nn.Module:
    strides = sizes.strides(IMAGENET_STRIDES, canonical=224)
    filters = [sizes.filters(64), *(sizes.filters(count) * EXPANSION for count in STAGE_FILTERS)]
    return residual_network(
        imagenet_stem(sizes.channels, filters[0], strides),
        stages(
            preact_bottleneck,
            filters,
            repeats=[sizes.repeats(count) for count in (3, 24, 36, 3)],
            strides=strides[2:],
        ),
        [*norm_relu(filters[-1]), *pooled_classifier(filters[-1], sizes.classes)],
    )


PREACT = "Identity Mappings in Deep Residual Networks"
NO_SCALES = "The 10.2 M parameters printed leave out normalisation's scale and shift. "
LATE_STRIDE = "The stride is in the 3x3; the authors' code has it in the first 1x1: fewer MACs, the same parameters."


def _preact(layers: int, network: CifarPreactNet, *, error: float, note: str = "") -> Baseline:
    return Baseline(
        f"preact-resnet-{layers}",
        f"ResNet-{layers} with pre-activation for CIFAR, with projections",
        PREACT,
        2016,
        network.make,
        resolution=32,
        classes=10,
        aliases=(f"preresnet-{layers}", f"preactresnet{layers}"),
        top1_error=error,
        note=note,
    )


BASELINES: tuple[Baseline, ...] = (
    _preact(110, CifarPreactNet(18), error=6.37),
    _preact(164, CifarPreactNet(18, bottleneck=True), error=5.46, note=LATE_STRIDE),
    _preact(1001, CifarPreactNet(111, bottleneck=True), error=4.92, note=NO_SCALES + LATE_STRIDE),
    Baseline(
        "resnet-200",
        "ResNet-200 with pre-activation, stride in the 3x3",
        PREACT,
        2016,
        _resnet_200,
        aliases=("resnet200", "preact-resnet-200"),
        top1_error=21.7,
        top5_error=5.8,
        note="64.5 M parameters, often quoted, leave out normalisation's scale and shift.",
    ),
    Baseline(
        "wide-resnet-28-10",
        "Wide ResNet-28-10 for CIFAR",
        "Wide Residual Networks",
        2016,
        CifarPreactNet(4, widening=10).make,
        resolution=32,
        classes=10,
        aliases=("wrn-28-10",),
    ),
)
