"""A search whose networks see images: they are trained, or scored without training, and the best is retrained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

from controllers.prior import Prior
from controllers.trial import Record
from nas.config import SearchConfig
from nas.config_rules import TRAINING
from nas.controller_setup import make_search_controller
from nas.data import ImageData, load_data
from nas.errors import InvalidInputError, UnknownNameError
from nas.evaluators.evaluator import Evaluator
from nas.evaluators.training_evaluator import TrainingEvaluator
from nas.finalizing import FOLDER, finalize, load_stored
from nas.memory_bounds import memory_check
from nas.priors import score_prior
from nas.problem import Problem
from nas.progress import short_count
from nas.screening import Preview, Screen
from nas.training.checkpoint import CHECKPOINTS
from nas.training.device import check_device
from nas.training.recipe import get_recipe
from nas.watching import Watcher
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.randomness import derive_generator
from search_spaces.registry import get_space

COUNTED = ("params", "macs")  # metrics that every evaluation of a network has
TRAINED = ("val_accuracy", "val_loss", "train_loss", "train_s", "epochs", "epochs_spent")  # and those of a training


@final
@dataclass(frozen=True, slots=True)
class ImageProblem(Problem):
    """Networks of a space on a set of images."""

    config: SearchConfig
    data: ImageData
    screen: Screen
    preview: Preview

    @classmethod
    def prepare(cls, config: SearchConfig) -> Self:
        """Check names, load the images, and look at a sample of the space.

        Raises:
            NASError: a setting that cannot be, in words that say what to do.
        """
        space = get_space(config.space)
        get_recipe(config.final_recipe), config.search_recipe  # an unknown name is said before the data is read
        _check_names(config)
        make_search_controller(config, space, prior=None)
        data = load_data(
            config.data,
            root=config.data_root,
            download=config.download,
            resolution=config.resolution,
            train_limit=config.train_limit,
        )
        channels, resolution, _ = data.input_shape

        def blueprint(architecture: Architecture) -> Blueprint:
            return config.blueprint(
                architecture,
                resolution=resolution,
                channels=channels,
                classes=data.classes,
                proxy_sizes=space.proxy_sizes,
            )

        check_device(config.device)
        memory = memory_check(config, space, validation_images=len(data.validation))
        screen = Screen(space, config.constraints, blueprint, memory)
        return cls(config, data, screen, screen.preview(config.seed))

    def describe(self) -> list[str]:
        """Return what is searched, the images and the training, and the size of a typical network."""
        config, data = self.config, self.data
        sizes = f"{len(data.train):,} train, {len(data.validation):,} validation, {len(data.test):,} test images"
        how = f"{config.search_recipe.epochs} epochs a network by recipe {config.recipe!r}"
        lines = [
            f"{config.space} on {config.data}",
            f"{sizes}; {how if config.evaluator == TRAINING else f'scored by {config.evaluator}, without training'}",
        ]
        if self.preview.median is not None:
            share = (
                f"{self.preview.feasible:.0%} of the space keeps the constraints; " if config.constraints.any else ""
            )
            params = short_count(self.preview.median.params)
            macs = short_count(self.preview.median.macs)
            lines.append(f"{share}a typical network has {params} parameters and {macs} MACs")
        return lines

    def identity(self) -> dict[str, Any]:
        """Return a summary of the images."""
        return {"data": self.data.summary()}

    def check_identity(self, header: Mapping[str, Any], *, folder: Path) -> None:
        """Refuse other images under the same name."""
        if self.data.fingerprint != header["data"]["fingerprint"]:
            raise InvalidInputError(
                f"the images of {self.config.data!r} are not those that {folder} was started with: "
                "their contents differ."
            )

    def make_evaluator(self, folder: Path) -> Evaluator:
        """Return the training of a trial, or its training-free score."""
        config = self.config
        if config.evaluator != TRAINING:
            return self._scorer(config.evaluator)
        # shorter trainings are gone on with, so their weights are kept; a long one leaves its state for a lost worker
        kept: dict[str, Any] = {"interim": folder / CHECKPOINTS}
        kept |= {"checkpoints": folder / CHECKPOINTS} if config.multi_fidelity else {}
        images = self.data.for_search()
        return TrainingEvaluator(
            self.screen.space, self._blueprint(), images, config.search_recipe, config.seed, config.device, **kept
        )

    def make_prior(self) -> Prior | None:
        """Return a training-free score as the guess."""
        name = self.config.prior
        return None if name is None else score_prior(self._scorer(name), self.screen.space, metric=name)

    def conclude(self, best: Record, *, folder: Path, watcher: Watcher) -> dict[str, float]:
        """Retrain the network, measure it once on the test images, and store it."""
        recipe = get_recipe(self.config.final_recipe)
        watcher.said(f"retraining trial {best.trial.number} by recipe {recipe.name!r}")
        stored = finalize(
            best,
            self.screen.blueprint(best.trial.architecture),
            self.data,
            recipe=recipe,
            run_seed=self.config.seed,
            device=self.config.device,
            folder=folder,
            on_epoch=lambda epoch: watcher.retrained(epoch, recipe.epochs),
        )
        return stored.metrics

    def is_concluded(self, folder: Path) -> bool:
        """Return whether the trained network is there."""
        try:
            load_stored(folder / FOLDER)
        except InvalidInputError:
            return False
        return True

    def _blueprint(self) -> Blueprint:
        """A blueprint with some architecture in it: evaluators put each trial's in its place."""
        placeholder = self.screen.space.sample(derive_generator(self.config.seed, 0, "placeholder"))
        return self.screen.blueprint(placeholder)

    def _scorer(self, name: str) -> Evaluator:
        from nas.evaluators.training_free import make_training_free

        return make_training_free(
            name,
            self.screen.space,
            self._blueprint(),
            self.data.for_search(),
            seed=self.config.seed,
            device=self.config.device,
        )


def _check_names(config: SearchConfig) -> None:
    """Refuse scores that are none, and metrics that no evaluation will have.

    Raises:
        UnknownNameError: such a name.
    """
    from nas.evaluators.training_free import TRAINING_FREE

    if config.evaluator not in (TRAINING, *TRAINING_FREE):
        raise UnknownNameError("evaluator", config.evaluator, [TRAINING, *TRAINING_FREE])
    if config.prior is not None and config.prior not in TRAINING_FREE:
        raise UnknownNameError("training-free score", config.prior, TRAINING_FREE)
    measured = (*TRAINED, *COUNTED) if config.evaluator == TRAINING else (config.evaluator, *COUNTED)
    weighed = [config.objective.cost] if config.objective.target is not None else []
    for name in (*(objective.metric for objective in config.objectives), *weighed):
        if name not in measured:
            raise UnknownNameError(f"metric of evaluator {config.evaluator!r}:", name, set(measured))
