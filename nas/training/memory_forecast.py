"""How much memory a training takes, foretold from shapes: before weights are drawn or a network is sent to a worker.

The step of `nas.training.training_loop` is run on the meta device, where tensors have shapes and no contents, and
every storage is followed from its birth to its death: forward, backward, update, and the evaluation behind them.
What lies outside of torch's tensors (Python, libraries, a GPU's context) is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from nas.data.image_data import normalise_bytes
from nas.errors import InvalidInputError
from nas.profiling.measures import LiveTensors
from nas.training.averaging import Average, copied
from nas.training.measuring import EVALUATION_BATCH, evaluation_batch
from nas.training.optimizers import make_optimizer
from nas.training.recipe import Recipe
from nas.training.step import Outputs
from search_spaces.counting import plain_operators, tensors_in, without_weights

Shape = tuple[int, int, int]
# What kernels take beyond the tensors, as a share and in bytes: the largest seen over 27 trainings on a CPU was 2.2 %
# (15 MiB of ResNet-18 at 694), results/tables/memory_forecast.md. A GPU's is unmeasured.
MARGIN_SHARE = 0.05
MARGIN_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """Bytes of torch's tensors during a training; views and tensors that share a storage count once.

    Attributes:
        weights: parameters and running statistics.
        gradients: of the parameters.
        optimizer: its state, momentum among it.
        copies: of the weights, where the recipe has them: the moving average, the best epoch's.
        saved: what a forward pass keeps for the backward one, weights left out.
        step: the most that are alive at once in a step, all of the above and the images among them.
        evaluation: the most that are alive at once while the validation images are looked at.
    """

    weights: int
    gradients: int
    optimizer: int
    copies: int
    saved: int
    step: int
    evaluation: int

    @property
    def peak(self) -> int:
        """The most that are alive at once in the whole training."""
        return max(self.step, self.evaluation)

    @property
    def needed(self) -> int:
        """The peak with a margin for kernels' workspace and the allocator's rounding: what to keep free."""
        return round(self.peak * (1 + MARGIN_SHARE)) + MARGIN_BYTES

    def to_json(self) -> dict[str, int]:
        """Return a JSON-ready dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def forecast_memory(
    build: Callable[[], nn.Module],
    input_shape: Shape,
    *,
    recipe: Recipe,
    validation_images: int = EVALUATION_BATCH,
    device: torch.device | str = "cpu",
) -> TrainingMemory:
    """Return the memory that training a network by a recipe will take.

    A network that reads the contents of its tensors is built and run with true ones.

    Args:
        build: makes the network, auxiliary heads included where the recipe trains them.
        input_shape: (channels, height, width) of an image.
        recipe: its batch, parts, optimizer and average decide.
        validation_images: how many are looked at; none takes the network's own evaluation out.
        device: where it is to be trained, which says how many images are looked at together. Nothing is computed there.

    Raises:
        InvalidInputError: fewer than 0 validation images.
        Exception: whatever the network raises.
    """
    if validation_images < 0:
        raise InvalidInputError(f"validation_images must be >= 0, got {validation_images}.")

    def run(place: str) -> TrainingMemory:
        step = _Step(build(), input_shape, recipe, place)
        with LiveTensors(step.tensors) as live:
            saved = step.differentiate()
            differentiated = int(live.peak_bytes)
            step.update()
            held = step.held_bytes
            updated, live.peak_bytes = int(live.peak_bytes), live.live_bytes
            step.evaluate(min(validation_images, evaluation_batch(input_shape, device)))
            evaluation = int(live.peak_bytes)
        # from the second step on the optimizer's state is there while gradients are computed
        peak = max(differentiated + held["optimizer"], updated)
        return TrainingMemory(**held, saved=saved, step=peak, evaluation=evaluation)

    with plain_operators():
        return without_weights(run)


class _Step:
    """A training's step: the computations of `nas.training.training_loop`, without data, schedules or checks."""

    def __init__(self, network: nn.Module, input_shape: Shape, recipe: Recipe, device: str) -> None:
        self._network = network.to(memory_format=torch.channels_last).train()
        self._recipe, self._shape, self._device = recipe, input_shape, device
        self._outputs = Outputs(network)
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._optimizer = make_optimizer(network, recipe, rates={}, fused=False)
        self._average = Average(network, recipe.average) if recipe.average else None
        self._best = copied(network.state_dict()) if recipe.patience else {}

    @property
    def tensors(self) -> list[Tensor]:
        """What is there before the first step."""
        return [*self._weights, *self._copies]

    @property
    def held_bytes(self) -> dict[str, int]:
        """What is there between two steps."""
        weights = set(_storages(self._weights))
        state = tensors_in((self._optimizer.state_dict(),))
        return {
            "weights": _bytes(self._weights),
            "gradients": _bytes(p.grad for p in self._parameters if p.grad is not None),
            "optimizer": _bytes(tensor for tensor in state if tensor.untyped_storage()._cdata not in weights),
            "copies": _bytes(self._copies),
        }

    @property
    def _copies(self) -> list[Tensor]:
        return [*(self._average.values.values() if self._average else ()), *self._best.values()]

    @property
    def _weights(self) -> list[Tensor]:
        return [*self._network.parameters(), *self._network.buffers()]

    def differentiate(self) -> int:
        """Compute a batch's gradients, part by part; return the bytes that a part's forward pass keeps."""
        weights, kept = set(_storages(self._weights)), dict[int, int]()

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage.nbytes()
            return tensor

        images, labels = self._batch(self._recipe.batch_size)
        saved = 0
        for part in zip(images.chunk(self._recipe.accumulation), labels.chunk(self._recipe.accumulation), strict=True):
            kept.clear()
            with saved_tensors_hooks(note, lambda tensor: tensor):
                loss = self._loss(*part)
            saved = max(saved, sum(size for key, size in kept.items() if key not in weights))
            loss.backward()  # type: ignore[no-untyped-call]
        return saved

    def update(self) -> None:
        """Change the weights; clipping is left out, as it works in place."""
        self._optimizer.step()
        if self._average:
            self._average.update(self._network, 0)

    def evaluate(self, count: int) -> None:
        """Look at a batch of validation images, with copies of the weights that the loop makes meanwhile."""
        if count < 1:
            return
        self._network.eval()
        last = copied(self._network.state_dict()) if self._average and self._recipe.watches_validation else {}
        with torch.no_grad():
            given = torch.zeros(1, *self._shape, dtype=torch.uint8, device=self._device)  # a view of the split's bytes
            images = self._prepare(given.expand(count, -1, -1, -1))
            logits = self._network(images)
            if self._recipe.flip_test:
                logits = logits + self._network(images.flip(3))
        best = copied(self._network.state_dict()) if self._best else {}
        del last, best

    def _batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Return prepared images and labels."""
        drawn = torch.zeros(count, *self._shape, dtype=torch.uint8, device=self._device)
        return self._prepare(drawn), torch.zeros(count, dtype=torch.long, device=self._device)

    def _prepare(self, images: Tensor) -> Tensor:
        even = (0.5,) * self._shape[0]
        return normalise_bytes(images, mean=even, std=even).contiguous(memory_format=torch.channels_last)

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        smoothing = self._recipe.label_smoothing
        with torch.enable_grad():
            logits, auxiliary = self._outputs(images)
            losses = [functional.cross_entropy(one, labels, label_smoothing=smoothing) for one in (logits, *auxiliary)]
            return torch.stack(losses).sum()


def _storages(tensors: Iterable[Tensor]) -> dict[int, int]:
    return {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}


def _bytes(tensors: Iterable[Any]) -> int:
    return sum(_storages(list(tensors)).values())
