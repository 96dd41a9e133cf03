"""The training loop: one network, one data set, one recipe. Plain, and the same for searches and final runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nas.data.batching import batches, count_batches
from nas.data.image_data import ImageData
from nas.data.residence import resident
from nas.errors import DivergedError, InvalidInputError
from nas.training.averaging import Average, copied
from nas.training.capturing import Capture, capture_on
from nas.training.checkpoint import TrainingState
from nas.training.clock import NO_CLOCK, Clock
from nas.training.dropping import set_stochastic_depth
from nas.training.loss_watch import LossWatch
from nas.training.measuring import Accuracy, measure_accuracy
from nas.training.optimizers import make_optimizer
from nas.training.preparing import make_preparation
from nas.training.processes import ALONE, Processes
from nas.training.rates import Rates
from nas.training.recipe import Recipe
from nas.training.seeding import seeded
from nas.training.step import TrainingStep
from nas.training.stepping import make_stepper
from search_spaces.fast_convolutions import use_fast_convolutions
from search_spaces.randomness import derive_seed

__all__ = ["WHOLE", "Accuracy", "Epoch", "Stretch", "Training", "measure_accuracy", "train"]
CHECKED_STEPS = 50  # between two looks at whether the loss is still finite, each of which waits for the device


@dataclass(frozen=True, slots=True)
class Epoch:
    """One finished epoch.

    Attributes:
        index: from 0.
        train_loss: mean training loss.
        seconds: since this call of `train` began, or since the training was set up.
        val_accuracy, val_loss: on the validation images, where they are looked at; else None.
    """

    index: int
    train_loss: float
    seconds: float
    val_accuracy: float | None = None
    val_loss: float | None = None


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
        data: what to train on; the validation split is read only where the recipe goes by it.
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
    training = Training(network, data, recipe=recipe, seed=seed, device=device)
    if stretch.start is not None:
        training.restore(stretch.start)
    epoch = Epoch(training.done - 1, training.train_loss, 0.0)
    while training.done < epochs.stop and not training.is_stopped:
        epoch = training.run_epoch()
        on_epoch(epoch)
    stretch.keep(training.state())
    training.finish()
    return epoch


class Training:
    """A training under way: a network, its optimizer, and what lies behind it. One call trains one epoch."""

    def __init__(
        self,
        network: nn.Module,
        data: ImageData,
        *,
        recipe: Recipe,
        seed: int,
        device: torch.device | str = "cpu",
        rates: Mapping[str, float] | None = None,
        processes: Processes = ALONE,
        validates: bool = False,
        clock: Clock = NO_CLOCK,
        capture: Callable[[torch.device], Capture | None] = capture_on,
    ) -> None:
        """Set up a training that has not begun; arguments as those of `train`.

        Args:
            network: changed in place.
            data: what to train on.
            recipe: how.
            seed: every draw derives from it.
            device: where to train.
            rates: share of the learning rate by parameter name; 1 where it is not named, 0 for a frozen one. Modules
                that are frozen as a whole stay in evaluation mode.
            processes: those that train together.
            validates: whether to look at the validation images after each epoch, even if the recipe does not.
            clock: told which phase of a step it is in; a step that has phases is not recorded.
            capture: says how steps are recorded on a device; by default as a graph on CUDA, and not at all elsewhere.
        """
        self._network, self._data, self._recipe, self._seed = network, data, recipe, seed
        self._device, self._processes, self._clock = torch.device(device), processes, clock
        self._validates = (validates or recipe.watches_validation) and len(data.validation) > 0
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        use_fast_convolutions(network)
        if recipe.stochastic_depth is not None:
            set_stochastic_depth(network, recipe.stochastic_depth)
        self._frozen = _freeze(network, rates or {})
        fused = self._device.type in ("cpu", "cuda")
        self._optimizer = make_optimizer(network, recipe, rates=rates or {}, fused=fused)
        self._average = Average(network, recipe.average) if recipe.average else None
        self._prepare = make_preparation(data, recipe, device=self._device)
        self._split = resident(data.train, self._device)
        self._steps = count_batches(len(self._split), recipe.batch_size, drop_last=True)
        step = TrainingStep(
            network,
            self._optimizer,
            recipe=recipe,
            batch=min(recipe.batch_size, len(self._split)),
            average=self._average,
            processes=processes,
            clock=clock,
        )
        self._stepper = make_stepper(step, capture(self._device))
        self._begun = time.perf_counter()
        self._validations: list[list[float]] = []
        self._best: dict[str, Tensor] = {}
        self.done = 0
        self.train_loss = math.nan

    @property
    def is_stopped(self) -> bool:
        """Whether the recipe's patience is at its end."""
        patience = self._recipe.patience
        return self._validates and 0 < patience <= len(self._validations) - 1 - self._best_epoch()

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch; an incomplete last batch is left out."""
        return self._steps

    def state(self) -> TrainingState:
        """Return what this training goes on from; its tensors are those in use."""
        average = self._average.values if self._average else {}
        state, best = self._network.state_dict(), self._best
        validations = [list(one) for one in self._validations]
        return TrainingState(
            self.done, self.train_loss, state, self._optimizer.state_dict(), average, best, validations
        )

    def restore(self, state: TrainingState) -> None:
        """Go on from a state of the same training.

        Raises:
            InvalidInputError: it is of another network.
        """
        try:
            self._network.load_state_dict(state.weights)
            self._optimizer.load_state_dict(state.optimizer)
            if self._average:
                _copy_into(self._average.values, state.average)
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise InvalidInputError(
                f"a training goes on with the network that it began with, got another: {reason}"
            ) from None
        self._stepper.begin_again()
        self.done, self.train_loss = state.epochs, state.train_loss
        self._validations = [list(one) for one in state.validations]
        self._best = {name: tensor.to(self._device) for name, tensor in state.best.items()}

    def run_epoch(self) -> Epoch:
        """Train one epoch, and look at the validation images where asked to.

        Raises:
            DivergedError: the loss is not a finite number.
        """
        index = self.done
        self._set_modes()
        purpose = "dropout" if self._processes.first else f"dropout-{self._processes.rank}"
        with seeded(derive_seed(self._seed, index, purpose), self._device):
            total = self._run_steps(index, _generator_on(self._device, derive_seed(self._seed, index, "batches")))
        loss = self._processes.mean(total).item() / self._steps  # the epoch's one synchronisation
        if not math.isfinite(loss):
            raise DivergedError(f"the training loss became {loss} in epoch {index + 1} of {self._recipe.epochs}")
        self.done, self.train_loss = index + 1, loss
        epoch = Epoch(index, loss, 0.0)
        if self._validates:
            measured = self._validate()
            epoch = replace(epoch, val_accuracy=measured.share, val_loss=measured.loss)
        elif self._recipe.schedule == "plateau":
            self._validations.append([0.0, loss])  # nothing is held out: the plateau is that of the training loss
        return replace(epoch, seconds=time.perf_counter() - self._begun)

    def finish(self) -> None:
        """Leave the network in evaluation mode, with the weights that the recipe keeps."""
        self._stepper.finish()
        if self._recipe.patience and self._best:
            self._network.load_state_dict(self._best)
        elif self._average:
            self._network.load_state_dict(self._average.values)
        self._network.eval()

    def _run_steps(self, index: int, generator: torch.Generator) -> Tensor:
        """Run an epoch's steps and return the sum of their losses."""
        recipe, clock = self._recipe, self._clock
        total = torch.zeros((), device=self._device)
        walk = batches(self._split, recipe.batch_size, generator=generator, drop_last=True)
        watch = LossWatch(self._device)
        for step in range(index * self._steps, (index + 1) * self._steps):
            with clock.phase("data"):
                images, labels = next(walk)
                images = self._prepare(images, generator)
            total += self._stepper.step(images, labels, self._rates(step))
            if (step + 1) % CHECKED_STEPS == 0 and self._processes.count == 1 and not watch.is_finite(total):
                break  # the rest of the epoch is lost; several processes would not stop at the same step
        return total

    def _set_modes(self) -> None:
        self._network.train()
        for module in self._frozen:
            module.eval()

    def _rates(self, step: int) -> Rates:
        recipe, progress = self._recipe, step / (self._recipe.epochs * self._steps)
        learning = recipe.rate_at(progress, losses=[loss for _, loss in self._validations])
        share = self._average.share_at(step) if self._average else 0.0
        return Rates(learning, drop_path=recipe.drop_path * progress, averaging=share)

    def _validate(self) -> Accuracy:
        self._processes.share_buffers(self._network)
        with self._averaged():
            measured = measure_accuracy(
                self._network, self._data, self._data.validation, mirrored=self._recipe.flip_test
            )
            self._validations.append([measured.share, measured.loss])
            if self._recipe.patience and self._best_epoch() == len(self._validations) - 1:
                self._best = copied(self._network.state_dict())
        return measured

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Have the network use the average inside the block, if there is one."""
        if self._average is None:
            yield
            return
        last = copied(self._network.state_dict())
        self._network.load_state_dict(self._average.values)
        try:
            yield
        finally:
            self._network.load_state_dict(last)

    def _best_epoch(self) -> int:
        """Return the first epoch of those with the highest accuracy; 0 where there is none."""
        accuracies = [accuracy for accuracy, _ in self._validations]
        return accuracies.index(max(accuracies)) if accuracies else 0


def _freeze(network: nn.Module, rates: Mapping[str, float]) -> list[nn.Module]:
    """Freeze parameters whose share of the rate is 0; return the modules all of whose parameters are."""
    frozen = {name for name, share in rates.items() if share == 0}
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    if not frozen:
        return []
    found = []
    for prefix, module in network.named_modules():
        names = [f"{prefix}.{name}" if prefix else name for name, _ in module.named_parameters()]
        if names and frozen.issuperset(names):
            found.append(module)
    return found


def _generator_on(device: torch.device, seed: int) -> torch.Generator:
    """Return a generator where the images are, so that what it draws need not be copied there step by step.

    Its draws are other ones on a GPU than on a CPU.
    """
    return torch.Generator(device).manual_seed(seed)


def _copy_into(values: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    for name, value in values.items():
        value.copy_(state[name])
