"""Where a training's seconds go, phase by phase; off unless a benchmark asks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import Literal, Protocol, final

import torch

Phase = Literal["building", "data", "forward", "backward", "optimiser", "evaluation"]
PHASES: tuple[Phase, ...] = ("building", "data", "forward", "backward", "optimiser", "evaluation")
_NOTHING = nullcontext()


class Clock(Protocol):
    """What a training tells of its phases."""

    @property
    def seconds(self) -> Mapping[Phase, float]:
        """Seconds by phase, so far."""
        ...

    def phase(self, name: Phase) -> AbstractContextManager[None]:
        """Return a context whose seconds belong to a phase."""
        ...


@final
class _NoClock:
    """Measures nothing, at the price of a call."""

    seconds: Mapping[Phase, float] = MappingProxyType({})

    def phase(self, name: Phase) -> AbstractContextManager[None]:
        return _NOTHING


NO_CLOCK: Clock = _NoClock()


@final
class PhaseClock:
    """Adds up seconds by phase. On a GPU it waits for the device at both ends, so a training under it is slower."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        """Begin at zero everywhere."""
        self._waits = torch.device(device).type == "cuda"
        self._seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)

    @property
    def seconds(self) -> Mapping[Phase, float]:
        """Seconds by phase, so far."""
        return self._seconds

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Add the seconds inside the block, failures included, to a phase."""
        begun = self._now()
        try:
            yield
        finally:
            self._seconds[name] += self._now() - begun

    def _now(self) -> float:
        if self._waits:
            torch.cuda.synchronize()
        return time.perf_counter()
