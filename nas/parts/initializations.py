"""How weights of convolutions and linear layers begin, by name; their biases begin at zero.

Everything else is left as it is: normalisations, embeddings, the projections inside torch's attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.nn.utils import parametrize

from nas.errors import InvalidInputError, UnknownNameError
from nas.profiling.trace import evaluation_mode

Draw = Callable[[Tensor, torch.Generator | None], object]
LSUV_TOLERANCE = 0.1  # Mishkin 2016, Alg. 1: of the variance, which is to be 1
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def _he(weight: Tensor, generator: torch.Generator | None) -> object:
    return init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)  # fan in: He 2015, eq. 10


def _xavier(weight: Tensor, generator: torch.Generator | None) -> object:
    return init.xavier_uniform_(weight, generator=generator)  # Glorot 2010, eq. 16


def _orthogonal(weight: Tensor, generator: torch.Generator | None) -> object:
    return init.orthogonal_(weight, generator=generator)  # Saxe 2014


# lsuv (Mishkin 2016, https://arxiv.org/abs/1511.06422) begins orthogonal and goes on with a batch
INITIALIZATIONS: dict[str, Draw] = {"xavier": _xavier, "he": _he, "orthogonal": _orthogonal, "lsuv": _orthogonal}


def initialize(
    network: nn.Module, name: str, *, sample: Tensor | None = None, generator: torch.Generator | None = None
) -> nn.Module:
    """Draw the weights of every convolution and linear layer anew; return the same network.

    Args:
        network: changed in place.
        name: what `INITIALIZATIONS` lists.
        sample: images that the network takes, for ``lsuv``; on its device.
        generator: on the weights' device; torch's global one by default.

    Raises:
        UnknownNameError: there is none of this name.
        InvalidInputError: ``lsuv`` without images, or a layer's weight is computed from others.
    """
    if name not in INITIALIZATIONS:
        raise UnknownNameError("initialization", name, INITIALIZATIONS)
    if name == "lsuv" and sample is None:
        raise InvalidInputError("initialization 'lsuv' looks at what layers give for images: give a sample of them.")
    with torch.no_grad():
        for layer in _layers(network):
            INITIALIZATIONS[name](layer.weight, generator)
            if layer.bias is not None:
                layer.bias.zero_()
        if name == "lsuv" and sample is not None:
            _unit_variance(network, sample)
    return network


def _unit_variance(network: nn.Module, sample: Tensor) -> None:
    """Scale every layer so that what it gives for the sample has variance 1 (Mishkin 2016, Alg. 1).

    In the order of execution, in one pass: without a bias a layer's output scales as its weight does, so that the
    paper's loop ends after one round, and the layers behind see the scaled output. A layer that is used several times
    is scaled at its first use; one whose output does not vary is left.
    """
    seen: set[nn.Module] = set()

    def scale(layer: nn.Module, inputs: object, output: Tensor) -> Tensor | None:
        variance = output.var(correction=0)
        if layer in seen or not variance > 0 or abs(variance - 1) < LSUV_TOLERANCE:
            seen.add(layer)
            return None
        seen.add(layer)
        assert isinstance(layer.weight, Tensor)
        layer.weight /= variance.sqrt()
        return output / variance.sqrt()

    with ExitStack() as stack:
        stack.enter_context(evaluation_mode(network))
        for layer in _layers(network):
            stack.callback(layer.register_forward_hook(scale).remove)
        network(sample)


def _layers(network: nn.Module) -> Iterator[nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear]:
    for name, module in network.named_modules():
        if isinstance(module, WEIGHTED):
            if parametrize.is_parametrized(module, "weight"):
                raise InvalidInputError(f"the weight of {name or 'this layer'} is computed: initialise it before that.")
            yield module
