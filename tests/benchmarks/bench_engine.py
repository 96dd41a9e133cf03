"""Steps of NASNet-A against timm's, what each way of saving gains, and how long networks take to build.

    python tests/benchmarks/bench_engine.py [--threads N] [--rounds N] [nasnet] [savings] [build]

All nets of a row do a step in turn, so a busy machine slows them alike; ratios are medians over rounds. Seconds are
those of the process' own processors (all threads together) where "CPU" is said, else wall time. float32, training mode.
Networks per hour against a plain loop: `nas bench engine`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

import nas
from nas.benchmarking.engine import STREAMS
from nas.evaluators.training_evaluator import build_seeded
from nas.training.recipe import get_recipe
from search_spaces import cell_network, shared_layers
from search_spaces.architecture import Blueprint
from search_spaces.fast_convolutions import PointwiseConv2d, SpatialConv2d
from search_spaces.space import SearchSpace

ROUNDS, WARMUP = 9, 2
Step = Callable[[], None]


def step_of(network: nn.Module, images: Tensor, classes: int) -> Step:
    """Forward, loss and backward of one batch."""
    labels, parameters = torch.arange(len(images)) % classes, list(network.parameters())

    def step() -> None:
        for parameter in parameters:  # as an optimizer's zero_grad has it, without a walk through all modules
            parameter.grad = None
        functional.cross_entropy(network(images), labels).backward()

    return step


def interleaved(steps: dict[str, Step], clock: Callable[[], float], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of each step, the steps in turn."""
    for _ in range(WARMUP):
        for step in steps.values():
            step()
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            begun = clock()
            step()
            found[name].append(clock() - begun)
    return found


def print_rows(title: str, found: dict[str, list[float]], *, against: str) -> None:
    """Print a row a step with the median ratio to one of them."""
    print(f"\n{title}\n\n| net | s, median | least to most | share of {against} |\n|---|---|---|---|")
    for name, seconds in found.items():
        ratios = [a / b for a, b in zip(seconds, found[against], strict=True)]
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        print(f"| {name} | {statistics.median(seconds):.3f} | {spread} | {statistics.median(ratios):.2f} |", flush=True)


def nasnet_against_timm(rounds: int = ROUNDS) -> None:
    """NASNet-A 6@1056, batch 4 at 224 pixels, without the auxiliary head."""
    from timm.models.nasnet import NASNetALarge

    def timms() -> nn.Module:
        return NASNetALarge(num_classes=1000, stem_size=32, num_features=1056, channel_multiplier=2).train()

    images = torch.randn(4, 3, 224, 224)
    last = images.contiguous(memory_format=torch.channels_last)
    ours = nas.build("nasnet-a-mobile", classes=1000, input_shape=(3, 224, 224), depth=6).train()
    other = timms().to(memory_format=torch.channels_last)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in other.parameters())
    steps = {
        "ours": step_of(ours, images, 1000),
        "timm": step_of(timms(), images, 1000),
        "timm, channels_last": step_of(other, last, 1000),
    }
    for name, clock in (("wall time", time.perf_counter), ("CPU time", time.process_time)):
        found = interleaved(steps, clock, rounds)
        print_rows(f"## NASNet-A 6@1056, {name}, {torch.get_num_threads()} threads", found, against="timm")
        ratios = [a / b for a, b in zip(found["ours"], found["timm, channels_last"], strict=True)]
        print(f"\nours / timm in channels_last: {statistics.median(ratios):.2f}", flush=True)


@contextmanager
def nothing_shared() -> Iterator[None]:
    """Run every layer by itself."""
    shared = cell_network.SharedLayers
    cell_network.SharedLayers = lambda: None
    try:
        yield
    finally:
        cell_network.SharedLayers = shared


@contextmanager
def nothing_together() -> Iterator[None]:
    """Run no operation beside another."""
    planned = shared_layers.Plan.of
    shared_layers.Plan.of = lambda self, operations: []
    try:
        yield
    finally:
        shared_layers.Plan.of = planned


def with_torchs_convolutions(network: nn.Module) -> nn.Module:
    """Give a network torch's own convolutions back."""
    for module in network.modules():
        if type(module) in (PointwiseConv2d, SpatialConv2d):
            module.__class__ = nn.Conv2d
    return network


def savings() -> None:
    """What convolutions and sharing gain, a step of networks of the streams and of NASNet-A."""
    for title, network, images in _saving_cases():
        plain = with_torchs_convolutions(network())
        fast = network()
        alone, old = step_of(fast, images, 10), step_of(plain, images, 10)

        def unshared(step: Step = alone) -> None:
            with nothing_shared():
                step()

        def apart(step: Step = alone) -> None:
            with nothing_together():
                step()

        def neither(step: Step = old) -> None:
            with nothing_shared():
                step()

        steps = {
            "torch's convolutions, nothing shared": neither,
            "own convolutions": unshared,
            "own convolutions, shared layers": apart,
            "the same, operations side by side": alone,
        }
        print_rows(f"## {title}, CPU time", interleaved(steps, time.process_time), against=next(iter(steps)))


def _saving_cases() -> Iterator[tuple[str, Callable[[], nn.Module], Tensor]]:
    for stream in STREAMS.values():
        data = stream.load()
        images = data.normalise(data.train.images[: stream.recipe.batch_size])
        images = images.contiguous(memory_format=torch.channels_last)
        for trial in stream.trials(3 if stream.name == "tiny" else 1):
            blueprint = stream.blueprint(trial, data)

            def build(space: SearchSpace = stream.search_space, what: Blueprint = blueprint) -> nn.Module:
                return space.build(what).to(memory_format=torch.channels_last).train()

            yield f"{stream.name} {trial.number}, batch {len(images)}", build, images
    images = torch.randn(4, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    yield "NASNet-A 6@1056, batch 4", lambda: nas.build("nasnet-a-mobile", input_shape=(3, 224, 224), depth=6), images


def building() -> None:
    """Milliseconds to build a network whose weights are drawn, ready to train."""
    stream = STREAMS["cifar"]
    data = stream.load()
    print("\n## Building random networks\n\n| network | ms, median of 20 | least to most |\n|---|---|---|")
    sizes = {"tiny, N = 1, F = 8": ("tiny", 1, 8), "cifar, N = 2, F = 32": ("cifar", 2, 32)}
    sizes["cifar, N = 6, F = 32"] = ("cifar", 6, 32)
    for name, (stem, depth, width) in sizes.items():
        seconds = []
        for trial in stream.trials(20):
            blueprint = Blueprint(trial.architecture, 32, stem=stem, depth=depth, width=width)  # type: ignore[arg-type]
            begun = time.perf_counter()
            build_seeded(stream.search_space, blueprint, data=data, recipe=get_recipe("proxy"), seed=trial.number)
            seconds.append(1000 * (time.perf_counter() - begun))
        print(f"| {name} | {statistics.median(seconds):.1f} | {min(seconds):.1f} to {max(seconds):.1f} |", flush=True)


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="*", default=[], help="nasnet, savings, build; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of nasnet, in which each net does a step")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for name, work in (
        ("nasnet", partial(nasnet_against_timm, given.rounds)),
        ("savings", savings),
        ("build", building),
    ):
        if not given.what or name in given.what:
            work()


if __name__ == "__main__":
    main()
