"""How well the peak memory of a training is foretold: predicted over measured, network by network.

Every network is trained for two steps and looked at once in a process of its own. Measured exactly: the bytes that
torch's CPU allocator hands out and takes back, as its profiler reports them (kernels' own buffers that come from
torch among them). Beside it, on some, what the kernel counts: how far its resident memory rises at most, which
has oneDNN's scratch space and what malloc keeps for itself on top. Results are
appended to a file one by one: a run that was stopped goes on. Prints Markdown.

    python tests/benchmarks/bench_memory.py --kept /tmp/memory.jsonl
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from nas.building import build_blueprint, get_blueprint
from nas.data.image_data import ImageData, Split
from nas.training.measuring import EVALUATION_BATCH
from nas.training.memory_forecast import forecast_memory
from nas.training.recipe import get_recipe
from nas.training.training_loop import Training
from search_spaces.architecture import Blueprint
from search_spaces.nasnet import cell_space
from search_spaces.randomness import derive_generator

SPACE = cell_space("nasnet")
BASELINES = ("resnet-18", "cifar-resnet-20", "mobilenet-v2", "densenet-bc-100-12", "vgg-d")
MEBIBYTE = 2**20
CLASSES = 10
RESIDENT_EVERY = 4  # the second measurement doubles the time: larger networks have it now and then


@dataclass(frozen=True, slots=True)
class Case:
    """A network to train at a batch size."""

    kind: str
    name: str
    blueprint: Blueprint
    batch: int
    resident: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.blueprint.channels, self.blueprint.resolution, self.blueprint.resolution


def cases(count: int) -> Iterator[Case]:
    """Random architectures of both sizes, then hand-designed networks."""
    rng = derive_generator(0, 0, "memory")
    drawn = [SPACE.sample(rng) for _ in range(count)]
    for i, architecture in enumerate(drawn):
        tiny = Blueprint(architecture, 8, channels=1, classes=CLASSES, stem="tiny", depth=1, width=8)
        for batch in (64, 128):
            yield Case(f"tiny, batch {batch}", f"random {i}", tiny, batch, True)
    for i, architecture in enumerate(drawn):
        cifar = Blueprint(architecture, 32, channels=3, classes=CLASSES, stem="cifar", depth=2, width=32)
        batch = (64, 128)[i % 2]
        yield Case(f"cifar, batch {batch}", f"random {i}", cifar, batch, i % RESIDENT_EVERY == 0)
    for name in BASELINES:
        blueprint = get_blueprint(name, classes=CLASSES, input_shape=(3, 32, 32))
        yield Case("baselines, batch 128", name, blueprint, 128, True)


def random_images(count: int, shape: tuple[int, int, int]) -> Split:
    """Return images of noise."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(count) % CLASSES)


def train_two_steps(case: Case) -> None:
    """Build the network, train it for two steps, look at a batch of validation images."""
    names = tuple(map(str, range(CLASSES)))
    train, validation = random_images(2 * case.batch, case.shape), random_images(EVALUATION_BATCH, case.shape)
    data = ImageData("noise", train, validation, None, names)
    recipe = get_recipe("proxy").with_changes({"batch_size": case.batch, "augment": False})
    network = build_blueprint(case.blueprint)
    Training(network, data, recipe=recipe, seed=0, validates=True).run_epoch()


def allocated_peak(case: Case) -> int:
    """Return the most bytes that torch's allocator had handed out at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        train_two_steps(case)
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def resident_growth(case: Case) -> int:
    """Return how far the process's resident memory rose, once the code that it runs was loaded."""
    train_two_steps(replace(next(cases(1)), batch=2))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now, from here on
    before = _status("VmRSS")
    train_two_steps(case)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def in_own_process(measure: Callable[[Case], int], case: Case) -> int:
    """Return what a fork of this process measures, in which torch has computed nothing yet."""

    def work(connection: Connection) -> None:
        torch.set_num_threads(1)
        connection.send(measure(case))

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,))
    process.start()
    theirs.close()
    result: int = ours.recv()
    process.join()
    return result


def predicted(case: Case) -> dict[str, float]:
    """Return the forecast, and the seconds of processor time that it took."""
    recipe = get_recipe("proxy").with_changes({"batch_size": case.batch, "augment": False})
    begun = time.process_time()
    memory = forecast_memory(lambda: build_blueprint(case.blueprint), case.shape, recipe=recipe)
    return {"predicted": memory.peak, "needed": memory.needed, "forecast_s": time.process_time() - begun}


def measure_all(path: Path, *, count: int, seconds: float) -> list[dict[str, Any]]:
    """Append what is missing, start nothing after so many seconds, and return all there is."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    done, deadline = {(entry["kind"], entry["name"]) for entry in found}, time.monotonic() + seconds
    for case in cases(count):
        if (case.kind, case.name) in done or time.monotonic() > deadline:
            continue
        entry: dict[str, Any] = {"kind": case.kind, "name": case.name}
        entry["measured"] = in_own_process(allocated_peak, case)
        if case.resident:
            entry["resident"] = in_own_process(resident_growth, case)
        with path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        found.append(entry)
    return found


def report(entries: list[dict[str, Any]]) -> None:
    """Print a row for each kind, and one for all."""
    print("| networks | n | peak, MiB | predicted / measured | lowest | highest | needed / measured, lowest |", end="")
    print(" resident / needed, highest | forecast, s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in [*dict.fromkeys(entry["kind"] for entry in entries), "all"]:
        here = [entry for entry in entries if kind in (entry["kind"], "all")]
        ratios = [entry["predicted"] / entry["measured"] for entry in here]
        safe = min(entry["needed"] / entry["measured"] for entry in here)
        resident = [entry["resident"] / entry["needed"] for entry in here if "resident" in entry]
        peaks = [entry["measured"] / MEBIBYTE for entry in here]
        cost = statistics.median(entry["forecast_s"] for entry in here)
        spread = f"{statistics.fmean(ratios):.4f} | {min(ratios):.4f} | {max(ratios):.4f}"
        worst = f"{max(resident):.2f} ({len(resident)})" if resident else "-"
        print(
            f"| {kind} | {len(here)} | {min(peaks):,.0f} to {max(peaks):,.0f} | {spread} | {safe:.3f} | {worst} "
            f"| {cost:.2f} |"
        )


def main() -> None:
    """Measure what is missing, foretell, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kept", type=Path, default=Path("/tmp/memory_forecast.jsonl"), help="where results are kept")
    parser.add_argument("--networks", type=int, default=20, help="random architectures (default 20)")
    parser.add_argument("--seconds", type=float, default=300.0, help="start nothing after so many (default 300)")
    arguments = parser.parse_args()
    measured = measure_all(arguments.kept, count=arguments.networks, seconds=arguments.seconds)
    by_name = {(entry["kind"], entry["name"]): entry for entry in measured}
    entries = [
        {**by_name[case.kind, case.name], **predicted(case)}
        for case in cases(arguments.networks)
        if (case.kind, case.name) in by_name
    ]
    report(entries)


if __name__ == "__main__":
    main()
