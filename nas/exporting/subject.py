"""What is to be exported: a network in evaluation mode with its images, from whatever a user names it by."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas.building import Network, build_blueprint, get_blueprint
from nas.errors import InvalidInputError, UnknownNameError
from nas.exporting.network_file import Images
from nas.finalizing import FOLDER, StoredNetwork, load_stored
from search_spaces.architecture import Blueprint
from search_spaces.genotypes import CELLS, NETWORKS

CHECKED_BATCH = 3
Exportable = Network | StoredNetwork | Path


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to export.

    Attributes:
        network: in evaluation mode.
        images: that it takes.
        title: what it is, in a line.
        name: for files.
        folder: where its trained weights lie; None where it has none.
    """

    network: nn.Module
    images: Images
    title: str
    name: str
    folder: Path | None = None

    def sample(self, batch: int = CHECKED_BATCH) -> Tensor:
        """Return images of random values, the same each time."""
        return torch.randn(batch, *self.images.shape, generator=torch.Generator().manual_seed(0))

    def logits(self, images: Tensor) -> Tensor:
        """Return what the network gives."""
        with torch.no_grad():
            result: Tensor = self.network(images)
        return result

    def exact_logits(self, images: Tensor) -> Tensor | None:
        """Return what a copy gives in double precision; None for a network that cannot be run so."""
        try:
            with torch.no_grad():
                result: Tensor = copy.deepcopy(self.network).double()(images.double())
        except Exception:  # whatever code raises that was written for float32
            return None
        return result


def find_subject(
    network: Exportable, *, classes: int | None = None, input_shape: tuple[int, int, int] | None = None
) -> Subject:
    """Return what to export.

    Args:
        network: a name, an architecture, a blueprint or its file, a stored network, or the folder of one or of a run.
        classes: length of the logits; the network's own where it is None.
        input_shape: of the images; the network's own where it is None.

    Raises:
        InvalidInputError: a folder or a file that holds no network, or sizes for one that is trained.
        UnknownNameError: no network of that name.
    """
    stored = network if isinstance(network, StoredNetwork) else _stored(network)
    if stored is not None:
        if classes is not None or input_shape is not None:
            raise InvalidInputError("a trained network is exported as it is: leave out the classes and the input size.")
        return stored_subject(stored)
    base: Any = network
    path = Path(network) if isinstance(network, str | Path) else None
    if path is not None and path.is_file():
        base = _read_blueprint(path)
    elif isinstance(network, Path) or (path is not None and (path.suffix == ".json" or len(path.parts) > 1)):
        raise InvalidInputError(f"{network}: no such file or folder.")
    if isinstance(base, str) and base in CELLS and base not in NETWORKS and input_shape is None:
        raise InvalidInputError(f"{base} is a cell, built for images of a size: give --input, like 3,32,32.")
    blueprint = get_blueprint(base, classes=classes, input_shape=input_shape)
    kept = path if base is not network else None
    with torch.random.fork_rng(devices=[]):
        module = build_blueprint(replace(blueprint, auxiliary=False), folder=kept.parent if kept else None)
    title = base if isinstance(base, str) else title_of(blueprint)
    name = kept.stem if kept else title
    return Subject(module.eval(), _images(blueprint), title, file_name(name))


def stored_subject(stored: StoredNetwork) -> Subject:
    """Return a trained network as what to export."""
    blueprint = stored.blueprint
    images = replace(_images(blueprint), mean=stored.mean, std=stored.std, class_names=stored.class_names)
    accuracy = stored.metrics.get("test_accuracy")
    measured = "" if accuracy is None else f", test accuracy {accuracy:.2%}"
    with torch.random.fork_rng(devices=[]):
        network = stored.network()
    return Subject(network, images, f"{title_of(blueprint)}{measured}", "network", stored.folder)


def title_of(blueprint: Blueprint) -> str:
    """Return what a network is, in a few words."""
    return blueprint.network if isinstance(blueprint.network, str) else f"a network of {blueprint.network.space}"


def file_name(text: str) -> str:
    """Return a name that Python can import."""
    name = "".join(character if character.isalnum() else "_" for character in text).strip("_").lower()
    return f"net_{name}" if not name or name[0].isdigit() else name


def _images(blueprint: Blueprint) -> Images:
    return Images((blueprint.channels, blueprint.resolution, blueprint.resolution))


def _stored(network: Exportable) -> StoredNetwork | None:
    """Return the trained network in a folder: a stored one, or that of a run."""
    if not isinstance(network, str | Path) or not Path(network).is_dir():
        return None
    folder = Path(network)
    for candidate in (folder, folder / FOLDER):
        if (candidate / "architecture.json").exists() and (candidate / "metrics.json").exists():
            return load_stored(candidate)
    if (folder / FOLDER).exists():
        raise InvalidInputError(f"{folder} looked results up in a table: there is no trained network to export.")
    raise InvalidInputError(
        f"{folder} holds no trained network: give a run that came to its end (`nas resume RUN` goes on), or the "
        f"folder of a stored network."
    )


def _read_blueprint(path: Path) -> Blueprint:
    try:
        data: Any = json.loads(path.read_text())
        return Blueprint.from_json(data["blueprint"] if isinstance(data, dict) and "blueprint" in data else data)
    except UnknownNameError:
        raise
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInputError(f"{path} holds no blueprint: {str(error).splitlines()[0]}") from None
