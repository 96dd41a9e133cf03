"""Two ways through the steps of a training, operation by operation or recorded, which compute the same."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import final

from torch import Tensor

from nas.training.capturing import Capture, CaptureError
from nas.training.rates import Rates
from nas.training.step import TrainingStep

WARM_UP = 3  # steps before the recording, in which libraries choose algorithms and optimizers make their buffers


class Stepper(ABC):
    """Runs a training's steps."""

    @abstractmethod
    def step(self, images: Tensor, labels: Tensor, rates: Rates) -> Tensor:
        """Train on a batch by these rates and return its mean loss, whose memory the next step may use again.

        Args:
            images: float32 (batch, channels, height, width), prepared.
            labels: int64 (batch,).
            rates: of this step.
        """

    @abstractmethod
    def begin_again(self) -> None:
        """Take note that weights and the optimizer's state are others now."""

    @abstractmethod
    def finish(self) -> None:
        """Give back what steps needed; there are no more."""


@final
class EagerStepper(Stepper):
    """Runs every step operation by operation."""

    def __init__(self, step: TrainingStep) -> None:
        """Run this step."""
        self._step = step

    def step(self, images: Tensor, labels: Tensor, rates: Rates) -> Tensor:
        """Run it; see `Stepper.step`."""
        self._step.set_rates(rates)
        return self._step.run(images, labels)

    def begin_again(self) -> None:
        """Do nothing: nothing is remembered."""

    def finish(self) -> None:
        """Do nothing: nothing is held."""


@final
class CapturedStepper(Stepper):
    """Runs the first steps operation by operation, records one, and repeats the recording.

    The steps that warm up are the training's own first ones, and recording computes nothing, so there is nothing to
    undo. Batches are copied to where the recording reads them; rates are held on the device. A step that cannot be
    recorded is run operation by operation ever after, which is said once.
    """

    def __init__(self, step: TrainingStep, capture: Capture) -> None:
        """Run this step; its rates are held from now on."""
        self._step, self._capture = step, capture
        self._warm = 0
        self._refused = ""
        self._batch: tuple[Tensor, Tensor] | None = None
        self._loss: Tensor | None = None
        self._replay: Callable[[], None] | None = None
        step.hold_rates()

    @property
    def is_recorded(self) -> bool:
        """Whether the next step is a repetition."""
        return self._replay is not None

    @property
    def refused(self) -> str:
        """Why the step cannot be recorded; empty while nothing speaks against it."""
        return self._refused

    def step(self, images: Tensor, labels: Tensor, rates: Rates) -> Tensor:
        """Run or repeat it; see `Stepper.step`."""
        self._step.set_rates(rates)
        if self._refused or not self._hold(images, labels):
            return self._step.run(images, labels)
        if self._replay is None and self._warm < WARM_UP:
            self._warm += 1
            self._refuse(self._capture.warm_up(self._run_held))
        elif self._replay is not None or self._record():
            assert self._replay is not None
            self._replay()
        else:
            return self._step.run(images, labels)
        assert self._loss is not None
        return self._loss

    def begin_again(self) -> None:
        """Forget the recording, which knows the old state's place."""
        self._replay, self._warm = None, 0
        self._step.forget()

    def finish(self) -> None:
        """Free the recording and what it reads."""
        self.begin_again()
        self._batch = self._loss = None
        self._step.release_rates()

    def _run_held(self) -> None:
        assert self._batch is not None
        self._loss = self._step.run(*self._batch)

    def _hold(self, images: Tensor, labels: Tensor) -> bool:
        """Copy a batch to where the recording reads it; return whether it has the size of those before."""
        if self._batch is None:
            self._batch = images.clone(), labels.clone()
            return True
        if images.shape != self._batch[0].shape:
            return False
        self._batch[0].copy_(images)
        self._batch[1].copy_(labels)
        return True

    def _record(self) -> bool:
        self._step.forget()  # so that gradients get a place of their own in the recording
        try:
            self._replay = self._capture.record(self._run_held)
        except CaptureError as error:
            self._step.forget()
            self._refuse(str(error))
        return self._replay is not None

    def _refuse(self, reason: str) -> None:
        if reason and not self._refused:
            self._refused = reason
            # the text is the same for every network, so that Python says it once a process
            warnings.warn(
                f"a training step cannot be recorded and runs operation by operation, which takes longer: {reason}.",
                RuntimeWarning,
                stacklevel=2,
            )


def make_stepper(step: TrainingStep, capture: Capture | None) -> Stepper:
    """Return how a training's steps are run: recorded where there is a way to, and the step allows it."""
    if capture is None or not step.can_be_recorded:
        return EagerStepper(step)
    return CapturedStepper(step, capture)
