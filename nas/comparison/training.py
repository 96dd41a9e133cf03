"""The trainings of a comparison: every network with every seed, as a search that proposes all of them.

All see training and validation images merged, as the winner of a search does at its end; nobody sees test images.
Equal seeds of two networks mean equal orders of the images. The workers leave the trained weights in the folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from controllers.prior import Prior
from controllers.trial import Measurement, Objective, Record, Trial
from nas.baselines.airbench import Whitening
from nas.baselines.weights import listed, tensor_differences
from nas.building import build_blueprint
from nas.comparison.competitors import Competitor
from nas.comparison.plan import Plan
from nas.config import SearchConfig
from nas.data import ImageData
from nas.data.image_data import Split, merge_train_validation
from nas.errors import InvalidInputError, NASError, StorageError
from nas.evaluators.evaluator import Evaluator
from nas.journal import Event, Journal
from nas.problem import Problem
from nas.scaling.counting import count
from nas.scaling.grid import LOADED_RESOLUTIONS, Enumeration, ImageSource, Point, PointProblem, PointSpace
from nas.search_loop import Limits, SearchLoop
from nas.session import Session
from nas.training.memory import halve_parts, is_out_of_memory, release_memory
from nas.training.recipe import Recipe
from nas.training.runs.session import WHITENED
from nas.training.seeding import weights_from
from nas.training.training_loop import Epoch, train
from nas.watching import Watcher
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.randomness import derive_seed

WEIGHTS = "weights"
PROBED_STEPS = 8  # of a short training, whose second epoch is timed


def comparison_space(competitors: Sequence[Competitor], *, seeds: int) -> PointSpace:
    """Return the trainings as a space."""
    points = [Point(one.label, one.blueprint, one.kind, seeds=one.seeds, folder=one.folder) for one in competitors]
    return PointSpace(points, seeds=seeds)


@lru_cache(maxsize=LOADED_RESOLUTIONS)
def merged_images(source: ImageSource, resolution: int) -> ImageData:
    """Return training and validation images as one, the test images held back."""
    return merge_train_validation(source.at(resolution))


def weights_file(folder: Path, trial: Trial) -> Path:
    """Return where a training's weights are kept."""
    return folder / WEIGHTS / f"{trial.number}.safetensors"


@dataclass(frozen=True, slots=True)
class ComparisonEvaluator:
    """Trains a network with a seed, and leaves its weights.

    Attributes:
        space: the trainings.
        source: the images.
        recipe: how; its epochs are changed where there is a budget of seconds.
        seed: the comparison's.
        folder: the comparison's, on a disk that all workers see.
        device: where to train.
        budget_s: seconds of each training; None for the recipe's epochs.
    """

    space: PointSpace
    source: ImageSource
    recipe: Recipe
    seed: int
    folder: Path
    device: str = "cpu"
    budget_s: float | None = None

    def evaluate(self, trial: Trial) -> Measurement:
        """Return the training loss, cost and time.

        Raises:
            DivergedError: the training loss is not finite.
            StorageError: the weights cannot be written.
        """
        point, number = self.space.point(trial.architecture), trial.architecture.choices[1]
        data = merged_images(self.source, point.blueprint.resolution)
        seed = derive_seed(self.seed, number, "comparison")
        recipe = self.recipe
        if self.budget_s is not None:
            recipe = replace(recipe, epochs=self._affordable_epochs(point, data, seed))
        network, epoch, recipe = self._train(point, data, recipe, seed)
        _write_weights(network, point, weights_file(self.folder, trial))
        cost = count(point.blueprint, point.folder)
        metrics = {
            "train_loss": epoch.train_loss,
            "params": cost.params,
            "macs": cost.macs,
            "epochs": epoch.index + 1,
            "epochs_spent": epoch.index + 1,
            "train_s": epoch.seconds,
            "images": len(data.train),
            **({} if recipe.accumulation == self.recipe.accumulation else {"accumulation": recipe.accumulation}),
        }
        return Measurement("ok", metrics, seconds=epoch.seconds)

    def _train(self, point: Point, data: ImageData, recipe: Recipe, seed: int) -> tuple[nn.Module, Epoch, Recipe]:
        """Return a trained network, its last epoch, and the recipe, with smaller parts where memory asked for them."""
        while True:
            network = build_for_training(point, data, recipe=recipe, seed=seed)
            try:
                return network, train(network, data, recipe=recipe, seed=seed, device=self.device), recipe
            except (RuntimeError, MemoryError) as error:
                smaller = halve_parts(recipe, images=len(data.train))
                if smaller is None or not is_out_of_memory(error):
                    raise
            recipe = smaller
            del network
            release_memory()

    def _affordable_epochs(self, point: Point, data: ImageData, seed: int) -> int:
        """Return how many epochs fit into the budget, at least one; the schedules then span exactly these."""
        assert self.budget_s is not None
        few = min(len(data.train), PROBED_STEPS * self.recipe.batch_size)
        part = Split(data.train.images[:few].contiguous(), data.train.labels[:few], data.train.keys[:few])
        short = replace(data, train=part)
        network = build_for_training(point, short, recipe=self.recipe, seed=seed)
        times: list[float] = []
        train(
            network,
            short,
            recipe=replace(self.recipe, epochs=2, patience=0),
            seed=seed,
            device=self.device,
            on_epoch=lambda epoch: times.append(epoch.seconds),
        )
        epoch_s = (times[1] - times[0]) * len(data.train) / few
        return max(1, int(self.budget_s / max(epoch_s, 1e-6)))


