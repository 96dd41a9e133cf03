"""Layers of torch made as copies of one that was made before.

A cell network has hundreds of layers of some dozen kinds. Torch's constructors spend most of their time on checks and
attributes, and on first weights that the network then draws anew; a copy of a template spends it on memory alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def copy_layer(template: nn.Module) -> nn.Module:
    """Return a layer like the template, on the current default device, that shares nothing with it.

    Args:
        template: a single layer of torch, on the CPU, without inner layers or hooks. What a normalisation holds is
            ones and zeros, and so is the copy's; the weights and bias of other layers come without contents, for
            the network to draw.
    """
    layer = object.__new__(type(template))
    layer.__dict__.update(
        {name: _own(value) if isinstance(value, dict) else value for name, value in template.__dict__.items()}
    )
    drawn = any(value is not None and value.dim() > 1 for value in template._parameters.values())
    layer._parameters = {name: _new_parameter(value, drawn) for name, value in template._parameters.items()}
    layer._buffers = {name: None if value is None else _new(value) for name, value in template._buffers.items()}
    return layer


def _own(value: dict[str, Any]) -> dict[str, Any]:
    return value.copy() if value else type(value)()  # an ordered dict takes ten times as long to copy as to make


def _new_parameter(value: nn.Parameter | None, drawn: bool) -> nn.Parameter | None:
    if value is None:
        return None
    return nn.Parameter(torch.empty(value.shape) if drawn else _new(value.detach()), value.requires_grad)


def _new(value: Tensor) -> Tensor:
    """Return a tensor of ones or zeros like this one, which is all ones or all zeros."""
    return torch.full(value.shape, value.flatten()[0].item(), dtype=value.dtype)
