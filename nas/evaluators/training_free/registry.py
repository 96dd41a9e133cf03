"""The training-free scores by name, and how an evaluator of one is made."""

from __future__ import annotations

from nas.data.image_data import ImageData
from nas.errors import InvalidInputError, UnknownNameError
from nas.evaluators.evaluator import Evaluator
from nas.evaluators.training_free.activation_codes import FAILURE as SAME_CODES
from nas.evaluators.training_free.activation_codes import compute_naswot
from nas.evaluators.training_free.evaluation import TrainingFreeEvaluator
from nas.evaluators.training_free.expressivity import compute_zen
from nas.evaluators.training_free.gradients import compute_grad_norm, compute_jacov, compute_snip
from nas.evaluators.training_free.minibatch import draw_minibatch
from nas.evaluators.training_free.score import TrainingFreeScore
from nas.evaluators.training_free.synaptic_flow import compute_synflow
from search_spaces.architecture import Blueprint
from search_spaces.space import SearchSpace

TRAINING_FREE: dict[str, TrainingFreeScore] = {
    score.name: score
    for score in (
        TrainingFreeScore("params", "trainable parameters: the score that others have to beat"),
        TrainingFreeScore("macs", "multiply-accumulates: the other one"),
        TrainingFreeScore(
            "naswot", "log-determinant of the kernel of ReLU codes (Mellor 2021)", compute_naswot, SAME_CODES
        ),
        TrainingFreeScore("synflow", "log of the summed synaptic flow, without data (Tanaka 2020)", compute_synflow),
        TrainingFreeScore("grad_norm", "sum of the layers' gradient norms (Abdelfattah 2021)", compute_grad_norm),
        TrainingFreeScore("snip", "sum of |weight x gradient| (Lee 2019)", compute_snip),
        TrainingFreeScore("jacov", "covariance of the images' Jacobians (Mellor 2020, version 1)", compute_jacov),
        TrainingFreeScore("zen", "Zen-score: how far Gaussian features move, without data (Lin 2021)", compute_zen),
    )
}


def make_training_free(
    name: str, space: SearchSpace, blueprint: Blueprint, data: ImageData, *, seed: int, device: str = "cpu"
) -> Evaluator:
    """Return the evaluator of a training-free score; it can travel to another process, without the data.

    Args:
        name: a key of `TRAINING_FREE`; also the name of the metric, larger is better.
        space: builds the networks.
        blueprint: what to build, with any architecture of the space in it.
        data: what the networks are for; a minibatch of `BATCH_SIZE` training images is drawn for all trials at once.
        seed: the run's seed: images, weights and inputs derive from it.
        device: torch device to compute on.

    Raises:
        UnknownNameError: no such score; the message lists the known ones.
        InvalidInputError: the space cannot build the blueprint, or it is for other images than the data's.
    """
    if name not in TRAINING_FREE:
        raise UnknownNameError("training-free score", name, TRAINING_FREE)
    space.complexity(blueprint)  # a table of results has nothing to build: said now, not once a trial
    channels, resolution, _ = data.input_shape
    if (blueprint.channels, blueprint.resolution) != (channels, resolution) or blueprint.classes < data.classes:
        raise InvalidInputError(
            f"the networks are for {blueprint.channels} x {blueprint.resolution} x {blueprint.resolution} images of "
            f"{blueprint.classes} classes, {data.name} has {channels} x {resolution} x {resolution} images of "
            f"{data.classes}: make the blueprint for the data."
        )
    score = TRAINING_FREE[name]
    batch = draw_minibatch(data, seed=seed) if score.compute is not None else None
    return TrainingFreeEvaluator(space, blueprint, score, batch, seed, device)
