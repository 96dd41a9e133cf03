"""Ctrl-C at the wrong moment: native libraries that are being loaded abort the process when they are interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back inside the block, and raise KeyboardInterrupt behind it if it came."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def load_training_libraries() -> None:
    """Load what training loads at its first step, which takes a second: torch's compiler comes with any optimizer."""
    with deferred_interrupts():
        import torch

        import nas.searching  # noqa: F401 - loads everything a search needs

        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
