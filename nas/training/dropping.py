"""Rates at which networks drop whole branches while they are trained."""

from __future__ import annotations

from torch import nn


def set_stochastic_depth(network: nn.Module, rate: float) -> None:
    """Set the rate at which the last residual block is dropped, and those before it in proportion, in place.

    Blocks keep the proportions that the network gave them; where it gave all 0, they grow linearly (Huang 2016, eq. 4).
    A network without such blocks stays as it is.
    """
    blocks = [module for module in network.modules() if _rate(module) is not None]
    rates = [_rate(block) or 0.0 for block in blocks]
    highest = max(rates, default=0.0)
    for i, (block, own) in enumerate(zip(blocks, rates, strict=True)):
        _set_rate(block, rate * (own / highest if highest else (i + 1) / len(blocks)))


def _rate(module: nn.Module) -> float | None:
    """Return the rate at which a module drops its branch; None for one that never does."""
    from torchvision.ops import StochasticDepth

    from nas.baselines.cifar_resnet import StochasticResidual
    from search_spaces.mbconv_network import MBConvBlock

    if isinstance(module, StochasticResidual):
        return 1 - module.survival
    if isinstance(module, MBConvBlock):
        return module.drop_path
    return float(module.p) if isinstance(module, StochasticDepth) else None


def _set_rate(module: nn.Module, rate: float) -> None:
    if hasattr(module, "survival"):
        module.survival = 1 - rate  # type: ignore[assignment]
    elif hasattr(module, "drop_path"):
        module.drop_path = rate  # type: ignore[assignment]
    else:
        module.p = rate  # type: ignore[assignment]
