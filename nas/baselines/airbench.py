"""The networks of fast CIFAR-10 training: airbench (Jordan 2024) and its ancestor hlb-CIFAR10 (tysam-code 2023).

Both begin with a convolution that whitens patches; its weights are fixed, computed from training images by
`Whitening.whiten`. Until that is called, they whiten patches of the correlations that natural images usually have.
The scales of batch normalisation are fixed at one. Weights are drawn as by the authors: torch's own initialisation,
and identities in airbench's convolutions. Averaging over flipped and shifted images belongs to testing, half precision
to training; both are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from nas.baselines.baseline import Baseline
from nas.baselines.plain_layers import max_pool
from nas.baselines.sizes import Sizes

NEIGHBOURS, COLOURS = 0.95, 0.9  # usual correlations of natural images: next pixels, colour channels
EPSILON = 1e-12  # of batch normalisation


@dataclass(frozen=True, slots=True)
class Layout:
    """What tells the airbench networks apart.

    Attributes:
        filters: of the three groups.
        convolutions: of a group, besides the one before the pooling.
        residual: whether a group adds what came out of its pooling.
        momentum: of batch normalisation's running statistics, the weight of the new value.
    """

    filters: tuple[int, int, int]
    convolutions: int = 1
    residual: bool = False
    momentum: float = 0.4


AIRBENCH_94 = Layout((64, 256, 256))
AIRBENCH_95 = Layout((128, 384, 384))
AIRBENCH_96 = Layout((128, 384, 512), convolutions=2, residual=True, momentum=0.1)


class Whitening(nn.Conv2d):
    """A convolution with fixed weights: the eigenvectors of patches' covariance, each divided by its deviation.

    Args:
        channels: of the images.
        kernel: of the patches.
        padding: of the convolution.
        mirrored: whether each filter comes with its negative, and a trained bias (airbench).
        epsilon: added to the eigenvalues.
    """

    def __init__(self, channels: int, kernel: int, *, padding: int, mirrored: bool, epsilon: float) -> None:
        size = channels * kernel**2
        super().__init__(channels, 2 * size if mirrored else size, kernel, padding=padding, bias=mirrored)
        self.mirrored, self.epsilon = mirrored, epsilon
        self.weight.requires_grad_(False)
        self._set(torch.tensor(_usual_covariance(channels, kernel), dtype=torch.float32))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def whiten(self, images: Tensor) -> None:
        """Set the weights from training images (number, channels, height, width), normalised as in training."""
        patches = nn.functional.unfold(images.float(), self.kernel_size).transpose(1, 2).flatten(0, 1)
        self._set(patches.T @ patches / len(patches))

    @torch.no_grad()
    def _set(self, covariance: Tensor) -> None:
        values, vectors = torch.linalg.eigh(covariance)
        filters = (vectors / (values + self.epsilon).sqrt()).T.flip(0)  # a row each, the largest variance first
        filters = filters.reshape(len(filters), *self.weight.shape[1:])
        self.weight.copy_(torch.cat((filters, -filters)) if self.mirrored else filters)


def _usual_covariance(channels: int, kernel: int) -> np.ndarray:
    places = np.arange(kernel)
    along = NEIGHBOURS ** np.abs(places[:, None] - places)
    colours = np.full((channels, channels), COLOURS) + (1 - COLOURS) * np.eye(channels)
    return np.kron(colours, np.kron(along, along))


def _norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    """Return a batch normalisation that trains its shift only."""
    norm = nn.BatchNorm2d(channels, eps=EPSILON, momentum=momentum)
    norm.weight.requires_grad_(False)
    return norm


def _identity_conv(c_in: int, c_out: int) -> nn.Conv2d:
    """Return a 3 x 3 convolution whose first filters hand on their inputs (section 3.2 of Jordan 2024)."""
    conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight[:c_in])
    return conv


class ConvGroup(nn.Module):
    """A convolution, a pooling, and further convolutions, each with BN and GELU."""

    def __init__(self, c_in: int, c_out: int, *, stride: int, layout: Layout, convolutions: int) -> None:
        super().__init__()
        momentum = layout.momentum
        first = _identity_conv(c_in, c_out)
        self.reduction = nn.Sequential(first, *max_pool(2, stride), _norm(c_out, momentum), nn.GELU())
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            layers += [_identity_conv(c_out, c_out), _norm(c_out, momentum), nn.GELU()]
        self.convs = nn.Sequential(*layers[:-1])  # the last activation comes after the sum
        self.residual = layout.residual

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, c_out, height / stride, width / stride)."""
        reduced = self.reduction(images)
        convolved: Tensor = self.convs(reduced)
        return nn.functional.gelu(convolved + reduced if self.residual else convolved)


