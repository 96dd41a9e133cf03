"""Scores from one backward pass of a minibatch: the gradient's norm, SNIP, and the Jacobian's covariance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.evaluators.training_free.minibatch import Minibatch
from nas.evaluators.training_free.score import kernels, use_batch_statistics

_EIGENVALUE_OFFSET = 1e-5  # k of Mellor 2020


def compute_grad_norm(network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
    """Return the gradient's norm: the sum over layers of the Euclidean norm of the loss's gradient.

    Abdelfattah 2021, section 3.1 (https://arxiv.org/abs/2101.08134); that norms are taken a layer at a time, of the
    weights of convolutions and linear layers without biases, is in its released code only. The loss is the
    mean cross-entropy of the minibatch.

    Args:
        network: changed: batch normalisation uses the minibatch.
        batch: images and labels; their order does not matter but for rounding.
        generator: not used.

    Raises:
        UnscorableError: the network has no convolutions or linear layers.
    """
    gradients = _loss_gradients(network, batch, kernels(network))
    return sum(float(gradient.norm()) for gradient in gradients)


def compute_snip(network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
    """Return SNIP's connection sensitivities, |w x dL/dw|, summed over all weights.

    Lee 2019 (https://arxiv.org/abs/1810.02340), without its division by the sum, which would make every network's
    score 1; summed over convolutions and linear layers as in Abdelfattah 2021, section 3.2.

    Args:
        network: changed: batch normalisation uses the minibatch.
        batch: images and labels; their order does not matter but for rounding.
        generator: not used.

    Raises:
        UnscorableError: the network has no convolutions or linear layers.
    """
    weights = kernels(network)
    gradients = _loss_gradients(network, batch, weights)
    return sum(float((w.detach() * g).abs().sum()) for w, g in zip(weights, gradients, strict=True))


def compute_jacov(network: nn.Module, batch: Minibatch, *, generator: torch.Generator) -> float:
    """Return the Jacobian covariance score, -sum(log(v + k) + 1 / (v + k)), k = 1e-5.

    v are the eigenvalues of the correlation matrix of the images' Jacobians, each the gradient of the sum of an
    image's logits by its pixels (Mellor 2020, the first version of https://arxiv.org/abs/2006.04647, section 3).
    Batch normalisation lets one image's logits depend on another's pixels; as released, those gradients are added.

    Args:
        network: changed: batch normalisation uses the minibatch.
        batch: images; the score does not depend on their order (but for rounding) or labels.
        generator: not used.

    Returns:
        The score; not a number where an image's Jacobian is constant.
    """
    use_batch_statistics(network)
    pixels = batch.images.clone().requires_grad_()
    # a network may begin with an in-place layer, which autograd refuses on the pixels themselves
    total = network(pixels.clone()).sum()
    (jacobian,) = torch.autograd.grad(total, pixels, materialize_grads=True)
    correlation = torch.corrcoef(jacobian.flatten(1).double()).reshape(len(batch), len(batch))
    if not correlation.isfinite().all():
        return float("nan")
    shifted = torch.linalg.eigvalsh(correlation) + _EIGENVALUE_OFFSET
    return -float((shifted.log() + 1 / shifted).sum())


def _loss_gradients(network: nn.Module, batch: Minibatch, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the mean cross-entropy's gradient by each weight, zeros where it does not depend on it."""
    use_batch_statistics(network)
    loss = functional.cross_entropy(network(batch.images), batch.labels)
    return torch.autograd.grad(loss, weights, materialize_grads=True)
