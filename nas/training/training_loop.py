"""The training loop: one network, one data set, one recipe. Plain, and the same for searches and final runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data.augmentation import cut_out
from nas.data.batching import batches, count_batches
from nas.data.image_data import ImageData, Split
from nas.errors import DivergedError, InvalidInputError
from nas.training.checkpoint import TrainingState
from nas.training.recipe import Recipe
from nas.training.seeding import seeded
from search_spaces.cell_network import CellNetwork
from search_spaces.randomness import derive_seed, derive_torch_generator

EVALUATION_BATCH = 256


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a network scores on a split: correct answers, images, and the mean cross-entropy."""

    correct: int
    images: int
    loss: float

    @property
    def share(self) -> float:
        """Correct answers as a share of all, in [0, 1]."""
        return self.correct / self.images


@dataclass(frozen=True, slots=True)
class Epoch:
    """One finished epoch: its index from 0, the mean training loss, seconds since this call of `train` began."""

    index: int
    train_loss: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """The part of a recipe that one call of `train` covers; all of it by default.

    The schedules span the whole recipe in any case, so stretches one after the other are the recipe trained
    straight through, weight for weight.

    Attributes:
        start: what the stretch before left; None to begin.
        stop: epochs behind the network at the end; None for the recipe's.
        keep: given what the next stretch starts from; its tensors are the network's own, which may change later.
    """

    start: TrainingState | None = None
    stop: int | None = None
    keep: Callable[[TrainingState], None] = lambda state: None

    def epochs(self, recipe: Recipe) -> range:
        """Return the indices of the epochs to train.

        Raises:
            InvalidInputError: there is none, or the recipe is shorter.
        """
        first = 0 if self.start is None else self.start.epochs
        stop = recipe.epochs if self.stop is None else self.stop
        if not first < stop <= recipe.epochs:
            raise InvalidInputError(
                f"recipe {recipe.name!r} has {recipe.epochs} epochs: training from {first} to {stop} is no part of it."
            )
        return range(first, stop)


WHOLE = Stretch()


def train(
    network: nn.Module,
    data: ImageData,
    *,
    recipe: Recipe,
    seed: int,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    stretch: Stretch = WHOLE,
) -> Epoch:
    """Train a network on the training split; it is changed in place and left in evaluation mode.

    Args:
        network: images (batch, channels, height, width) -> logits (batch, classes).
        data: what to train on; only its training split is read.
        recipe: how.
        seed: order of images, augmentation, dropout and drop path derive from it. Equal seeds on the same CPU with
            the same number of threads give equal weights.
        device: where to train.
        on_epoch: called after each epoch.
        stretch: which part of the recipe; a later part overwrites the network's weights with its start.

    Returns:
        The last epoch.

    Raises:
        DivergedError: the loss is not a finite number.
        InvalidInputError: a stretch that is no part of the recipe, or starts from another network.
    """
    epochs = stretch.epochs(recipe)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    split = data.train.to(device)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = _optimizer(parameters, recipe, fused=torch.device(device).type in ("cpu", "cuda"))
    if stretch.start is not None:
        _restore(network, optimizer, stretch.start)
    steps = count_batches(len(split), recipe.batch_size, drop_last=True)
    start = time.perf_counter()
    epoch = Epoch(0, math.nan, 0.0)
    network.train()
    for index in epochs:
        with seeded(derive_seed(seed, index, "dropout"), device):
            total = torch.zeros((), device=device)
            generator = derive_torch_generator(seed, index, "batches")
            for step, (images, labels) in enumerate(
                batches(split, recipe.batch_size, generator=generator, drop_last=True)
            ):
                progress = (index * steps + step) / (recipe.epochs * steps)
                _set_schedules(network, optimizer, recipe, progress)
                loss = _loss(network, _prepare(images, data, recipe, generator), labels, recipe)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                if recipe.gradient_clip:
                    nn.utils.clip_grad_norm_(parameters, recipe.gradient_clip)
                optimizer.step()
                total += loss.detach()
        epoch = Epoch(index, total.item() / steps, time.perf_counter() - start)  # the epoch's one synchronisation
        if not math.isfinite(epoch.train_loss):
            raise DivergedError(f"the training loss became {epoch.train_loss} in epoch {index + 1} of {recipe.epochs}")
        on_epoch(epoch)
    network.eval()
    stretch.keep(TrainingState(epochs.stop, epoch.train_loss, network.state_dict(), optimizer.state_dict()))
    return epoch


@torch.inference_mode()
def measure_accuracy(network: nn.Module, data: ImageData, split: Split) -> Accuracy:
    """Return what a network scores on a split, in evaluation mode, on the device that holds its weights."""
    network.eval()
    device = next(network.parameters()).device
    correct = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for images, labels in batches(split.to(device), EVALUATION_BATCH):
        logits = network(data.normalise(images).contiguous(memory_format=torch.channels_last))
        correct += (logits.argmax(1) == labels).sum()
        loss += functional.cross_entropy(logits, labels, reduction="sum")
    return Accuracy(int(correct), len(split), float(loss) / len(split))


def _optimizer(parameters: list[nn.Parameter], recipe: Recipe, *, fused: bool) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=nesterov,
        fused=fused,
    )


def _restore(network: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
    try:
        network.load_state_dict(state.weights)
        optimizer.load_state_dict(state.optimizer)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InvalidInputError(
            f"a training goes on with the network that it began with, got another: {reason}"
        ) from None


def _set_schedules(network: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = recipe.rate_at(progress)
    if recipe.drop_path and isinstance(network, CellNetwork):
        network.set_drop_path(recipe.drop_path * progress)


def _prepare(images: Tensor, data: ImageData, recipe: Recipe, generator: torch.Generator) -> Tensor:
    if recipe.augment:
        images = data.augmentation.apply(images, generator)
    if recipe.cutout:
        images = cut_out(images, generator, size=recipe.cutout, fill=[255 * mean for mean in data.mean])
    return data.normalise(images).contiguous(memory_format=torch.channels_last)


def _loss(network: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    auxiliary = None
    if isinstance(network, CellNetwork) and network.auxiliary is not None:
        logits, auxiliary = network.forward_with_auxiliary(images)
    else:
        logits = network(images)
    loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    if auxiliary is not None:
        loss = loss + recipe.auxiliary_weight * functional.cross_entropy(
            auxiliary, labels, label_smoothing=recipe.label_smoothing
        )
    return loss
