"""Global average pooling in the place of fully-connected layers (Lin 2014, section 3.2)."""

from __future__ import annotations

from torch import nn

from nas.errors import InvalidInputError
from nas.parts.flow import MAP, Flow

HEADS = ("global_average",)


def average_globally(network: nn.Module, flow: Flow) -> nn.Module:
    """Put the mean over positions and one linear layer in the place of a fully-connected head, in place.

    The head begins, in the `nn.Sequential` that ends in the network's last linear layer, at a convolution as large as
    its map, at a flattening of maps of several positions, or at one with hidden layers behind it. An adaptive average
    pooling or a dropout right in front of it goes as well. Lin's head averages one map for each class, which a 1 x 1
    convolution gave: that convolution and the mean change places here, which changes nothing.

    Args:
        network: changed in place; the new layer is drawn as torch draws it.
        flow: of this network.

    Raises:
        InvalidInputError: the network has no such head, or already averages.
    """
    for sequence in network.modules():
        if type(sequence) is not nn.Sequential or not _ends(sequence, flow):
            continue
        start = _start(sequence, flow)
        if start is not None:
            channels, classes = flow.inputs[sequence[start]][1], _last(sequence).out_features
            device = _last(sequence).weight.device
            del sequence[start:]
            head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes, device=device))
            sequence.extend(module.train(sequence.training) for module in head)
            return network
    raise InvalidInputError(
        f"this {type(network).__name__} has no fully-connected head to exchange: it averages over positions already, "
        "or its head is not an nn.Sequential with an nn.Flatten and linear layers at the end."
    )


def _ends(sequence: nn.Sequential, flow: Flow) -> bool:
    """Return whether a sequence ends in a linear layer that is the last layer of the network."""
    return len(sequence) > 0 and isinstance(sequence[-1], nn.Linear) and flow.layers[-1] is sequence[-1]


def _last(sequence: nn.Sequential) -> nn.Linear:
    last = sequence[-1]
    assert isinstance(last, nn.Linear)
    return last


def _start(sequence: nn.Sequential, flow: Flow) -> int | None:
    """Return the index of the head's first layer; None where there is no head to exchange."""
    hidden = sum(isinstance(module, nn.Linear) for module in sequence) > 1
    for i, module in enumerate(sequence):
        if _reads_all(module, flow, hidden=hidden):
            while i and isinstance(sequence[i - 1], nn.AdaptiveAvgPool2d | nn.Dropout):
                i -= 1
            return i
    return None


def _reads_all(module: nn.Module, flow: Flow, *, hidden: bool) -> bool:
    given, result = flow.inputs.get(module, ()), flow.outputs.get(module, ())
    if len(given) != MAP:
        return False
    several = max(given[2:]) > 1
    if isinstance(module, nn.Conv2d):
        return several and module.kernel_size == given[2:] and result[2:] == (1, 1)
    return isinstance(module, nn.Flatten) and (several or hidden)
