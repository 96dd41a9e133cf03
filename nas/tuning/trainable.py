"""Trainables of Ray Tune that evaluate what a `NASSearcher` proposes.

Data and everything else that all trials share lies once in Ray's object store.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune

from controllers.trial import Trial
from nas.building import count_architecture
from nas.config import SearchConfig
from nas.errors import NASError
from nas.evaluators.evaluator import Evaluator, evaluate_safely, trial_seed
from nas.evaluators.training_evaluator import TrainingEvaluator, build_seeded
from nas.image_problem import ImageProblem
from nas.training.checkpoint import read_state, write_state
from nas.training.training_loop import Epoch, Training
from nas.tuning.trial_config import trial_from
from search_spaces.architecture import Blueprint

Trainable = Callable[[dict[str, Any]], None]
CHECKPOINT = "training.pt"


def nas_trainable(
    space: Any = "nasnet", *, data: str = "digits", epochs: int | None = None, seed: int = 0, **settings: Any
) -> Trainable:
    """Return a trainable that trains networks as `nas.search` does and reports after every epoch.

    It reports ``val_accuracy``, ``val_loss``, ``train_loss``, ``params``, ``macs`` and ``epochs``, with a checkpoint
    from which a trial that was paused, or interrupted with its run, goes on.

    Args:
        space: where the networks come from; the searcher's.
        data: the images.
        epochs: of a training; None for the recipe's.
        seed: every random draw of the trainings derives from it.
        settings: further ones of `nas.SearchConfig`: ``recipe``, ``width``, ``train_limit``, ``device`` ...

    Raises:
        NASError: a setting that cannot be, in words that say what to do.
    """
    if epochs is not None:
        settings["recipe_changes"] = {**settings.get("recipe_changes", {}), "epochs": epochs}
    config = SearchConfig(space=space, data=data, seed=seed, **settings)
    evaluator = ImageProblem.prepare(config).make_evaluator(Path())
    if not isinstance(evaluator, TrainingEvaluator):
        return evaluator_trainable(evaluator)
    trainable: Trainable = tune.with_parameters(train_network, evaluator=evaluator)
    return trainable


def evaluator_trainable(evaluator: Evaluator) -> Trainable:
    """Return a trainable that reports what an evaluator measures, once; a failed evaluation is a failed trial."""
    trainable: Trainable = tune.with_parameters(evaluate_network, evaluator=evaluator)
    return trainable


def evaluate_network(config: Mapping[str, Any], evaluator: Evaluator) -> None:
    """Evaluate a trial in a process of Tune's, which names the experiment after this function.

    Raises:
        NASError: the evaluation failed.
    """
    measurement = evaluate_safely(evaluator, trial_from(config))
    if not measurement.ok:
        raise NASError(f"{measurement.status}: {measurement.error}")
    tune.report(dict(measurement.metrics))


def train_network(config: Mapping[str, Any], evaluator: TrainingEvaluator) -> None:
    """Train in a process of Tune's, epoch by epoch to the trial's budget, from Tune's checkpoint where it has one.

    Raises:
        DivergedError: the training loss is not finite.
    """
    trial = trial_from(config)
    blueprint = replace(evaluator.blueprint, network=trial.architecture)
    cost = count_architecture(evaluator.space, blueprint)
    identity = _identity(evaluator, blueprint, trial)
    training = _begin(evaluator, blueprint, trial)
    if (checkpoint := tune.get_checkpoint()) is not None:
        with checkpoint.as_directory() as folder:
            state = read_state(Path(folder) / CHECKPOINT, identity=identity)
        if state is not None:
            training.restore(state)
    while training.done < (trial.budget or evaluator.recipe.epochs) and not training.is_stopped:
        epoch = training.run_epoch()
        metrics = {"params": cost.params, "macs": cost.macs, "epochs": training.done}
        _report(training, {**_numbers(epoch), **metrics}, identity=identity)


def _begin(evaluator: TrainingEvaluator, blueprint: Blueprint, trial: Trial) -> Training:
    seed = trial_seed(evaluator.seed, trial)
    network = build_seeded(evaluator.space, blueprint, data=evaluator.data, recipe=evaluator.recipe, seed=seed)
    return Training(
        network, evaluator.data, recipe=evaluator.recipe, seed=seed, device=evaluator.device, validates=True
    )


def _numbers(epoch: Epoch) -> dict[str, Any]:
    return {"val_accuracy": epoch.val_accuracy, "val_loss": epoch.val_loss, "train_loss": epoch.train_loss}


def _report(training: Training, metrics: dict[str, Any], *, identity: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_state(Path(folder) / CHECKPOINT, training.state(), identity=identity)
        tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))


def _identity(evaluator: TrainingEvaluator, blueprint: Blueprint, trial: Trial) -> str:
    """Return a text that is the same for equal trainings only."""
    seed = trial_seed(evaluator.seed, trial)
    return json.dumps([seed, evaluator.recipe.to_json(), blueprint.to_json(), evaluator.data.fingerprint])
