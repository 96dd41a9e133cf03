"""Everything that is needed to run a search again, as one value."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from controllers.trial import Objective
from nas.building import DEFAULT_SIZES, stem_for
from nas.errors import InvalidInputError, UnknownNameError
from nas.screening import Constraints
from nas.training.recipe import Recipe, get_recipe
from search_spaces.architecture import Architecture, Blueprint, Stem

ExecutorName = Literal["serial", "ray"]


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """What to search, how, and on what.

    Attributes:
        space, controller, data, recipe, final_recipe: names, as `nas list` shows them.
        controller_options, recipe_changes: fields to change from the defaults.
        data_root, download, train_limit, resolution: see `nas.data.load_data`.
        depth, width, stem: size of the networks that are trained; None for a small one by image size.
        trials: networks to evaluate.
        max_seconds: wall time of a session; None for no limit.
        seed: every random draw derives from it.
        executor, workers, gpus_per_worker, address, threads: where evaluations run.
        device: torch device of the evaluations.
        objective, constraints: what is searched for, and within which bounds.
    """

    space: str = "nasnet"
    controller: str = "evolution"
    controller_options: dict[str, Any] = field(default_factory=dict)
    data: str = "digits"
    data_root: str | None = None
    download: bool = False
    train_limit: int | None = None
    resolution: int | None = None
    recipe: str = "proxy"
    recipe_changes: dict[str, Any] = field(default_factory=dict)
    final_recipe: str = "quick"
    depth: int | None = None
    width: int | None = None
    stem: Stem | None = None
    trials: int = 24
    max_seconds: float | None = None
    seed: int = 0
    executor: ExecutorName = "serial"
    workers: int | None = None
    gpus_per_worker: float = 0.0
    address: str | None = None
    threads: int = 1
    device: str = "cpu"
    objective: Objective = field(default_factory=Objective)
    constraints: Constraints = field(default_factory=Constraints)

    def __post_init__(self) -> None:
        """Refuse what no search can be."""
        if self.trials < 1:
            raise InvalidInputError(f"--trials must be at least 1, got {self.trials}.")
        if self.seed < 0:
            raise InvalidInputError(f"--seed must be >= 0, got {self.seed}.")
        if self.threads < 1:
            raise InvalidInputError(f"--threads must be at least 1, got {self.threads}.")
        if self.executor not in get_args(ExecutorName):
            raise UnknownNameError("executor", str(self.executor), get_args(ExecutorName))
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise InvalidInputError(f"--max-seconds must be larger than 0, got {self.max_seconds}.")

    @property
    def search_recipe(self) -> Recipe:
        """The recipe that trials are trained by."""
        return get_recipe(self.recipe).with_changes(self.recipe_changes)

    def blueprint(self, architecture: Architecture, *, resolution: int, channels: int, classes: int) -> Blueprint:
        """Return what is trained for an architecture on images of this kind."""
        stem = self.stem or stem_for(resolution)
        depth, width = DEFAULT_SIZES[stem]
        return Blueprint(
            architecture,
            resolution,
            channels=channels,
            classes=classes,
            stem=stem,
            depth=self.depth or depth,
            width=self.width or width,
        )

    def with_changes(self, changes: dict[str, Any]) -> Self:
        """Return a copy with these fields changed; None leaves a field as it is."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**data, "objective": self.objective.to_json(), "constraints": self.constraints.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; missing fields take their defaults.

        Raises:
            UnknownNameError: a field that a search does not have.
            InvalidInputError: a value of the wrong kind or out of range.
        """
        known = [f.name for f in fields(cls)]
        for name in data:
            if name not in known:
                raise UnknownNameError("setting of a search", name, known)
        parsed = dict(data)
        if "objective" in parsed:
            parsed["objective"] = Objective.from_json({**Objective().to_json(), **parsed["objective"]})
        if "constraints" in parsed:
            parsed["constraints"] = Constraints.from_json(parsed["constraints"])
        try:
            return cls(**parsed)
        except TypeError as error:
            raise InvalidInputError(f"a setting of the search has the wrong type: {error}.") from None

    def to_toml(self) -> str:
        """Return the settings as TOML; fields that are None are left out."""
        tables, lines = [], []
        for name, value in self.to_json().items():
            if isinstance(value, dict):
                entries = [f"{key} = {json.dumps(entry)}" for key, entry in value.items() if entry is not None]
                tables += [f"\n[{name}]", *entries] if entries else []
            elif value is not None:
                lines.append(f"{name} = {json.dumps(value)}")
        return "\n".join([*lines, *tables]) + "\n"

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read settings from a TOML file.

        Raises:
            InvalidInputError: the file cannot be read or is not TOML.
        """
        try:
            return cls.from_json(tomllib.loads(path.read_text()))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InvalidInputError(f"cannot read settings from {path}: {error}.") from None
