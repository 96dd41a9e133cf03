"""Trained points of scaling: networks by label, each with several seeds, as a search that proposes all of them.

Executor, recipe, evaluation and journal are those of a search, so a stopped one goes on where it was and repeats
nothing; two points that round to the same network are trained once.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import numpy as np
from torch import nn

from controllers.controller import Controller, Proposal
from controllers.prior import Prior
from controllers.trial import Measurement, Record, Trial
from nas.building import build_blueprint
from nas.config import SearchConfig
from nas.data import ImageData, load_data
from nas.errors import InvalidInputError
from nas.evaluators.evaluator import Evaluator
from nas.evaluators.training_evaluator import TrainingEvaluator
from nas.problem import Problem
from nas.scaling.counting import count
from nas.scaling.laws import Coefficients
from nas.scaling.members import Accuracy
from nas.screening import Constraints, Screen
from nas.training.recipe import Recipe
from nas.watching import Watcher
from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.space import SearchSpace

LOADED_RESOLUTIONS = 8  # copies of the images, one a resolution, that a worker keeps
SUMMARY = "points.json"


@dataclass(frozen=True, slots=True)
class Point:
    """A network to train.

    Attributes:
        label: what it is called, once among all points.
        blueprint: the network.
        law: the kind of point: ``grid``, ``base``, or a law of the ablation.
        coefficients: of a point of the grid; None for others.
        seeds: at most so many trainings; None for as many as the others.
        folder: where a user's own space is kept; None where the whole space of points has one for all.
    """

    label: str
    blueprint: Blueprint
    law: str = "grid"
    coefficients: Coefficients | None = None
    seeds: int | None = None
    folder: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict: what is trained, and not how often or where its code lies."""
        coefficients = self.coefficients.to_json() if self.coefficients else None
        blueprint = self.blueprint.to_json()
        return {"label": self.label, "blueprint": blueprint, "law": self.law, "coefficients": coefficients}


@dataclass(frozen=True, slots=True)
class TrainedPoint:
    """A point and what its trainings gave.

    Attributes:
        point: the network.
        cost: its parameters and MACs.
        accuracy: None where every training failed.
    """

    point: Point
    cost: Complexity
    accuracy: Accuracy | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        accuracy = self.accuracy.to_json() if self.accuracy else None
        return {**self.point.to_json(), "params": self.cost.params, "macs": self.cost.macs, "accuracy": accuracy}


@final
class PointSpace(SearchSpace):
    """A space of two decisions: which point, and which seed.

    The name holds a digest of the points, so equal points are equal spaces; `get_space` does not find them.
    """

    def __init__(self, points: Sequence[Point], *, seeds: int, folder: Path | None = None) -> None:
        """Take the points in order.

        Args:
            points: with labels that differ.
            seeds: trainings of each.
            folder: where a user's own space was kept.

        Raises:
            InvalidInputError: no points, doubled labels, or no seed at all.
        """
        if seeds < 1:
            raise InvalidInputError(f"--seeds must be at least 1, got {seeds}.")
        text = json.dumps([point.to_json() for point in points])
        labels = tuple(point.label for point in points)
        decisions = [Decision("point", labels), Decision("seed", tuple(range(seeds)))]
        super().__init__(f"scaling:{hashlib.sha256(text.encode()).hexdigest()[:12]}", decisions)
        self.points = tuple(points)
        self.num_seeds = seeds
        self.folder = folder
        # seed by seed, so that more seeds come behind what there is
        self.trainings = tuple(
            (i, seed) for seed in range(seeds) for i, point in enumerate(points) if seed < (point.seeds or seeds)
        )

    def point(self, architecture: Architecture) -> Point:
        """Return the point of an architecture of this space."""
        self.validate(architecture)
        return self.points[architecture.choices[0]]

    def key(self, architecture: Architecture) -> str:
        """Return the network that the point is, and the seed."""
        network = json.dumps(self.point(architecture).blueprint.to_json(), sort_keys=True)
        return f"{network} seed {architecture.choices[1]}"

    def member(self, blueprint: Blueprint) -> Blueprint:
        """Return the network that is meant where a point stands for one."""
        if not isinstance(blueprint.network, Architecture):
            raise InvalidInputError(f"space {self.name!r} builds its points, got the name {blueprint.network!r}.")
        return replace(self.point(blueprint.network).blueprint, auxiliary=blueprint.auxiliary)

    def build(self, blueprint: Blueprint) -> nn.Module:
        """Return the point's network without its parts, which are put in as those of any space's network are."""
        return build_blueprint(replace(self.member(blueprint), parts=()), folder=self.source_of(blueprint))

    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Return what the point's network costs."""
        return count(self.member(blueprint), self.source_of(blueprint))

    def source_of(self, blueprint: Blueprint) -> Path | None:
        """Return where the code of a point's own space is kept; None for spaces that come with the package."""
        assert isinstance(blueprint.network, Architecture)
        return self.point(blueprint.network).folder or self.folder

    @property
    def num_networks(self) -> int:
        """Networks that differ; points that round to the same one count once."""
        return len({point.blueprint for point in self.points})


