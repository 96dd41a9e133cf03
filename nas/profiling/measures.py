"""Measured, not counted: how long a network takes for a batch, and how much memory it needs at once."""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from nas.errors import InvalidInputError
from nas.profiling.trace import evaluation_mode, without_contents
from nas.training.threads import torch_threads
from search_spaces.counting import plain_operators, tensors_in

Shape = tuple[int, int, int]
FROM_SHAPES = "live tensors by their shapes; kernels' own workspace is not in it"
FROM_CUDA = "torch.cuda.max_memory_allocated"
MOMENTUM = 0.9  # of the training step: one more tensor for each weight
SMALLEST_TRAINING_BATCH = 2  # batch normalisation takes no single values


@dataclass(frozen=True, slots=True)
class Latency:
    """Time of a forward pass in evaluation mode, and what it holds for.

    Attributes:
        median_ms, lower_quartile_ms, upper_quartile_ms, min_ms: milliseconds a batch.
        batch: images a pass.
        repeats: measured passes.
        warmup: passes before them.
        threads: torch's threads on the CPU.
        device: where it was measured; a GPU's model with it.
    """

    median_ms: float
    lower_quartile_ms: float
    upper_quartile_ms: float
    min_ms: float
    batch: int
    repeats: int
    warmup: int
    threads: int
    device: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; the times without their unit."""
        return {field.name.removesuffix("_ms"): getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """The most bytes that are alive at once, the weights and the images among them.

    Attributes:
        forward: in evaluation, without gradients.
        training_step: in a step of SGD with momentum: forward, cross-entropy, backward, update.
        batch: images of the forward pass.
        training_batch: images of the training step.
        method: where the numbers come from.
    """

    forward: int
    training_step: int
    batch: int
    training_batch: int
    method: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def measure_latency(
    network: nn.Module,
    input_shape: Shape,
    *,
    batch: int = 1,
    repeats: int = 20,
    warmup: int = 3,
    threads: int | None = None,
    device: str = "cpu",
) -> Latency:
    """Time forward passes in evaluation mode.

    Args:
        network: left as it was; measured by a copy where its weights are elsewhere.
        input_shape: (channels, height, width).
        batch: images a pass.
        repeats: measured passes.
        warmup: passes before them.
        threads: torch's threads on the CPU; by default as many as torch has now.
        device: where to run.

    Raises:
        InvalidInputError: a number below 1, or a device that is not there.
    """
    _require(batch=batch, repeats=repeats, threads=1 if threads is None else threads)
    place = find_device(device)
    network = _on(place, network)
    images = torch.zeros(batch, *input_shape, device=place)
    with torch_threads(threads), evaluation_mode(network), torch.inference_mode():
        for _ in range(warmup):
            network(images)
        seconds = [_timed(lambda: network(images), place) for _ in range(repeats)]
        used_threads = torch.get_num_threads()
    quartiles = np.quantile(seconds, [0.5, 0.25, 0.75, 0.0]) * 1e3
    median, lower, upper, least = map(float, quartiles)
    return Latency(median, lower, upper, least, batch, repeats, warmup, used_threads, _describe(place))


def measure_memory(network: nn.Module, input_shape: Shape, *, batch: int = 1, device: str = "cpu") -> PeakMemory:
    """Return the peak memory of a forward pass and of a training step.

    On a GPU both are run and torch's allocator is asked. Elsewhere every tensor is followed from its birth to its
    death while the network runs without contents, so that it takes neither the memory nor the time; only a network
    that reads the contents of a tensor is really run.

    Args:
        network: left as it was.
        input_shape: (channels, height, width).
        batch: images; the training step takes at least `SMALLEST_TRAINING_BATCH`.
        device: where to run.

    Raises:
        InvalidInputError: a number below 1, or a device that is not there.
    """
    _require(batch=batch)
    place = find_device(device)
    peak = _cuda_peak if place.type == "cuda" else _followed_peak
    larger = max(batch, SMALLEST_TRAINING_BATCH)
    forward = peak(network, (batch, *input_shape), place, training=False)
    training = peak(network, (larger, *input_shape), place, training=True)
    return PeakMemory(forward, training, batch, larger, FROM_CUDA if place.type == "cuda" else FROM_SHAPES)


def find_device(name: str) -> torch.device:
    """Return a device that networks can be run on.

    Raises:
        InvalidInputError: torch does not know it, or it is not there.
    """
    try:
        device = torch.device(name)
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidInputError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None
    if device.type == "meta":
        raise InvalidInputError("on device 'meta' nothing is computed, so nothing can be measured: use cpu or cuda.")
    return device


class LiveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """While it is entered, follows the memory of every tensor that operators make.

    Attributes:
        live_bytes: alive now.
        peak_bytes: the most that were alive at once.
    """

    def __init__(self, present: Iterable[Tensor]) -> None:
        """Begin with tensors that are there already."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.live_bytes = self.peak_bytes = 0
        self._followed: dict[int, weakref.finalize[Any, Any]] = {}
        for tensor in present:
            self._follow(tensor)

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        """Run an operator and follow what it gives."""
        result = operator(*arguments, **(named or {}))
        for tensor in tensors_in((result,)):
            self._follow(tensor)
        return result

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._followed:
            size = storage.nbytes()
            self._followed[key] = weakref.finalize(storage, self._forget, key, size)
            self.live_bytes += size
            self.peak_bytes = max(self.peak_bytes, self.live_bytes)

    def _forget(self, key: int, size: int) -> None:
        del self._followed[key]
        self.live_bytes -= size


