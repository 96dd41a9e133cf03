"""What a user can ask to be trained: a network's name, a blueprint's file, a stored network, a search's folder."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.building import Network
from nas.config import SearchConfig
from nas.errors import InvalidInputError
from nas.finalizing import StoredNetwork, load_stored
from nas.journal import FILE_NAME
from search_spaces.architecture import Architecture, Blueprint

Trainable = Network | StoredNetwork | Path


@dataclass(frozen=True, slots=True)
class Source:
    """A network to train, and what is known from where it was found.

    Attributes:
        network: a name, an architecture, or a blueprint.
        text: what was asked for.
        folder: where the file of a user's own space is kept; None where there is none.
        search: settings of the search that found it, which say how large it is and on what it is trained.
        resolution: of the images that it is for, where a file says so: a scaled network is scaled in this as well.
    """

    network: Network
    text: str
    folder: Path | None = None
    search: SearchConfig | None = None
    resolution: int | None = None


def find_source(network: Trainable) -> Source:
    """Return what is asked for.

    Raises:
        InvalidInputError: a folder or a file that holds no network.
    """
    if isinstance(network, StoredNetwork):
        return Source(network.blueprint, str(network.folder), network.folder)
    if isinstance(network, Architecture | Blueprint):
        of = network if isinstance(network, Architecture) else network.network
        return Source(network, of if isinstance(of, str) else f"an architecture of {of.space}")
    path = Path(network)
    if path.is_dir():
        return _from_folder(path)
    if path.is_file():
        blueprint = _read_blueprint(path)
        return Source(blueprint, str(path.absolute()), path.parent, resolution=blueprint.resolution)
    if isinstance(network, Path) or path.suffix == ".json" or len(path.parts) > 1:
        raise InvalidInputError(f"there is no file or folder {network}: give a network's name, a blueprint or a run.")
    return Source(network, network)


def _from_folder(folder: Path) -> Source:
    if (folder / "architecture.json").exists():
        return Source(load_stored(folder).blueprint, str(folder.absolute()), folder)
    if not (folder / FILE_NAME).exists():
        raise InvalidInputError(f"{folder} holds neither a search, nor a training, nor a stored network.")
    from nas.run import load

    run = load(folder)
    if run.config.table is not None:
        raise InvalidInputError(f"{folder} looked results up in a table: there is no network to train.")
    ranked = run.ranked()
    if not ranked:
        command = shlex.join(["nas", "resume", str(folder)])
        raise InvalidInputError(f"{folder} has no evaluated network yet: `{command}` goes on.")
    return Source(ranked[0].trial.architecture, str(folder.absolute()), folder, run.config)


def _read_blueprint(path: Path) -> Blueprint:
    """Return the blueprint in a JSON file: one of its own, or that of a stored network."""
    try:
        data: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"cannot read a blueprint from {path}: {error}.") from None
    return Blueprint.from_json(data["blueprint"] if isinstance(data, dict) and "blueprint" in data else data)
