"""How a learning rate goes through a training: functions of the share of it that is done, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nas.training.recipe import Recipe

Schedule = Literal["cosine", "exponential", "step", "plateau", "triangular"]


def cosine(recipe: Recipe, progress: float) -> float:
    """Half a period of a cosine behind the warm-up, down to the final rate (Loshchilov 2017, eq. 5)."""
    lowest = recipe.learning_rate * recipe.final_rate
    return lowest + (recipe.learning_rate - lowest) * 0.5 * (1 + math.cos(math.pi * _behind_warmup(recipe, progress)))


def triangular(recipe: Recipe, progress: float) -> float:
    """A straight line behind the warm-up, down to the final rate (Page 2018; airbench)."""
    return recipe.learning_rate * (1 - (1 - recipe.final_rate) * _behind_warmup(recipe, progress))


def exponential(recipe: Recipe, progress: float) -> float:
    """A factor every so many epochs, in steps, counted from the start (TF-Slim; EfficientNet's code)."""
    done = math.floor(progress * recipe.epochs / recipe.decay_epochs + 1e-9)
    return recipe.learning_rate * recipe.decay_factor**done


def step(recipe: Recipe, progress: float) -> float:
    """A factor at each milestone (He 2016)."""
    return recipe.learning_rate * recipe.decay_factor ** sum(progress >= at - 1e-9 for at in recipe.milestones)


SCHEDULES: dict[Schedule, Callable[[Recipe, float], float]] = {
    "cosine": cosine,
    "triangular": triangular,
    "exponential": exponential,
    "step": step,
    "plateau": lambda recipe, progress: recipe.learning_rate,  # see `after_losses`
}


def after_losses(recipe: Recipe, losses: Sequence[float]) -> float:
    """Return what a plateau schedule has come to after epochs with these validation losses, in order."""
    from nas.parts.plateau import Plateau  # comes with torchvision, which takes a second to load

    return Plateau(recipe.learning_rate, recipe.decay_factor, recipe.decay_patience).rate_after(losses)


def _behind_warmup(recipe: Recipe, progress: float) -> float:
    return min(1.0, (progress - recipe.warmup) / (1 - recipe.warmup))
