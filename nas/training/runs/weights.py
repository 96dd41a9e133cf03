"""The weights that a training begins with: torchvision's, or those in a file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from nas.baselines import weights as torchvision_weights
from nas.baselines.blueprints import baseline_blueprint, resolve
from nas.building import build_blueprint
from nas.data.image_data import ImageData
from nas.errors import InvalidInputError
from nas.finalizing import FOLDER, NETWORK_FILE, load_stored
from nas.training.runs.config import PRETRAINED
from nas.training.seeding import seeded
from nas.training.transfer import IMAGENET_MEAN, IMAGENET_STD, normalised_as
from search_spaces.architecture import Blueprint
from search_spaces.counting import without_weights

TORCH_FILES = (b"PK", b"\x80")  # how files of torch.save begin, the zipped and the old ones
WRAPPERS = ("state_dict", "model")  # under which training scripts keep the weights beside the optimizer's state
_NOT_OF_TORCH = (UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError)


def given_weights(weights: str, blueprint: Blueprint) -> dict[str, Tensor]:
    """Return the weights that a user asks for, under the names of a blueprint's network.

    Args:
        weights: ``pretrained``, or a file or folder.
        blueprint: of the network that begins with them.

    Raises:
        InvalidInputError: there are none, or they do not fit.
        NASError: they cannot be fetched.
    """
    if weights != PRETRAINED:
        given = _read(Path(weights))
        return _renamed(given, blueprint) if _are_torchvision_s(given, blueprint) else given
    if not isinstance(blueprint.network, str):
        raise InvalidInputError("--weights pretrained is for baselines that torchvision has, such as resnet-50.")
    name = torchvision_weights.torchvision_name(blueprint.network)
    return _renamed(torchvision_weights.fetch_torchvision_weights(name), blueprint)


def _are_torchvision_s(given: Mapping[str, Tensor], blueprint: Blueprint) -> bool:
    """Return whether weights are as many as torchvision's network has, and do not have our names."""
    if not (isinstance(blueprint.network, str) and resolve(blueprint.network).torchvision):
        return False
    plain = replace(blueprint, auxiliary=False)
    own: set[str] = without_weights(lambda device: set(build_blueprint(plain).state_dict()))
    theirs = torchvision_weights.without_auxiliary(given)
    counters = sum(name.endswith("num_batches_tracked") for name in own)
    return len(theirs) in (len(own), len(own) - counters) and 2 * len(own & theirs.keys()) < len(theirs)


def _renamed(given: Mapping[str, Tensor], blueprint: Blueprint) -> dict[str, Tensor]:
    """Return torchvision's weights of a baseline under our names, for the classes that they were trained for.

    Raises:
        InvalidInputError: the network is another one, or scaled, and they do not fit.
    """
    assert isinstance(blueprint.network, str)
    published = baseline_blueprint(blueprint.network)
    *_, last = given.values()  # the classifier's; an auxiliary one stands before it
    classes = len(last) if last.ndim else published.classes
    with seeded(0):
        network = build_blueprint(replace(blueprint, classes=classes, auxiliary=False))
    try:
        torchvision_weights.load_torchvision_weights(network, given)
    except InvalidInputError as error:
        made_for = []
        if blueprint.channels != published.channels:
            made_for.append(
                f"They are for images of {published.channels} channels, and these have {blueprint.channels}."
            )
        if blueprint.resolution != published.resolution:
            size = published.resolution
            made_for.append(f"They are for images of {size} pixels: try --resolution {size}.")
        raise InvalidInputError(" ".join([str(error), *made_for])) from None
    return network.state_dict()


def _read(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file, or in the folder of a stored network.

    Raises:
        InvalidInputError: it cannot be read.
    """
    candidates = [path, path / "weights.safetensors", path / FOLDER / "weights.safetensors"]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise InvalidInputError(f"--weights is 'pretrained', or a file or folder with weights; {path} has none.")
    try:
        content = file.read_bytes()
        weights: dict[str, Tensor] = _unpack(content) if content.startswith(TORCH_FILES) else load(content)
    except (OSError, SafetensorError) as error:
        raise InvalidInputError(f"cannot read weights from {file}: {error}.") from None
    except _NOT_OF_TORCH:
        raise InvalidInputError(
            f"cannot read weights from {file}: it is damaged, or holds something else than tensors by name, which is "
            "what torch.save writes of a state_dict()."
        ) from None
    return weights


def _unpack(content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a file of `torch.save`; it runs nothing of what the file holds.

    Raises:
        UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError: no such file, or a damaged one.
    """
    with warnings.catch_warnings():  # torch warns of strange files before it refuses them
        warnings.simplefilter("ignore", UserWarning)
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    found = next((found[name] for name in WRAPPERS if name in found), found)
    if not found or not all(isinstance(n, str) and isinstance(tensor, Tensor) for n, tensor in found.items()):
        raise TypeError("not tensors by name")
    return dict(found)


def weights_normalisation(weights: str, blueprint: Blueprint, data: ImageData) -> ImageData:
    """Return the data normalised as weights were trained with, where that is known.

    Args:
        weights: as of `given_weights`, which says what is wrong with them.
        blueprint: of the network that begins with them.
        data: as the data set itself is normalised.
    """
    path = Path(weights)
    for folder in (path, path.parent, path / FOLDER):
        if weights != PRETRAINED and (folder / NETWORK_FILE).is_file():
            stored = load_stored(folder)
            return normalised_as(data, mean=stored.mean, std=stored.std)
    if weights == PRETRAINED or _are_torchvision_s(_read(path), blueprint):
        return normalised_as(data, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return data
