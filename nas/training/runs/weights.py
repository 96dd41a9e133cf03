"""The weights that a training begins with: torchvision's, or those in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from nas.baselines import weights as torchvision_weights
from nas.baselines.blueprints import baseline_blueprint
from nas.building import build_blueprint
from nas.data.image_data import ImageData
from nas.errors import InvalidInputError
from nas.finalizing import FOLDER, load_stored
from nas.training.runs.config import PRETRAINED
from nas.training.seeding import seeded
from nas.training.transfer import IMAGENET_MEAN, IMAGENET_STD, normalised_as
from search_spaces.architecture import Blueprint


def given_weights(weights: str, blueprint: Blueprint) -> dict[str, Tensor]:
    """Return the weights that a user asks for, under the names of a blueprint's network.

    Args:
        weights: ``pretrained``, or a file or folder.
        blueprint: of the network that begins with them.

    Raises:
        InvalidInputError: there are none, or they do not fit.
        NASError: they cannot be fetched.
    """
    return _pretrained(blueprint) if weights == PRETRAINED else _read(Path(weights))


def _pretrained(blueprint: Blueprint) -> dict[str, Tensor]:
    """Return torchvision's weights of a baseline under our names, for the classes that it was published for.

    Raises:
        InvalidInputError: there are none, or the network is scaled and they do not fit.
        NASError: they cannot be fetched.
    """
    if not isinstance(blueprint.network, str):
        raise InvalidInputError("--weights pretrained is for baselines that torchvision has, such as resnet-50.")
    name = torchvision_weights.torchvision_name(blueprint.network)
    published = baseline_blueprint(blueprint.network)
    plain = replace(blueprint, classes=published.classes, auxiliary=False)
    with seeded(0):
        network = build_blueprint(plain)
    fetched = torchvision_weights.fetch_torchvision_weights(name)
    try:
        torchvision_weights.load_torchvision_weights(network, fetched)
    except InvalidInputError as error:
        if blueprint.resolution == published.resolution:
            raise
        size = published.resolution
        raise InvalidInputError(f"{error} They are for images of {size} pixels: try --resolution {size}.") from None
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
        weights: dict[str, Tensor] = load(file.read_bytes())
    except (OSError, SafetensorError) as error:
        raise InvalidInputError(f"cannot read weights from {file}: {error}.") from None
    return weights


def weights_normalisation(weights: str, data: ImageData) -> ImageData:
    """Return the data normalised as weights were trained with, where that is known."""
    if weights == PRETRAINED:
        return normalised_as(data, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    path = Path(weights)
    for folder in (path, path.parent, path / FOLDER):
        if (folder / "architecture.json").is_file():
            stored = load_stored(folder)
            return normalised_as(data, mean=stored.mean, std=stored.std)
    return data
