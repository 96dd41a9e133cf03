"""Everything that is needed to train one network again, as one value."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import torch

from nas.config_types import check_types
from nas.errors import InvalidInputError, UnknownNameError
from nas.parts import Parts
from nas.toml_text import toml_text
from nas.training.device import check_device
from nas.training.recipe import Recipe, get_recipe
from nas.training.transfer import Transfer, TransferMode
from search_spaces.architecture import Stem

PRETRAINED = "pretrained"


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What to train, how, and on what.

    Attributes:
        network: what was asked for, for the record; the blueprint in the folder is what is trained.
        data, data_root, download, train_limit, resolution: see `nas.data.load_data`.
        classes: length of the logits; None for as many as the data has.
        depth, width, stem: size of the network; None for its own.
        parts: what is exchanged in the network; fields of `nas.parts.Parts`.
        recipe, recipe_changes: how to train, and fields to change.
        seed: every random draw derives from it.
        device: torch device.
        threads: torch threads, which the last bits of a result depend on.
        weights: ``pretrained``, or a file or folder with the weights to begin with; None for new ones.
        mode, old_rate, freeze_until: how those weights are used; see `nas.training.transfer.Transfer`.
        tensorboard: whether to write TensorBoard's logs as well.
    """

    network: str
    data: str = "digits"
    data_root: str | None = None
    download: bool = False
    train_limit: int | None = None
    resolution: int | None = None
    classes: int | None = None
    depth: float | None = None
    width: float | None = None
    stem: Stem | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    recipe: str = "quick"
    recipe_changes: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"
    threads: int = field(default_factory=torch.get_num_threads)
    weights: str | None = None
    mode: TransferMode | None = None
    old_rate: float | None = None
    freeze_until: str | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse what no training can be."""
        for name, least in (("seed", 0), ("threads", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InvalidInputError(f"--{name} must be a whole number >= {least}, got {value!r}.")
        data: object = self.data
        if not isinstance(data, str):
            kind = type(data).__name__
            raise InvalidInputError(f"data is the name of a data set, by which it is found again, got {kind}.")
        check_types(self)
        _ = self.full_recipe, self.transfer, Parts.from_json(self.parts)
        check_device(self.device)

    @property
    def full_recipe(self) -> Recipe:
        """The recipe with its changes."""
        return get_recipe(self.recipe).with_changes(self.recipe_changes)

    @property
    def transfer(self) -> Transfer | None:
        """How weights that were trained elsewhere are used; None where there are none.

        Raises:
            InvalidInputError: it is said how, and there are none.
        """
        names = ("mode", "old_rate", "freeze_until")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.weights is None:
            if given:
                flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
                raise InvalidInputError(f"{flags} says how given weights are used: give --weights as well.")
            return None
        return Transfer(**given)

    def with_changes(self, changes: dict[str, Any]) -> Self:
        """Return a copy with these fields changed; None leaves a field as it is."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; missing fields take their defaults.

        Raises:
            UnknownNameError: a field that a training does not have.
            InvalidInputError: a value of the wrong kind or out of range.
        """
        if not isinstance(data, dict):
            raise InvalidInputError(f"settings must be a JSON object, got {type(data).__name__}.")
        known = [f.name for f in fields(cls)]
        for name in data:
            if name not in known:
                raise UnknownNameError("setting of a training", name, known)
        try:
            return cls(**data)
        except (TypeError, AttributeError) as error:
            raise InvalidInputError(f"a setting of the training has the wrong type: {error}.") from None

    def to_toml(self) -> str:
        """Return the settings as TOML; fields that are None are left out."""
        return toml_text(self.to_json())

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read settings from a TOML file.

        Raises:
            InvalidInputError: the file cannot be read or is not TOML.
        """
        try:
            return cls.from_json(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InvalidInputError(f"cannot read settings from {path}: {error}.") from None
