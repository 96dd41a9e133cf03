"""Everything that is needed to run a search again, as one value."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from controllers.trial import Objective
from nas.building import stem_for
from nas.config_rules import (
    IMAGE_SETTINGS,
    MULTI_FIDELITY,
    SHORTEST_LADDER,
    TABLE_SETTINGS,
    TRAINING,
    ExecutorName,
    check_numbers,
    check_objectives,
    check_table,
    settled,
)
from nas.config_types import check_types
from nas.errors import InvalidInputError, UnknownNameError
from nas.parts import Parts
from nas.screening import Constraints
from nas.toml_text import toml_text
from nas.training.recipe import Recipe, get_recipe
from search_spaces.architecture import Architecture, Blueprint, Stem
from search_spaces.checks import shown
from search_spaces.local_file import kept_specification
from search_spaces.space import PROXY_SIZES


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """What to search, how, and on what.

    Attributes:
        space, data, recipe, final_recipe: names, as `nas list` shows them. A space may also be ``FILE.py:NAME``, or a
            class or function in a file of one's own.
        controller: a name too; None for what `resolved_controller` says.
        controller_options, recipe_changes: fields to change from the defaults.
        data_root, download, train_limit, resolution: see `nas.data.load_data`.
        depth, width, stem: size of the networks that are trained; None for a small one by image size.
        parts: what is exchanged in all of them; fields of `nas.parts.Parts`.
        trials: networks to evaluate; with a controller that trains in steps, all of them begin, and its best go on.
        max_seconds: wall time of a session, or simulated time of the run; None for no limit.
        max_epochs: training epochs of all evaluations together; None for no limit.
        seed: every random draw derives from it.
        max_failures: failed evaluations in a row that end the search.
        trial_seconds, trial_memory_bytes: what one evaluation may take before it is stopped; see
            `nas.executors.limits.TrialLimits`. None for no limit.
        executor, workers, gpus_per_worker, address, threads, pin: where evaluations run; see
            `nas.executors.ray_cluster.RayOptions`.
        device: torch device of the evaluations.
        objective, constraints: what is searched for, and within which bounds.
        costs: metrics to keep small as well; then the search is for a Pareto front.
        evaluator: ``training``, or a training-free score, which then is the objective's metric.
        prior: what is known of a network before it is evaluated: a training-free score, or a column of the table.
        table: file of measured networks to look results up in, made absolute; then nothing is trained.
        report_metric: column of the table to report of the network that was chosen.
        seconds_metric: column that says how many seconds a training took, or so many seconds for all.
        fidelities: column that holds the metric after so many epochs, by epochs.
    """

    space: str = "nasnet"
    controller: str | None = None
    controller_options: dict[str, Any] = field(default_factory=dict)
    data: str = "digits"
    data_root: str | None = None
    download: bool = False
    train_limit: int | None = None
    resolution: int | None = None
    recipe: str = "proxy"
    recipe_changes: dict[str, Any] = field(default_factory=dict)
    final_recipe: str = "quick"
    depth: float | None = None
    width: float | None = None
    stem: Stem | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    trials: int = 24
    max_seconds: float | None = None
    max_epochs: int | None = None
    max_failures: int = 20
    trial_seconds: float | None = None
    trial_memory_bytes: int | None = None
    seed: int = 0
    executor: ExecutorName = "serial"
    workers: int | None = None
    gpus_per_worker: float = 0.0
    address: str | None = None
    threads: int = 1
    pin: bool = False
    device: str = "cpu"
    objective: Objective = field(default_factory=Objective)
    constraints: Constraints = field(default_factory=Constraints)
    costs: tuple[str, ...] = ()
    evaluator: str = TRAINING
    prior: str | None = None
    table: str | None = None
    report_metric: str | None = None
    seconds_metric: str | float | None = None
    fidelities: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Settle what follows from other settings, and refuse what no search can be."""
        check_types(self)
        for name, value in settled(self).items():
            object.__setattr__(self, name, value)
        check_numbers(self)
        Parts.from_json(self.parts)
        check_objectives(self)
        check_table(self)

    @property
    def search_recipe(self) -> Recipe:
        """The recipe that trials are trained by."""
        return get_recipe(self.recipe).with_changes(self.recipe_changes)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What the controller is asked for: the main objective, then the smallest of every cost."""
        return (self.objective, *(Objective(cost, "minimize") for cost in self.costs))

    @property
    def multi_fidelity(self) -> bool:
        """Whether the controller asks for trainings of different lengths."""
        return self.resolved_controller.partition(":")[0] in MULTI_FIDELITY

    @property
    def resolved_controller(self) -> str:
        """The controller; where none was named the predictor, on a ladder of trainings where that keeps its choice.

        It does for one objective where a quarter of a training is two epochs or more (``results/tables/fidelity.md``),
        and on tables that tell of several lengths (``results/tables/multi_fidelity.md``).
        """
        if self.controller is not None:
            return self.controller
        if self.table is not None:
            has_ladder = len(self.fidelities) > 1
        else:
            has_ladder = self.evaluator == TRAINING and self.search_recipe.epochs >= SHORTEST_LADDER
        return "asha:predictor" if has_ladder and not self.costs else "predictor"

    @property
    def resolved_controller_options(self) -> dict[str, Any]:
        """The controller's options, with the training lengths to be had where it takes some and none were given.

        Successive halving by 2, twice: a quarter, half, and all of the recipe's epochs. Shorter trainings rank networks
        of short recipes by chance (``results/tables/fidelity.md``).
        """
        if not self.multi_fidelity or "budgets" in self.controller_options:
            return self.controller_options
        if self.table is not None:
            return {**self.controller_options, "budgets": sorted(self.fidelities)}
        epochs = self.search_recipe.epochs
        return {**self.controller_options, "budgets": sorted({math.ceil(epochs / 4), math.ceil(epochs / 2), epochs})}

    @property
    def training_lengths(self) -> list[int]:
        """Epochs that networks may be trained for, rising; one where all are trained alike."""
        budgets = self.resolved_controller_options["budgets"] if self.multi_fidelity else [self.search_recipe.epochs]
        return list(budgets)

    def blueprint(
        self,
        architecture: Architecture,
        *,
        resolution: int,
        channels: int,
        classes: int,
        proxy_sizes: Mapping[Stem, tuple[float, float]] = PROXY_SIZES,
    ) -> Blueprint:
        """Return what is trained for an architecture on images of this kind, at the space's size where none is set."""
        stem = self.stem or stem_for(resolution)
        depth, width = proxy_sizes[stem]
        return Blueprint(
            architecture,
            resolution,
            channels=channels,
            classes=classes,
            stem=stem,
            depth=self.depth or depth,
            width=self.width or width,
            parts=Parts.from_json(self.parts).changes() if self.parts else (),
        )

    def with_changes(self, changes: dict[str, Any]) -> Self:
        """Return a copy with these fields changed; None leaves a field as it is."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict, without what says nothing in a search of this kind."""
        silent = TABLE_SETTINGS if self.table is None else IMAGE_SETTINGS
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in silent}
        data |= {"objective": self.objective.to_json(), "costs": list(self.costs)}
        if self.table is None:
            return {**data, "constraints": self.constraints.to_json()}
        return {**data, "fidelities": {str(epochs): column for epochs, column in self.fidelities.items()}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; missing fields take their defaults.

        Raises:
            UnknownNameError: a field that a search does not have.
            InvalidInputError: a value of the wrong kind or out of range.
        """
        if not isinstance(data, dict):
            raise InvalidInputError(f"the settings of a search are a table of names and values, got {shown(data)}.")
        known = [f.name for f in fields(cls)]
        for name in data:
            if name not in known:
                raise UnknownNameError("setting of a search", name, known)
        parsed = dict(data)
        try:
            if "objective" in parsed:
                parsed["objective"] = Objective.from_json({**Objective().to_json(), **parsed["objective"]})
            if "constraints" in parsed:
                parsed["constraints"] = Constraints.from_json(parsed["constraints"])
            return cls(**parsed)
        except (TypeError, AttributeError) as error:
            raise InvalidInputError(f"a setting of the search has the wrong type: {error}.") from None

    def to_toml(self) -> str:
        """Return the settings as TOML; fields that are None are left out."""
        return toml_text(self.to_json())

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read settings from a TOML file; a run's own file means the user's space that was kept beside it.

        Raises:
            InvalidInputError: the file cannot be read or is not TOML.
        """
        try:
            config = cls.from_json(tomllib.loads(path.read_text()))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InvalidInputError(f"cannot read settings from {path}: {error}.") from None
        return replace(config, space=kept_specification(config.space, path.parent))
