"""The Zen-score: how far the features of a network with Gaussian weights move when its Gaussian input does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from nas.evaluators.training_free.minibatch import Minibatch
from nas.evaluators.training_free.score import UnscorableError, use_batch_statistics

STEP = 0.01  # alpha of Lin 2021
_AVERAGES: frozenset[Callable[..., Any]] = frozenset(
    (functional.adaptive_avg_pool2d, functional.avg_pool2d, torch.mean, Tensor.mean)
)


class _FeatureProbe(TorchFunctionMode):
    """Watches a forward pass for its last feature map and for the scales that batch normalisation divides by.

    Attributes:
        features: (batch, channels, height, width): the last such result of anything but an average; None before.
        log_scale: sum over batch normalisations of log sigma, sigma^2 the mean over channels of the input's
            variance. One whose input hardly varies, less than its eps, hides no scale and adds nothing.
    """

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__()
        self.features: Tensor | None = None
        self.log_scale = 0.0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a torch function and note what it says."""
        settings = kwargs or {}
        if func is functional.batch_norm:
            variance = float(args[0].transpose(0, 1).flatten(1).var(1, correction=0).mean())
            self.log_scale += 0.5 * math.log(variance) if variance > settings["eps"] else 0.0
        result = func(*args, **settings)
        if isinstance(result, Tensor) and result.ndim == 4 and func not in _AVERAGES:
            self.features = result
        return result


def compute_zen(network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
    """Return the Zen-score, log E|f(x) - f(x + 0.01 e)| + sum over batch normalisations of log sigma.

    Lin 2021, Algorithm 1 (https://arxiv.org/abs/2102.01063): weights, x and e are standard Gaussian, f is the
    feature map before global average pooling, the norm is an image's Frobenius norm, and the sum puts back the
    scale that batch normalisation took out. Where it deviates: residual links stay, because a cell has no path
    without them, and sigma is the minibatch's own, not the running average of the released code. What is taken
    as f is the last four-dimensional result that is no average.

    Args:
        network: changed: new weights, batch normalisation uses the Gaussian inputs.
        batch: only the shape of its images and its device are read; its size is the number of inputs.
        generator: draws weights and inputs.

    Returns:
        The score; minus infinity where the features do not depend on the input.

    Raises:
        UnscorableError: the network has no feature maps.
    """
    use_batch_statistics(network)
    with torch.no_grad():
        _draw_gaussian_weights(network, generator)
        x, step = (torch.randn(batch.images.shape, generator=generator).to(batch.images.device) for _ in range(2))
        features, log_scale = _probe(network, x)
        moved, _ = _probe(network, x + STEP * step)
        distance = (features - moved).flatten(1).norm(dim=1).mean()
        return float(distance.log()) + log_scale


def _probe(network: nn.Module, images: Tensor) -> tuple[Tensor, float]:
    with _FeatureProbe() as probe:
        network(images)
    if probe.features is None:
        raise UnscorableError("zen compares feature maps (batch, channels, height, width), and this network has none")
    return probe.features, probe.log_scale


def _draw_gaussian_weights(network: nn.Module, generator: torch.Generator) -> None:
    """Draw convolutions' and linear layers' weights; biases become zero, batch normalisation scales by one."""
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            elif name == "bias":
                parameter.zero_()
            elif isinstance(module, _BatchNorm):
                parameter.fill_(1.0)
