"""Bounds on the memory that training a network takes, checked by a forecast before it is sent to a worker.

Refused is what surely does not fit: the forecast counts torch's tensors alone, and no worker can do with less. What
passes may still be stopped, since Python, libraries and a GPU's context come on top; how many trainings share a card
is decided by `TrainingMemory.needed`, which has a margin, in `children_that_fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch

from controllers.trial import Measurement
from nas.building import exchange_parts
from nas.config import SearchConfig
from nas.config_rules import TRAINING
from nas.errors import InvalidInputError
from nas.training.memory_forecast import TrainingMemory, forecast_memory
from nas.training.recipe import Recipe
from search_spaces.architecture import Blueprint
from search_spaces.space import SearchSpace

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class MemoryBound:
    """The most that a training may take.

    Attributes:
        name: whose bound it is, for messages.
        limit_bytes: at most so many.
        recipe: how the network would be trained.
    """

    name: str
    limit_bytes: int
    recipe: Recipe


@final
@dataclass(frozen=True, slots=True)
class MemoryCheck:
    """Decides by a forecast, 0.1 to 2 s of processor time each, whether networks can be trained at all.

    Attributes:
        space: builds the networks.
        bounds: at least one.
        validation_images: how many a training looks at.
        device: where networks are trained.
    """

    space: SearchSpace
    bounds: tuple[MemoryBound, ...]
    validation_images: int
    device: str = "cpu"

    def check(self, blueprint: Blueprint) -> Measurement | None:
        """Return an ``infeasible`` measurement that names the broken bound, or None when all are kept.

        None too of a network that cannot run: a worker says so, with the traceback.
        """
        for bound in self.bounds:
            try:
                taken = self.forecast(blueprint, bound.recipe).peak
            except Exception:  # anything may go wrong in code that others wrote
                return None
            if taken > bound.limit_bytes:
                text = (
                    f"training it in batches of {bound.recipe.batch_size} takes at least "
                    f"{taken / MEBIBYTE:,.1f} MiB of memory: {bound.name} is {bound.limit_bytes / MEBIBYTE:,.1f} MiB"
                )
                return Measurement("infeasible", {"training_memory_bytes": taken}, error=text)
        return None

    def forecast(self, blueprint: Blueprint, recipe: Recipe) -> TrainingMemory:
        """Return what training an architecture takes, with its parts and the auxiliary heads that the recipe trains."""
        whole = replace(blueprint, auxiliary=recipe.auxiliary_weight > 0)
        shape = (blueprint.channels, blueprint.resolution, blueprint.resolution)
        return forecast_memory(
            lambda: exchange_parts(self.space.build(whole), whole),
            shape,
            recipe=recipe,
            validation_images=self.validation_images,
            device=self.device,
        )

    def refuse_hopeless(self, leanest: Sequence[Blueprint]) -> None:
        """Refuse bounds that none of these networks keeps.

        Args:
            leanest: those of a sample of the space that are likeliest to keep them.

        Raises:
            InvalidInputError: none does.
        """
        reasons = []
        for blueprint in leanest:
            reason = self.check(blueprint)
            if reason is None:
                return
            reasons.append(reason)
        if reasons:
            least = min(reasons, key=lambda reason: reason.metrics["training_memory_bytes"])
            raise InvalidInputError(
                f"no network of {len(reasons)} small ones drawn from {self.space.name!r} keeps the bound of memory; of "
                f"the one that needs least: {least.error}. Loosen the bound, or lower depth, width or the batch."
            )


def memory_check(config: SearchConfig, space: SearchSpace, *, validation_images: int) -> MemoryCheck | None:
    """Return the check that a search's settings ask for; None where nothing bounds the memory.

    ``--max-memory`` bounds the training itself. ``--trial-memory`` bounds the process of a worker, on the CPU of which
    the tensors are a part. A GPU, or a worker's share of it, bounds what is left when a batch is computed in two
    parts, which is what the evaluator does before it gives up.

    Args:
        config: the settings.
        space: builds the networks.
        validation_images: how many a training looks at.
    """
    recipe, bounds = config.search_recipe, []
    if config.constraints.max_memory is not None:
        bounds.append(MemoryBound("--max-memory", config.constraints.max_memory, recipe))
    if config.evaluator == TRAINING and torch.device(config.device).type == "cuda":
        share = min(config.gpus_per_worker or 1.0, 1.0)
        whole = torch.cuda.get_device_properties(config.device).total_memory
        parts = min(recipe.accumulation * 2, recipe.batch_size)
        bounds.append(
            MemoryBound("a worker's share of the GPU", int(whole * share), replace(recipe, accumulation=parts))
        )
    elif config.evaluator == TRAINING and config.trial_memory_bytes is not None:
        bounds.append(MemoryBound("--trial-memory", config.trial_memory_bytes, recipe))
    return MemoryCheck(space, tuple(bounds), validation_images, config.device) if bounds else None


def children_that_fit(memory: TrainingMemory, *, card_bytes: int, context_bytes: int, data_bytes: int = 0) -> int:
    """Return how many trainings of this kind a card holds at once, each in a process of its own; 0 for none.

    Args:
        memory: the forecast of the largest of them.
        card_bytes: what is free on the card.
        context_bytes: what a process takes there before it has a tensor; see `measure_context`.
        data_bytes: images that each process keeps there.
    """
    return max(0, card_bytes) // (memory.needed + context_bytes + data_bytes)


def measure_context(device: torch.device | str) -> int:
    """Return the bytes that this process takes on a GPU beside torch's tensors, on a card that nobody else uses."""
    free, total = torch.cuda.mem_get_info(device)
    return int(total) - int(free) - int(torch.cuda.memory_reserved(device))
