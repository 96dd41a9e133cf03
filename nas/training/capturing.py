"""Recording what a function does on a device, to have it done again at one call: on CUDA, a graph.

A small network's step is some thousand kernels of a few microseconds each. Python and autograd take longer to launch
them than the device to run them; a graph launches all of them at once.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

import torch

_SYNCHRONIZES = "synchronizing CUDA operation"  # in what torch warns of; see `torch.cuda.set_sync_debug_mode`

_PROTOTYPE = "Synchronization debug mode is a prototype"  # what torch says of that mode itself


class CaptureError(Exception):
    """A function cannot be recorded; everything is as it was before."""


class Capture(ABC):
    """A way of recording a function that takes and returns nothing: what it reads and writes are tensors that stay."""

    @abstractmethod
    def warm_up(self, function: Callable[[], None]) -> str:
        """Run a function for real, where recordings are made; return why it cannot be recorded, empty if it can."""

    @abstractmethod
    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Return what does again what the function does to tensors; recording itself does not change them.

        The function must have been warmed up. Random draws are new ones each time, those of a run without recording.

        Raises:
            CaptureError: it cannot be recorded; gradients may be left that are of no use.
        """


@final
class CudaCapture(Capture):
    """Records into a CUDA graph. Not measured on a GPU yet; see results/tables/engine_log.md."""

    def __init__(self, device: torch.device) -> None:
        """Record on a stream of a device of its own, as graphs must."""
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm_up(self, function: Callable[[], None]) -> str:
        """Run a function on the stream, watching whether it waits for the device or draws on the host."""
        current, host = torch.cuda.current_stream(self._device), torch.get_rng_state()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream), _noting_waits() as waits:
            function()
        current.wait_stream(self._stream)
        if waits:
            return "the network waits for the device"
        if not torch.equal(host, torch.get_rng_state()):
            return "the network draws random numbers on the host"
        return ""

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Capture a function; the device's default generator is torch's to register with the graph."""
        graph, generator = torch.cuda.CUDAGraph(), torch.cuda.default_generators[self._index]
        kept, current = generator.clone_state(), torch.cuda.current_stream(self._device)
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                function()
        except RuntimeError as error:
            # a failed capture leaves its stream in force, and the generator's old state marked as being captured
            torch.cuda.set_stream(current)
            generator.graphsafe_set_state(kept)
            raise CaptureError(str(error).strip().splitlines()[0]) from error
        replay: Callable[[], None] = graph.replay
        return replay

    @property
    def _index(self) -> int:
        return torch.cuda.current_device() if self._device.index is None else self._device.index


def capture_on(device: torch.device) -> Capture | None:
    """Return how steps are recorded on a device; None where that is not possible."""
    return CudaCapture(device) if device.type == "cuda" else None


@contextmanager
def _noting_waits() -> Iterator[list[warnings.WarningMessage]]:
    """Collect torch's warnings of operations that wait for the device; others are given on."""
    waits: list[warnings.WarningMessage] = []
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield waits
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    for warning in caught:
        text = str(warning.message)
        if _SYNCHRONIZES in text:
            waits.append(warning)
        elif _PROTOTYPE not in text:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
