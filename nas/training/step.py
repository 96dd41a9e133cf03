"""What one step of a training computes: loss, gradients, clipping, new weights, and their average."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.errors import InvalidInputError
from nas.training.averaging import Average
from nas.training.clock import NO_CLOCK, Clock
from nas.training.optimizers import Optimizers
from nas.training.processes import ALONE, Processes
from nas.training.rates import HeldRate, Rates
from nas.training.recipe import Recipe

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@final
class TrainingStep:
    """A batch's effect on a network, an optimizer and an average; all three are changed in place by `run`."""

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizers,
        *,
        recipe: Recipe,
        batch: int,
        average: Average | None = None,
        processes: Processes = ALONE,
        clock: Clock = NO_CLOCK,
    ) -> None:
        """Tie together what takes part.

        Args:
            network: in training mode when the step is run.
            optimizer: of its parameters.
            recipe: loss, clipping, precision and parts are its.
            batch: images in a batch, of all processes together.
            average: of the network's weights, where the recipe keeps one.
            processes: those that train together.
            clock: told which phase of a step it is in.

        Raises:
            InvalidInputError: a part of a batch would be empty.
        """
        self._network, self._optimizer, self._recipe = network, optimizer, recipe
        self._average, self._processes, self._clock = average, processes, clock
        self._device = next(network.parameters()).device
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._parts = _own_parts(batch, accumulation=recipe.accumulation, processes=processes)
        self._outputs = _distributed(Outputs(network), processes, self._device)
        self._drop_path: HeldRate | None = None
        self._averaging: float | HeldRate = 0.0

    @property
    def can_be_recorded(self) -> bool:
        """Whether all that `run` does follows from tensors, once `hold_rates` was called."""
        return self._processes.count == 1 and self._optimizer.can_hold_rates and self._clock is NO_CLOCK

    def hold_rates(self) -> None:
        """From now on keep rates in tensors, so that a recorded step sees those of later steps."""
        self._optimizer.hold_rates(self._device)
        self._averaging = HeldRate.on(self._device)
        if self._drops_paths:
            self._drop_path = HeldRate.on(self._device)
            self._network.set_drop_path(self._drop_path)  # type: ignore[operator]

    def set_rates(self, rates: Rates) -> None:
        """Set the rates of the next step."""
        self._optimizer.set_rate(rates.learning)
        if isinstance(self._averaging, HeldRate):
            self._averaging.set(rates.averaging)
        else:
            self._averaging = rates.averaging
        if self._drop_path is not None:
            self._drop_path.set(rates.drop_path)
        elif self._drops_paths:
            self._network.set_drop_path(rates.drop_path)  # type: ignore[operator]

    def release_rates(self) -> None:
        """Leave the network with a number in the place of a held rate, as whoever stores it expects."""
        if self._drop_path is not None:
            self._network.set_drop_path(float(self._drop_path.value))  # type: ignore[operator]

    def run(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch and return its mean loss.

        Args:
            images: float32 (batch, channels, height, width), prepared.
            labels: int64 (batch,).
        """
        loss = self._differentiate(images, labels)
        with self._clock.phase("optimiser"):
            if self._recipe.gradient_clip:
                nn.utils.clip_grad_norm_(self._parameters, self._recipe.gradient_clip)
            self._optimizer.step()
            if self._average:
                rate = self._averaging
                self._average.update(self._network, rate.value if isinstance(rate, HeldRate) else rate)
        return loss

    def forget(self) -> None:
        """Drop the gradients, whose memory may be that of a recording."""
        self._optimizer.zero_grad()

    @property
    def _drops_paths(self) -> bool:
        return self._recipe.drop_path > 0 and hasattr(self._network, "set_drop_path")

    def _differentiate(self, images: Tensor, labels: Tensor) -> Tensor:
        """Leave the gradients of a batch's loss with the parameters, part by part, and return the loss."""
        self._optimizer.zero_grad()
        losses = []
        for part, weight in self._parts:
            with self._gradients_of(part):
                with self._clock.phase("forward"):
                    loss = self._loss(images[part], labels[part])
                    loss = loss if weight == 1 else loss * weight
                with self._clock.phase("backward"):
                    loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with in_precision(self._recipe, self._device):
            logits, auxiliary = self._outputs(images)
        loss = self._cross_entropy(logits, labels)
        for further in auxiliary:
            loss = loss + self._recipe.auxiliary_weight * self._cross_entropy(further, labels)
        return loss

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = logits if self._recipe.precision == "float32" else logits.float()
        return functional.cross_entropy(logits, labels, label_smoothing=self._recipe.label_smoothing)

    def _gradients_of(self, part: slice) -> AbstractContextManager[Any]:
        """Let processes exchange gradients with the last part of a batch only."""
        if self._processes.count > 1 and part != self._parts[-1][0]:
            assert isinstance(self._outputs, nn.parallel.DistributedDataParallel)
            waits: AbstractContextManager[Any] = self._outputs.no_sync()
            return waits
        return nullcontext()


class Outputs(nn.Module):
    """A network with whatever auxiliary logits it has while training."""

    def __init__(self, network: nn.Module) -> None:
        """Call this network; `forward_with_auxiliary` where it has one."""
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return logits (batch, classes), and those of auxiliary heads, none where there are none."""
        forward = getattr(self.network, "forward_with_auxiliary", None)
        if forward is None:
            return self.network(images), ()
        logits, auxiliary = forward(images)
        if auxiliary is None:
            return logits, ()
        return logits, auxiliary if isinstance(auxiliary, tuple) else (auxiliary,)


def in_precision(recipe: Recipe, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a recipe's networks compute; weights stay float32.

    A weight is read once a step, so none of its copies is kept: a kept one would outlive the recording of a step.
    """
    if recipe.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[recipe.precision], cache_enabled=False)


def _own_parts(batch: int, *, accumulation: int, processes: Processes) -> Sequence[tuple[slice, float]]:
    """Return this process' parts of a batch, each with its weight in the mean that all processes take.

    Raises:
        InvalidInputError: a part would be empty.
    """
    count = processes.count * accumulation
    if count > batch:
        raise InvalidInputError(f"a batch of {batch} images cannot be divided into {count} parts: enlarge it.")
    ends = [batch * i // count for i in range(count + 1)]
    first = processes.rank * accumulation
    return [
        (slice(ends[i], ends[i + 1]), (ends[i + 1] - ends[i]) / batch * processes.count)
        for i in range(first, first + accumulation)
    ]


def _distributed(outputs: nn.Module, processes: Processes, device: torch.device) -> nn.Module:
    if processes.count == 1:
        return outputs
    if device.type == "cuda":
        outputs = nn.SyncBatchNorm.convert_sync_batchnorm(outputs)  # type: ignore[no-untyped-call]
    return nn.parallel.DistributedDataParallel(outputs)
