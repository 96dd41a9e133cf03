"""Transfer learning: which weights a network begins with, and how fast each of them is trained."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nas.baselines.weights import listed, tensor_differences
from nas.data.image_data import ImageData
from nas.errors import InvalidInputError, UnknownNameError

TransferMode = Literal["features", "finetune"]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # that torchvision's weights were trained on


@dataclass(frozen=True, slots=True)
class Transfer:
    """How weights that were trained elsewhere are used.

    Attributes:
        mode: ``features`` trains a new classifier on what the frozen network computes; ``finetune`` trains all.
        old_rate: share of the learning rate for weights that were taken over, in (0, 1].
        freeze_until: layer in the order of definition up to which, itself included, nothing is trained.
    """

    mode: TransferMode = "finetune"
    old_rate: float = 0.1
    freeze_until: str | None = None

    def __post_init__(self) -> None:
        """Refuse unknown modes and rates outside their range."""
        if self.mode not in get_args(TransferMode):
            raise UnknownNameError("mode of transfer", str(self.mode), get_args(TransferMode))
        if not 0 < self.old_rate <= 1:
            raise InvalidInputError(f"--old-rate is a share of the learning rate in (0, 1], got {self.old_rate}.")

    def rates(self, network: nn.Module) -> dict[str, float]:
        """Return the share of the learning rate of every weight that was taken over; new ones have the whole rate.

        Raises:
            UnknownNameError: the network has no layer `freeze_until`.
        """
        new = {f"{find_classifier(network)}.{name}" for name in ("weight", "bias")}
        old = [name for name, _ in network.named_parameters() if name not in new and not _is_auxiliary(name)]
        if self.mode == "features":
            return dict.fromkeys(old, 0.0)
        rates = dict.fromkeys(old, self.old_rate)
        return rates | dict.fromkeys(self._frozen(network, old), 0.0)

    def _frozen(self, network: nn.Module, old: list[str]) -> list[str]:
        if self.freeze_until is None:
            return []
        inside = [i for i, name in enumerate(old) if name.startswith(f"{self.freeze_until}.")]
        if not inside:
            layers = [name for name, layer in network.named_modules() if name and [*layer.parameters()]]
            raise UnknownNameError("layer with weights", self.freeze_until, layers)
        return old[: inside[-1] + 1]


def _is_auxiliary(name: str) -> bool:
    return name.startswith("auxiliary.")


def find_classifier(network: nn.Module) -> str:
    """Return the name of the layer that gives the logits: the last one that is linear or a convolution.

    Raises:
        InvalidInputError: there is none.
    """
    names: list[str] = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and not _is_auxiliary(name)
    ]
    if not names:
        raise InvalidInputError(f"this {type(network).__name__} has no linear layer or convolution as a classifier.")
    return names[-1]


@torch.no_grad()
def take_over(network: nn.Module, weights: Mapping[str, Tensor], *, keep_classifier: bool = False) -> None:
    """Put the weights of a network of the same kind into this one, in place.

    Args:
        network: for any number of classes.
        weights: a state dict of that network; its auxiliary heads may be missing.
        keep_classifier: whether its classifier is taken as well, if it is for as many classes.

    Raises:
        InvalidInputError: the tensors are not the network's; the message says which differ.
    """
    classifier = find_classifier(network)
    own = network.state_dict()
    replaced = [name for name in (f"{classifier}.weight", f"{classifier}.bias") if name in own]
    if keep_classifier and all(name in weights and weights[name].shape == own[name].shape for name in replaced):
        replaced = []
    wanted = {name for name in own if not _is_auxiliary(name)} - set(replaced)
    given = {name for name in weights if not _is_auxiliary(name)} - set(replaced)
    differences = tensor_differences(
        {name: tensor for name, tensor in own.items() if name in wanted},
        {name: tensor for name, tensor in weights.items() if name in given},
    )
    if differences:
        raise InvalidInputError(f"these weights are of another network: {listed(differences)}.")
    for name in wanted:
        own[name].copy_(weights[name])


def normalised_as(data: ImageData, *, mean: tuple[float, ...], std: tuple[float, ...]) -> ImageData:
    """Return the data with the normalisation that weights were trained with; as it is for other channels."""
    if len(mean) != len(data.mean):
        return data
    changed = copy.copy(data)
    object.__setattr__(changed, "mean", mean)
    object.__setattr__(changed, "std", std)
    return changed
