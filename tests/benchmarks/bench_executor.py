"""Executors under load: 50 ms trials through two Ray workers, 256 simulated workers, and images in the object store.

Run by `make bench`; prints Markdown tables. What a trial costs the driver is time in which no other is handed out.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from controllers.registry import make_controller
from controllers.trial import Measurement, Trial
from nas.data.image_data import ImageData, Split
from nas.executors.executor import Executor
from nas.executors.memory import memory_bytes
from nas.executors.ray_executor import RayExecutor, RayOptions
from nas.executors.simulated_executor import SimulatedExecutor
from nas.journal import Journal
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from search_spaces.nasnet import cell_space
from search_spaces.registry import get_space

BRIEF_S = 0.05
BRIEF_TRIALS, SIMULATED_TRIALS, SIMULATED_WORKERS = 400, 20_000, 256
CONTROLLERS = ("random", "evolution", "local")
IMAGES = 65_000  # of 3 x 32 x 32 bytes: 200 MB


@dataclass(frozen=True)
class Sleeping:
    """Takes 50 ms of no processor's time."""

    def evaluate(self, trial: Trial) -> Measurement:
        """Sleep."""
        time.sleep(BRIEF_S)
        return Measurement("ok", {"val_accuracy": 0.5}, BRIEF_S)


@dataclass(frozen=True)
class Lasting:
    """Says at once that it took 1 to 2 seconds, and what the architecture is worth."""

    def evaluate(self, trial: Trial) -> Measurement:
        """Return both."""
        total = sum(trial.architecture.choices)
        return Measurement("ok", {"val_accuracy": total % 97 / 97}, 1.0 + total % 89 / 89)


@dataclass(frozen=True)
class Reading:
    """Reads all images, and says how much memory its process has for itself before and after."""

    data: ImageData

    def evaluate(self, trial: Trial) -> Measurement:
        """Read."""
        before = memory_bytes()
        total = float(self.data.train.to("cpu").images.view(-1)[:: 4096 // 8].sum())
        time.sleep(0.2)  # so that both workers get a trial
        return Measurement("ok", {"before": before, "after": memory_bytes(), "sum": total, "pid": os.getpid()})


def search(folder: Path, controller: str, space: Any) -> SearchLoop:
    """Return a search without constraints."""
    screen = Screen(space, Constraints(), lambda architecture: None)  # type: ignore[arg-type,return-value]
    return SearchLoop(make_controller(controller, space), Journal.create(folder, {}), screen)


def bench_brief(make_executor: Callable[[], Executor], workers: int) -> float:
    """Return the share of the workers' time that the trials took, start-up apart."""
    executor = make_executor()
    with tempfile.TemporaryDirectory() as folder:
        loop = search(Path(folder) / "run", "evolution", cell_space("nasnet"))
        loop.run(executor, Limits(4 * workers))
        start = time.perf_counter()
        loop.run(executor, Limits(4 * workers + BRIEF_TRIALS))
        seconds = time.perf_counter() - start
        loop.journal.close()
    executor.close()
    return BRIEF_TRIALS * BRIEF_S / workers / seconds


def bench_simulated(controller: str) -> None:
    """Print what a trial costs the driver in each quarter of a long search, in time and memory."""
    executor = SimulatedExecutor(Lasting(), workers=SIMULATED_WORKERS)
    with tempfile.TemporaryDirectory() as folder:
        loop = search(Path(folder) / "run", controller, get_space("darts"))
        loop.run(executor, Limits(SIMULATED_WORKERS))
        quarters, memory = [], []
        for i in range(1, 5):
            gc.collect()
            memory.append(memory_bytes())
            start = time.perf_counter()
            before = loop.progress.evaluated
            loop.run(executor, Limits(SIMULATED_TRIALS * i // 4))
            quarters.append(1000 * (time.perf_counter() - start) / (loop.progress.evaluated - before))
        gc.collect()
        grown = (memory_bytes() - memory[0]) / (SIMULATED_TRIALS - SIMULATED_WORKERS) / 1000
        loop.journal.close()
    times = " | ".join(f"{ms:.2f}" for ms in quarters)
    print(f"| {controller} | {times} | {grown:.1f} |", flush=True)


def bench_data(num_images: int) -> None:
    """Print what images cost each of two workers that read them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num_images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (num_images,), generator=generator)
    split = Split(images, labels)
    data = ImageData("random", split, split.select(torch.arange(100)), None, tuple("abcdefghij"))
    executor = RayExecutor(Reading(data), RayOptions(2))
    space, rng = cell_space("nasnet:blocks=1"), np.random.default_rng(0)
    for number in range(8):
        executor.submit(Trial(number, space.sample(rng)))
    found: dict[float, list[float]] = {}
    done = 0
    while done < 8:
        for completion in executor.wait(1.0):
            metrics = completion.measurement.metrics
            assert metrics, completion.measurement.error
            found.setdefault(metrics["pid"], []).append(metrics["after"] / 2**20)
            done += 1
    executor.close()
    each = ", ".join(f"{max(taken):,.0f} MiB" for taken in found.values())
    print(f"\n{images.numel() / 2**20:,.0f} MiB of images, memory of each worker besides what they share: {each}")


def main() -> None:
    """Print everything."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    shares = [bench_brief(lambda: RayExecutor(Sleeping(), RayOptions(2)), 2) for _ in range(3)]
    print(f"50 ms trials, two Ray workers, share of the ideal: {', '.join(f'{share:.1%}' for share in shares)}")
    for num_images in (1000, IMAGES):
        bench_data(num_images)
    ray.shutdown()
    print(f"\n{SIMULATED_WORKERS} simulated workers, {SIMULATED_TRIALS:,} trials\n")
    print("| controller | ms a trial, 1st quarter | 2nd | 3rd | 4th | KB a trial |\n|---|---|---|---|---|---|")
    for controller in CONTROLLERS:
        bench_simulated(controller)


if __name__ == "__main__":
    main()
