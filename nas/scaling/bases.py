"""The network that is to be scaled: of a run, a file, a name or a value, at the size of the images it is to see."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nas.building import Network, get_blueprint
from nas.config import SearchConfig
from nas.errors import InvalidInputError, UnknownNameError
from nas.finalizing import StoredNetwork
from nas.run import Run, load
from nas.scaling.grid import ImageSource
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.genotypes import CELLS

Source = Network | StoredNetwork | Run | Path


def find_base(
    network: Source, config: SearchConfig | None, sizes: dict[str, Any]
) -> tuple[str, Blueprint, Path | None]:
    """Return the base's name and blueprint, and where a user's own space was kept.

    Args:
        network: see `scale`.
        config: of the images that it is to see; None without any.
        sizes: what `get_blueprint` is told of its size, None for the network's or the images' own.
    """
    name, found, own_space = _find_network(network)
    if config is not None:
        sizes = _sizes_for(config, sizes)
    if found in CELLS and sizes["input_shape"] is None:
        raise InvalidInputError(f"{found} is a cell, built for images of some size: give --data, or --input 3,32,32.")
    return name, get_blueprint(found, **sizes), own_space


def _sizes_for(config: SearchConfig, sizes: dict[str, Any]) -> dict[str, Any]:
    images = ImageSource.of(config).at(config.resolution)
    shape, classes = sizes["input_shape"] or images.input_shape, sizes["classes"] or images.classes
    if shape[0] != images.input_shape[0] or classes != images.classes:
        raise InvalidInputError(
            f"images of {config.data!r} have {images.input_shape[0]} channels and {images.classes} classes, got "
            f"{shape[0]} channels and {classes} classes: leave --input and --classes out."
        )
    return {**sizes, "input_shape": shape, "classes": classes}


def _find_network(network: Source) -> tuple[str, Network, Path | None]:
    if isinstance(network, str | Path):
        return find_network(str(network))
    if isinstance(network, Run):
        return _of_run(network)
    if isinstance(network, StoredNetwork):
        return network.folder.parent.name, network.blueprint, network.folder
    if not isinstance(network, Blueprint | Architecture):
        raise InvalidInputError(f"a run, a stored network, a blueprint or a name can be scaled, got {network!r}.")
    inner = network.network if isinstance(network, Blueprint) else network
    return _slug(inner if isinstance(inner, str) else inner.space), network, None


def _of_run(run: Run) -> tuple[str, Network, Path | None]:
    best = run.best
    if not isinstance(best, StoredNetwork):
        raise InvalidInputError(f"{run.folder} looked results up in a table: there is no network to scale.")
    return run.folder.resolve().name, best.blueprint, best.folder


def find_network(text: str) -> tuple[str, Network, Path | None]:
    """Return the network of a run's folder, a blueprint's file or a name; its own name; and a user's space's folder.

    Raises:
        InvalidInputError: no such file, a file that holds no blueprint, or a run that left no network.
    """
    path = Path(text)
    if path.is_dir():
        return _of_run(load(path))
    if path.is_file():
        try:
            return path.stem, Blueprint.from_json(json.loads(path.read_text())), path.parent
        except UnknownNameError:
            raise
        except (OSError, ValueError, TypeError) as error:
            raise InvalidInputError(f"{path} holds no blueprint: {str(error).splitlines()[0]}") from None
    if path.suffix == ".json" or len(path.parts) > 1:
        raise InvalidInputError(f"{text}: no such file or folder.")
    return _slug(text), text, None


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.@]+", "-", text).strip("-")
