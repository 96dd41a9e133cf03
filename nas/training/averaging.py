"""A moving average of a network's weights, measured and kept in the place of the last ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """The exponential moving average of everything in a network's state dict, running statistics included.

    The decay is min(decay, (1 + n) / (10 + n)) at step n, as in TensorFlow's ExponentialMovingAverage with a number of
    updates, so that short trainings have an average worth having. Whole numbers are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with the network's weights."""
        self._decay = decay
        self.values = copied(network.state_dict())

    def share_at(self, step: int) -> float:
        """Return the share of the weights after a step, counted from 0 over the whole training."""
        return 1 - min(self._decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, network: nn.Module, share: float | Tensor) -> None:
        """Take in the weights by their share, a number or a tensor of no dimensions where they are."""
        pairs = [(self.values[name], tensor) for name, tensor in network.state_dict().items()]
        floats = [(mean, tensor) for mean, tensor in pairs if mean.is_floating_point()]
        _move([mean for mean, _ in floats], [tensor for _, tensor in floats], share)
        for mean, tensor in pairs:
            if not mean.is_floating_point():
                mean.copy_(tensor)


def _move(means: list[Tensor], values: list[Tensor], share: float | Tensor) -> None:
    """Move means by a share of their way to the values, in place."""
    if not isinstance(share, Tensor):
        torch._foreach_lerp_(means, values, share)
        return
    ways = torch._foreach_sub(values, means)
    torch._foreach_mul_(ways, share)
    torch._foreach_add_(means, ways)


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict that does not change with the network."""
    return {name: tensor.detach().clone() for name, tensor in state.items()}