def _followed_peak(network: nn.Module, shape: tuple[int, ...], device: torch.device, *, training: bool) -> int:
    network = _copy(network, device, training=training)

    def run(parameters: dict[str, nn.Parameter]) -> int:
        place = next(iter(parameters.values()), torch.zeros(())).device
        images = torch.zeros(shape, device=place)
        with LiveTensors([*parameters.values(), *network.buffers(), images]) as live:
            _run(network, images, training=training)
        peak: int = live.peak_bytes
        return peak

    with plain_operators():
        return without_contents(network, run)


def _cuda_peak(network: nn.Module, shape: tuple[int, ...], device: torch.device, *, training: bool) -> int:
    torch.cuda.synchronize(device)
    before: int = torch.cuda.memory_allocated(device)
    network = _copy(network, device, training=training)
    images = torch.zeros(shape, device=device)
    torch.cuda.reset_peak_memory_stats(device)
    with torch.random.fork_rng(devices=[device]):
        _run(network, images, training=training)
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device)) - int(before)


def _run(network: nn.Module, images: Tensor, *, training: bool) -> None:
    """Run a forward pass, or two steps of training: in the second the momentum is there from the start."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not training or not trained:
        with torch.no_grad():
            network(images)
        return
    optimizer = torch.optim.SGD(trained, lr=0.1, momentum=MOMENTUM)
    for _ in range(2):
        with torch.enable_grad():
            _loss(network(images)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def _loss(output: object) -> Tensor:
    """Return the cross-entropy of all logits that a network gives, an auxiliary classifier's among them."""
    losses = []
    for logits in tensors_in((output,)):
        targets = torch.zeros(len(logits), *logits.shape[2:], dtype=torch.long, device=logits.device)
        losses.append(functional.cross_entropy(logits, targets))
    return torch.stack(losses).sum()


def _copy(network: nn.Module, device: torch.device, *, training: bool) -> nn.Module:
    return copy.deepcopy(network).to(device).train(training)


def _on(device: torch.device, network: nn.Module) -> nn.Module:
    elsewhere = any(tensor.device != device for tensor in (*network.parameters(), *network.buffers()))
    return copy.deepcopy(network).to(device) if elsewhere else network


def _timed(work: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _describe(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _require(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise InvalidInputError(f"{name} must be a whole number >= 1, got {value}.")
