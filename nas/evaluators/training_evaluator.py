"""A trial's worth found by training it on the training split and looking at the validation split."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from controllers.trial import Measurement, Trial
from nas.data.image_data import ImageData
from nas.errors import DivergedError
from nas.evaluators.evaluator import trial_seed
from nas.training.recipe import Recipe
from nas.training.seeding import seeded
from nas.training.training_loop import measure_accuracy, train
from search_spaces.architecture import Blueprint
from search_spaces.space import SearchSpace


@dataclass(frozen=True, slots=True)
class TrainingEvaluator:
    """Trains from scratch, the same way for every trial.

    Attributes:
        space: builds the networks.
        blueprint: what to build, with any architecture in it: each trial's takes its place.
        data: training and validation images, without the test split.
        recipe: how to train; a trial's budget replaces its epochs.
        seed: the run's seed.
        device: where to train.
    """

    space: SearchSpace
    blueprint: Blueprint
    data: ImageData
    recipe: Recipe
    seed: int
    device: str = "cpu"

    def evaluate(self, trial: Trial) -> Measurement:
        """Return validation accuracy, losses, cost and times of the trained network.

        Raises:
            DivergedError: the training loss is not finite.
        """
        recipe = self.recipe if trial.budget is None else replace(self.recipe, epochs=trial.budget)
        seed = trial_seed(self.seed, trial)
        blueprint = replace(self.blueprint, network=trial.architecture)
        cost = self.space.complexity(blueprint)
        network = build_seeded(self.space, blueprint, recipe=recipe, seed=seed)
        epoch = train(network, self.data, recipe=recipe, seed=seed, device=self.device)
        accuracy = measure_accuracy(network, self.data, self.data.validation)
        if not math.isfinite(accuracy.loss):
            raise DivergedError(f"the validation loss is {accuracy.loss} after training")
        metrics = {
            "val_accuracy": accuracy.share,
            "val_loss": accuracy.loss,
            "train_loss": epoch.train_loss,
            "params": cost.params,
            "macs": cost.macs,
            "epochs": recipe.epochs,
            "train_s": epoch.seconds,
        }
        return Measurement("ok", metrics, seconds=epoch.seconds)


def build_seeded(space: SearchSpace, blueprint: Blueprint, *, recipe: Recipe, seed: int) -> nn.Module:
    """Return the network that a recipe trains, auxiliary head included where it has one, drawn from a seed."""
    with seeded(seed), torch.device("cpu"):
        return space.build(replace(blueprint, auxiliary=recipe.auxiliary_weight > 0))