def build_for_training(point: Point, data: ImageData, *, recipe: Recipe, seed: int) -> nn.Module:
    """Return a network as a recipe trains it, drawn from a seed; what looks at images first sees the training ones."""
    blueprint = replace(point.blueprint, auxiliary=recipe.auxiliary_weight > 0)
    sample = data.normalise(data.train.images[: recipe.batch_size])
    with weights_from(seed):
        network = build_blueprint(blueprint, folder=point.folder, sample=sample)
    for module in network.modules():
        if isinstance(module, Whitening):
            module.whiten(data.normalise(data.train.images[:WHITENED]))
    return network


def _write_weights(network: nn.Module, point: Point, path: Path) -> None:
    expected = build_blueprint(replace(point.blueprint, auxiliary=False), folder=point.folder).state_dict().keys()
    state = {name: tensor.cpu() for name, tensor in network.state_dict().items() if name in expected}
    weights = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        unfinished.write_bytes(save(weights))
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.") from None


def read_network(blueprint: Blueprint, path: Path, folder: Path | None) -> nn.Module:
    """Return a trained network in evaluation mode.

    Raises:
        NASError: its weights cannot be read.
    """
    network = build_blueprint(replace(blueprint, auxiliary=False), folder=folder)
    try:
        weights = load(path.read_bytes())
        if differences := tensor_differences(network.state_dict(), weights):
            raise NASError(f"{path} holds weights of another network: {listed(differences)}.")
        network.load_state_dict(weights)
    except (OSError, SafetensorError) as error:
        raise NASError(
            f"cannot read the weights in {path}: {str(error).splitlines()[0]}. They are written by the training only: "
            "restore the file, or compare again with another --out."
        ) from None
    return network.eval()


@final
@dataclass(frozen=True, slots=True)
class ComparisonProblem(Problem):
    """The trainings of a comparison, as the subject of a search.

    Attributes:
        points: the trainings as points; data and points are checked as theirs are.
        plan: what is compared.
        competitors: all of them, winners of random searches too.
    """

    points: PointProblem
    plan: Plan
    competitors: tuple[Competitor, ...]

    @classmethod
    def of(cls, plan: Plan, competitors: Sequence[Competitor]) -> ComparisonProblem:
        """Return the problem of these competitors."""
        space = comparison_space(competitors, seeds=plan.terms.seeds)
        config = replace(
            plan.config,
            space=space.name,
            controller="all",
            trials=len(space.trainings),
            objective=Objective("train_loss", "minimize"),
        )
        return cls(PointProblem.of(config, space, f"a comparison on {config.data}"), plan, tuple(competitors))

    @property
    def config(self) -> SearchConfig:
        """Data, recipe, seed and executor."""
        return self.points.config

    @property
    def space(self) -> PointSpace:
        """The trainings."""
        return self.points.space

    def describe(self) -> list[str]:
        """Return what is compared."""
        return [self.points.title]

    def identity(self) -> dict[str, Any]:
        """Return the images, the points, and who they are."""
        competitors = [one.to_json() for one in self.competitors]
        return {**self.points.identity(), "comparison": {"competitors": competitors, "budget_s": self._budget_s}}

    @property
    def _budget_s(self) -> float | None:
        return self.plan.terms.budget_s

    def check_identity(self, header: Any, *, folder: Path) -> None:
        """Refuse to go on with other images, other networks, or fewer seeds."""
        self.points.check_identity(header, folder=folder)

    def make_evaluator(self, folder: Path) -> Evaluator:
        """Return the training of a network."""
        config = self.config
        source = ImageSource.of(config)
        recipe = config.search_recipe
        return ComparisonEvaluator(
            self.space, source, recipe, config.seed, folder.absolute(), config.device, self._budget_s
        )

    def make_prior(self) -> Prior | None:
        """Return nothing: every network is trained."""
        return None

    def conclude(self, best: Record, *, folder: Path, watcher: Watcher) -> dict[str, float]:
        """Do nothing: `nas.comparison.testing` looks at the test images when all trainings are through."""
        return {}

    def is_concluded(self, folder: Path) -> bool:
        """Return that nothing is missing."""
        return True


def carry_out_trainings(
    problem: ComparisonProblem, journal: Journal, events: Sequence[Event], *, folder: Path, watcher: Watcher
) -> tuple[Record, ...]:
    """Replay, then train what was not trained; return all results, failures among them.

    Unlike a search, a comparison does not end at failures, and where every training failed it has a table of reasons.

    Args:
        problem: the trainings.
        journal: open for appending.
        events: what the comparison went through so far.
        folder: the comparison's.
        watcher: told about progress.
    """
    config, space = problem.config, problem.space
    records = [Record.from_json(event.data) for event in events if event.kind == "told"]

    def observe(progress: Any, record: Record | None) -> None:
        if record is not None:
            records.append(record)
        watcher.progressed(progress, record)

    controller = Enumeration(space, config.objectives, config.seed)
    loop = SearchLoop(controller, journal, problem.points.screen, observe, watcher.said)
    loop.replay(events)
    wanted = len(space.trainings)
    if len(records) < wanted:
        executor = Session(config, folder, watcher, problem, controller).make_executor()
        try:
            loop.run(executor, Limits(wanted, failures=wanted + 1))
        finally:
            executor.close()
    return tuple(records)


def training_of(space: PointSpace, architecture: Architecture) -> tuple[Point, int]:
    """Return the network and the number of the seed of a training."""
    return space.point(architecture), architecture.choices[1]


def check_device(config: SearchConfig) -> None:
    """Refuse a device that is not there before anything is written.

    Raises:
        InvalidInputError: it is not.
    """
    from nas.profiling.measures import find_device

    find_device(config.device)
    if config.executor == "simulated":
        raise InvalidInputError(
            "--executor simulated is for tables: a comparison trains: use serial, processes or ray."
        )