class ScaledLinear(nn.Module):
    """Global max pooling, a linear layer without bias, and a fixed factor."""

    def __init__(self, channels: int, classes: int, *, scale: float) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes, bias=False)
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        logits: Tensor = self.linear(images.amax(dim=(2, 3)))
        return logits * self.scale


def airbench(layout: Layout, sizes: Sizes) -> nn.Sequential:
    """Build an airbench network; `depth` multiplies each group's convolutions after its pooling."""
    strides = sizes.strides((2, 2, 2), canonical=32)
    padding = 0 if strides == (2, 2, 2) else 1
    whitening = Whitening(sizes.channels, 2, padding=padding, mirrored=True, epsilon=5e-4)
    layers: list[nn.Module] = [whitening, nn.GELU()]
    channels = whitening.out_channels
    for count, stride in zip(layout.filters, strides, strict=True):
        filters, convolutions = sizes.filters(count), sizes.repeats(layout.convolutions)
        layers.append(ConvGroup(channels, filters, stride=stride, layout=layout, convolutions=convolutions))
        channels = filters
    return nn.Sequential(*layers, ScaledLinear(channels, sizes.classes, scale=1 / 9))


def _conv_norm_celu(c_in: int, c_out: int, *, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, *max_pool(2, stride), _norm(c_out, 0.4), nn.CELU(alpha=0.3))


class ResidualConvs(nn.Module):
    """Convolutions with BN and CELU, added to what they read."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(_conv_norm_celu(channels, channels, kernel=3) for _ in range(count)))

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape."""
        convolved: Tensor = self.convs(images)
        return images + convolved


def hlb(sizes: Sizes) -> nn.Sequential:
    """Build hlb-CIFAR10 (v0.7.0); `depth` multiplies the convolutions of its two residual groups."""
    strides = sizes.strides((2, 2, 2), canonical=32)
    whitening = Whitening(sizes.channels, 3, padding=1, mirrored=False, epsilon=1e-2)
    channels = sizes.filters(64)
    layers: list[nn.Module] = [whitening, _conv_norm_celu(whitening.out_channels, channels, kernel=1)]
    for count, residual, stride in zip((128, 256, 512), (True, False, True), strides, strict=True):
        filters = sizes.filters(count)
        layers.append(_conv_norm_celu(channels, filters, kernel=3, stride=stride))
        layers += [ResidualConvs(filters, sizes.repeats(2))] if residual else []
        channels = filters
    return nn.Sequential(*layers, ScaledLinear(channels, sizes.classes, scale=1 / 16))


def _airbench(accuracy: int, layout: Layout, *, aliases: tuple[str, ...], error: float) -> Baseline:
    return Baseline(
        name=f"airbench{accuracy}",
        title=f"airbench{accuracy}: {accuracy} % on CIFAR-10 in seconds",
        paper="94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
        year=2024,
        make=partial(airbench, layout),
        resolution=32,
        classes=10,
        aliases=aliases,
        top1_error=error,
        note="trainable parameters: whitening weights and the scales of batch normalisation are fixed; "
        "the error is with averaging over flipped and shifted images",
    )


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="hlb-cifar10",
        title="hlb-CIFAR10: 94 % in 6.3 seconds",
        paper="CIFAR-10 hyperlightspeedbench",
        year=2023,
        make=hlb,
        resolution=32,
        classes=10,
        note="its code averages over flipped images in evaluation, which would double the MACs; left out",
    ),
    # the variant for Muon divides logits by 256 and draws a head as much larger: the same network at the start
    _airbench(94, AIRBENCH_94, aliases=("airbench94-compiled", "airbench94-muon"), error=5.99),
    _airbench(95, AIRBENCH_95, aliases=(), error=4.99),
    _airbench(96, AIRBENCH_96, aliases=("airbench96-faster",), error=3.97),
)
