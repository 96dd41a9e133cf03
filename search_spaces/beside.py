"""Maps of several layers beside each other along the channels, in channels_last: what fused layers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


def rows(x: Tensor) -> Tensor:
    """(n, c, h, w) -> (n h w, c), a view where the pixels lie evenly."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def pixels(table: Tensor, *, like: Tensor) -> Tensor:
    """(n h w, c) -> (n, c, h, w), with the images and the size of another tensor; a view."""
    batch, _, height, width = like.shape
    return table.view(batch, height, width, -1).permute(0, 3, 1, 2)


def beside(tensors: Sequence[Tensor]) -> Tensor:
    """(n, c, h, w) each -> (n, k c, h, w) in channels_last."""
    return pixels(torch.cat([rows(x) for x in tensors], dim=1), like=tensors[0])


def is_plain_norm(norm: nn.BatchNorm2d) -> bool:
    """Return whether a normalisation is by the batch, scaled, shifted, and followed by running statistics."""
    return norm.training and norm.affine and norm.running_mean is not None and norm.momentum is not None


def normalise(x: Tensor, scale: Tensor, shift: Tensor, norms: Sequence[nn.BatchNorm2d]) -> tuple[Tensor, ...]:
    """Normalise maps that lie beside each other; running statistics follow.

    Args:
        x: (batch, channels of all, height, width).
        scale: of all channels; so is `shift`.
        shift: of all channels.
        norms: what each part of the channels belongs to, with the same settings.

    Returns:
        What came of x, and the batch's mean and 1 / deviation.
    """
    means = [cast("Tensor", norm.running_mean) for norm in norms]
    variances = [cast("Tensor", norm.running_var) for norm in norms]
    mean, variance = torch.cat(means), torch.cat(variances)
    result: tuple[Tensor, ...] = torch.native_batch_norm(
        x, scale, shift, mean, variance, True, cast("float", norms[0].momentum), norms[0].eps
    )
    sizes = [len(part) for part in means]
    torch._foreach_copy_([*means, *variances], [*mean.split(sizes), *variance.split(sizes)])  # type: ignore[no-untyped-call]
    torch._foreach_add_([cast("Tensor", norm.num_batches_tracked) for norm in norms], 1)
    return result


def normalise_backward(
    gradient: Tensor, x: Tensor, scale: Tensor, mean: Tensor, deviation: Tensor, *, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, scale and shift; the arguments are those and the results of `normalise`."""
    a, b, c = torch.ops.aten.native_batch_norm_backward(
        gradient, x, scale, None, None, mean, deviation, True, eps, (True, True, True)
    )
    return a, b, c
