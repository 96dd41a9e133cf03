"""Where a training's seconds go, phase by phase; off unless a benchmark asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, final

import torch

Phase = Literal["building", "data", "forward", "backward", "optimiser", "evaluation"]
PHASES: tuple[Phase, ...] = ("building", "data", "forward", "backward", "optimiser", "evaluation")
_NOTHING = nullcontext()


class Clock:
    """Measures nothing: what every training has."""

    def phase(self, name: Phase) -> AbstractContextManager[None]:
        """Return a context whose seconds belong to a phase."""
        return _NOTHING


NO_CLOCK = Clock()


@final
class PhaseClock(Clock):
    """Adds up seconds by phase. On a GPU it waits for the device at both ends, so a training under it is slower."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        """Begin at zero everywhere."""
        self._waits = torch.device(device).type == "cuda"
        self.seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Add the seconds inside the block, failures included, to a phase."""
        begun = self._now()
        try:
            yield
        finally:
            self.seconds[name] += self._now() - begun

    def _now(self) -> float:
        if self._waits:
            torch.cuda.synchronize()
        return time.perf_counter()
