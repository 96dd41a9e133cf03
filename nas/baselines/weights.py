"""Weights that others have trained: torchvision's, put into our baselines tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from pickle import UnpicklingError
from urllib.error import URLError

import torch
from torch import Tensor, nn

from nas.baselines.blueprints import resolve
from nas.errors import InvalidInputError, NASError

LISTED = 5  # differences that a message names

# Parts of torchvision's networks that ours have only while they are trained, and that have other shapes there.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


@torch.no_grad()
def load_torchvision_weights(network: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Put torchvision's weights into one of our networks, in place.

    Names differ, so tensors go to tensors in the order in which both networks define them; each pair must be of one
    shape. Torchvision's auxiliary classifiers are left out, and so the network must have none.

    Args:
        network: of a baseline with `Baseline.torchvision`, built for the classes of the weights.
        state_dict: of torchvision's network.

    Raises:
        InvalidInputError: the tensors are not the network's; the message says which differ.
    """
    own = list(network.state_dict().items())
    theirs = list(without_auxiliary(state_dict).items())
    # tensors that torchvision's files leave out, because they are older than batch normalisation's count of batches
    if not any(name.endswith("num_batches_tracked") for name, _ in theirs):
        own = [(name, tensor) for name, tensor in own if not name.endswith("num_batches_tracked")]
    differences = [
        f"{name} {tuple(tensor.shape)} and {other} {tuple(given.shape)}"
        for (name, tensor), (other, given) in zip(own, theirs, strict=False)
        if tensor.shape != given.shape
    ]
    if len(own) != len(theirs):
        differences.insert(0, f"{len(own)} tensors here and {len(theirs)} there")
    if differences:
        raise InvalidInputError(f"these weights are of another network: {listed(differences)}.")
    for (_, tensor), (_, given) in zip(own, theirs, strict=True):
        tensor.copy_(given)


def tensor_differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Return in words how given tensors are not a network's own: missing, not part of it, of another shape."""
    return [
        *(f"{name} is missing" for name in own if name not in given),
        *(f"{name} is not part of this network" for name in given if name not in own),
        *(
            f"{name} is {tuple(given[name].shape)} and should be {tuple(tensor.shape)}"
            for name, tensor in own.items()
            if name in given and given[name].shape != tensor.shape
        ),
    ]


def without_auxiliary(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return torchvision's weights without those of its auxiliary classifiers."""
    return {name: tensor for name, tensor in state_dict.items() if not name.startswith(_AUXILIARY)}


def listed(differences: list[str]) -> str:
    """Return the first of these, and how many follow."""
    more = len(differences) - LISTED
    return "; ".join(differences[:LISTED]) + (f"; and {more} more" if more > 0 else "")


def torchvision_name(network: str) -> str:
    """Return the function of `torchvision.models` whose weights fit a baseline.

    Raises:
        InvalidInputError: there is none.
    """
    baseline = resolve(network)
    if not baseline.torchvision:
        raise InvalidInputError(
            f"torchvision has no weights that fit {baseline.name}: give --weights FILE, or a network that it has, "
            "such as resnet-50."
        )
    return baseline.torchvision


def fetch_torchvision_weights(name: str) -> dict[str, Tensor]:
    """Return torchvision's best weights of one of its networks, from its cache or from the internet.

    Args:
        name: of a function of `torchvision.models`.

    Raises:
        NASError: they cannot be fetched.
    """
    from torchvision.models import get_model_weights

    weights = get_model_weights(name).DEFAULT
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError, RuntimeError, UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        cache = f"{torch.hub.get_dir()}/checkpoints"
        raise NASError(
            f"cannot fetch torchvision's weights of {name}: {reason}. Put {weights.url} into {cache}, "
            "or give weights of your own with --weights FILE."
        ) from None
    return state