@final
class Enumeration(Controller):
    """Proposes every point, seed by seed: what is stopped early has all points with fewer seeds."""

    never_repeats = False

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        """Return the next point, or None behind the last."""
        assert isinstance(self.space, PointSpace)
        trainings = self.space.trainings
        return Proposal(self.space.architecture(trainings[number])) if number < len(trainings) else None

    def learn(self, record: Record) -> None:
        """Take in the record; nothing follows from it."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where images come from, at any resolution: the same ones in the same splits.

    Attributes:
        name, root, download, train_limit: see `nas.data.load_data`.
    """

    name: str
    root: str | None = None
    download: bool = False
    train_limit: int | None = None

    @classmethod
    def of(cls, config: SearchConfig) -> ImageSource:
        """Return a search's."""
        return cls(config.data, config.data_root, config.download, config.train_limit)

    def at(self, resolution: int | None) -> ImageData:
        """Return training and validation images of this size, the test images held back."""
        return _load(self, resolution)


@lru_cache(maxsize=LOADED_RESOLUTIONS)
def _load(source: ImageSource, resolution: int | None) -> ImageData:
    data = load_data(
        source.name,
        root=source.root,
        download=source.download,
        resolution=resolution,
        train_limit=source.train_limit,
    )
    return data.for_search()


@dataclass(frozen=True, slots=True)
class PointEvaluator:
    """Trains a point on images of its own resolution, otherwise as a search trains its networks."""

    space: PointSpace
    source: ImageSource
    recipe: Recipe
    seed: int
    device: str = "cpu"

    def evaluate(self, trial: Trial) -> Measurement:
        """Return what `TrainingEvaluator` measures."""
        blueprint = self.space.point(trial.architecture).blueprint
        data = self.source.at(blueprint.resolution)
        plain = replace(blueprint, network=trial.architecture, auxiliary=False)
        return TrainingEvaluator(self.space, plain, data, self.recipe, self.seed, self.device).evaluate(trial)


@final
@dataclass(frozen=True, slots=True)
class PointProblem(Problem):
    """The training of points, as the subject of a search.

    Attributes:
        config: data, recipe, seed and executor.
        screen: the points.
        title: what is being found out, fit to follow the word "searching".
    """

    config: SearchConfig
    screen: Screen
    title: str

    @classmethod
    def of(cls, config: SearchConfig, space: PointSpace, title: str) -> PointProblem:
        """Return the problem of these points."""

        def blueprint(architecture: Architecture) -> Blueprint:
            return replace(space.point(architecture).blueprint, network=architecture, auxiliary=False)

        return cls(config, Screen(space, Constraints(), blueprint), title)

    @property
    def space(self) -> PointSpace:
        """The points."""
        assert isinstance(self.screen.space, PointSpace)
        return self.screen.space

    def describe(self) -> list[str]:
        """Return what is trained, and how."""
        space, recipe = self.space, self.config.search_recipe
        networks = f"{len(space.points)} points are {space.num_networks} networks after rounding"
        return [self.title, f"{networks}, {space.num_seeds} seeds each, {recipe.epochs} epochs by {recipe.name!r}"]

    def identity(self) -> dict[str, Any]:
        """Return the images and the points."""
        data = ImageSource.of(self.config).at(None).summary()
        return {"data": data, "points": [point.to_json() for point in self.space.points], "seeds": self.space.num_seeds}

    def check_identity(self, header: Mapping[str, Any], *, folder: Path) -> None:
        """Refuse to go on with other images, other points, or fewer seeds; more of them are added."""
        mine = self.identity()
        if mine["data"]["fingerprint"] != header["data"]["fingerprint"]:
            raise InvalidInputError(
                f"the images of {self.config.data!r} are not those that {folder} was started with: "
                "their contents differ."
            )
        if mine["points"] != header.get("points"):
            raise InvalidInputError(f"{folder} holds a training of other points: give its settings, or another --out.")
        if mine["seeds"] < header["seeds"]:
            raise InvalidInputError(
                f"{folder} holds {header['seeds']} seeds a point, got --seeds {mine['seeds']}: give as many, or more."
            )

    def make_evaluator(self, folder: Path) -> Evaluator:
        """Return the training of a point."""
        config = self.config
        return PointEvaluator(self.space, ImageSource.of(config), config.search_recipe, config.seed, config.device)

    def make_prior(self) -> Prior | None:
        """Return nothing: every point is trained."""
        return None

    def conclude(self, best: Record, *, folder: Path, watcher: Watcher) -> dict[str, float]:
        """Leave a mark that all points are through; `summarize` reads their results from the journal."""
        (folder / SUMMARY).write_text(json.dumps([point.to_json() for point in self.space.points], indent=2) + "\n")
        return {"points": float(len(self.space.points))}

    def is_concluded(self, folder: Path) -> bool:
        """Return whether the mark is there."""
        return (folder / SUMMARY).is_file()


def summarize(space: PointSpace, records: Sequence[Record]) -> tuple[TrainedPoint, ...]:
    """Return every point with mean and spread of its network's trainings."""
    found: dict[Blueprint, list[float]] = {point.blueprint: [] for point in space.points}
    for record in records:
        if record.measurement.ok and record.reused_from is None:
            blueprint = space.point(record.trial.architecture).blueprint
            found[blueprint].append(record.measurement.metrics["val_accuracy"])
    trained = []
    for point in space.points:
        values = found[point.blueprint]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        accuracy = Accuracy(statistics.fmean(values), spread, len(values)) if values else None
        trained.append(TrainedPoint(point, count(point.blueprint, point.folder or space.folder), accuracy))
    return tuple(trained)
