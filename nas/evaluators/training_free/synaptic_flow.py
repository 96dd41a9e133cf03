"""Synaptic flow: how much passes through a network from end to end when all weights are positive. No data."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.evaluators.training_free.minibatch import Minibatch
from nas.evaluators.training_free.score import kernels


def compute_synflow(network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
    """Return the natural logarithm of the summed synaptic saliencies, w x dR/dw (Abdelfattah 2021, section 3.2).

    R is the sum of the logits for one image of ones with every parameter replaced by its absolute value, and the
    saliency is Tanaka 2020's (https://arxiv.org/abs/2006.05467, section 5: R_SF). The sum is over convolutions and
    linear layers (https://arxiv.org/abs/2101.08134 and its code). Batch normalisation is in evaluation mode at fresh
    running statistics, which leaves its scale and shift. The sum grows like a product over the layers: double
    precision holds it up to 1e308, and the logarithm, which keeps the order, is what is returned.

    For L layers in a chain without biases every layer's saliencies add up to R, so that this is log(L x R).

    Args:
        network: changed: in double precision, all weights positive.
        batch: only the shape of its images and its device are read.
        generator: not used.

    Returns:
        The logarithm; minus infinity where nothing passes, infinity or not a number beyond 1e308.

    Raises:
        UnscorableError: the network has no convolutions or linear layers.
    """
    network.double().eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
    for parameter in network.parameters():
        parameter.data.abs_()
    weights = kernels(network)
    ones = torch.ones(1, *batch.images.shape[1:], dtype=torch.float64, device=batch.images.device)
    gradients = torch.autograd.grad(network(ones).sum(), weights, materialize_grads=True)
    total = sum(float((weight.detach() * gradient).sum()) for weight, gradient in zip(weights, gradients, strict=True))
    return float(torch.tensor(total, dtype=torch.float64).log())
