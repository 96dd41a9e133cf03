"""Recipes: everything that decides how a network is trained, as values with names."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from nas.errors import InvalidInputError, UnknownNameError


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained: Nesterov SGD under a cosine with linear warm-up.

    Attributes:
        name: what `get_recipe` finds it by, for the record.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: at its peak.
        momentum: Nesterov momentum in [0, 1).
        weight_decay: L2, on weights of convolutions and linear layers only.
        warmup: share of all steps in which the rate rises linearly from zero, in [0, 1).
        label_smoothing: probability spread over all classes, in [0, 1).
        gradient_clip: largest global norm of the gradient; 0 for no clipping.
        drop_path: ScheduledDropPath's final rate at the last cell, in [0, 1) (Zoph 2018, A.7).
        auxiliary_weight: weight of the auxiliary head's loss; 0 trains without one.
        augment: whether the data set's own augmentation is applied.
        cutout: side in pixels of a square that is erased from each training image (DeVries 2017); 0 for none.
    """

    name: str
    epochs: int
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.1
    label_smoothing: float = 0.0
    gradient_clip: float = 5.0
    drop_path: float = 0.0
    auxiliary_weight: float = 0.0
    augment: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range, naming the field."""
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidInputError(f"recipe {self.name!r}: {name} must be a whole number >= 1, got {value!r}.")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InvalidInputError(
                f"recipe {self.name!r}: learning_rate must be larger than 0, got {self.learning_rate}."
            )
        for name in ("momentum", "warmup", "label_smoothing", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInputError(f"recipe {self.name!r}: {name} must be in [0, 1), got {getattr(self, name)}.")
        for name in ("weight_decay", "gradient_clip", "auxiliary_weight", "cutout"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidInputError(f"recipe {self.name!r}: {name} must be >= 0, got {getattr(self, name)}.")

    def rate_at(self, progress: float) -> float:
        """Return the learning rate after a share of all steps.

        Args:
            progress: share of steps done, in [0, 1].
        """
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        done = (progress - self.warmup) / (1 - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def with_changes(self, changes: dict[str, Any]) -> Self:
        """Return a copy with these fields changed.

        Raises:
            UnknownNameError: a field that recipes do not have.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError("recipe field", name, known)
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(name=data["name"], epochs=data["epochs"]).with_changes(data)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        # A few epochs, enough to rank networks: what a search spends on each.
        Recipe("proxy", epochs=8),
        # A network at the end of a search, trained until small data sets are learnt.
        Recipe("quick", epochs=40, label_smoothing=0.1, drop_path=0.1),
        # Zoph 2018, A.7 with the values of TF-Slim's CIFAR configuration.
        Recipe(
            "nasnet-cifar",
            epochs=600,
            batch_size=32,
            learning_rate=0.025,
            warmup=0.0,
            drop_path=0.4,
            auxiliary_weight=0.4,
            cutout=16,
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
