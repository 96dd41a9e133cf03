"""A GPU's rate of training different small networks: plain loops, recorded steps, several processes.

Needs torch and numpy and this repository, no ray and no optuna. Trains the same stream of architectures (NASNet space,
N = 2, F = 32, batches of 128 images of 32x32x3) for equally many steps each way, in this one run:

- plain float32: a loop with a DataLoader as a user writes it; plain bfloat16: the same in channels_last;
- ours, step by step: data on the device, fused optimizer, bfloat16, but no recording; ours: steps recorded;
- ours in several processes, as `nas search --executor processes` runs it; with ``--mps`` under CUDA's service for it.

    python tests/benchmarks/bench_gpu.py                       # on a machine with one H100 or H200: some 8 minutes
    python tests/benchmarks/bench_gpu.py --device cpu --tiny   # the same path, in seconds; its figures mean nothing
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))

from controllers.trial import Trial
from nas.data import Augmentation, ImageData, Split
from nas.evaluators.evaluator import trial_seed
from nas.evaluators.training_evaluator import TrainingEvaluator, build_seeded
from nas.executors.calibration import best_count, calibrate, measure_load
from nas.executors.child_executor import ChildExecutor
from nas.training.capturing import capture_on
from nas.training.recipe import Recipe
from nas.training.training_loop import Training, measure_accuracy
from search_spaces.architecture import Blueprint
from search_spaces.nasnet import cell_space
from search_spaces.randomness import derive_generator

SPACE = cell_space("nasnet")
CHILDREN = 20_000  # Zoph 2018, A.3
CHILD_STEPS = 20 * (45_000 // 128)  # 20 epochs of CIFAR-10's 45,000 training images each


@dataclass(frozen=True)
class Task:
    """What is trained: the evaluator of the stream, and its trials, the first of which warms up."""

    evaluator: TrainingEvaluator
    trials: list[Trial]
    steps: int
    loader_workers: int

    @property
    def device(self) -> torch.device:
        return torch.device(self.evaluator.device)

    def network(self, trial: Trial, recipe: Recipe) -> nn.Module:
        blueprint = replace(self.evaluator.blueprint, network=trial.architecture)
        images = self.evaluator.data
        return build_seeded(SPACE, blueprint, data=images, recipe=recipe, seed=trial_seed(0, trial))


def images(count: int, size: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    pixels = torch.from_numpy(rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8))
    return Split(pixels, torch.from_numpy(rng.integers(0, 10, count)))


def load(root: Path | None, *, train: int, validation: int, size: int) -> ImageData:
    """Return CIFAR-10, cut to a number of images, or bytes of its size where it is not given: as fast to train on."""
    if root is not None:
        from nas.data import load_data

        data = load_data("cifar-10", root=root, resolution=size).for_search()
        return replace(data, train=data.train.select(torch.arange(train)))
    names, changes = tuple(map(str, range(10))), Augmentation(crop_padding=4, flip=True)
    return ImageData("noise", images(train, size, 0), images(validation, size, 1), None, names, changes)


class Plain(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Images one by one, shifted, mirrored and normalised as a user's transforms do it."""

    def __init__(self, data: ImageData) -> None:
        self._images, self._labels = data.train.images, data.train.labels
        self._mean, self._std = (torch.tensor(v).view(-1, 1, 1) for v in (data.mean, data.std))

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = functional.pad(self._images[index], (4, 4, 4, 4))
        top, left, mirrored = (int(torch.randint(0, n, ())) for n in (9, 9, 2))
        size = self._images.shape[-1]
        image = image[:, top : top + size, left : left + size]
        image = image.flip(2) if mirrored else image
        return (image.float() / 255 - self._mean) / self._std, self._labels[index]


def train_plainly(task: Task, trial: Trial, *, low: bool) -> float:
    """Train a network by a plain loop and measure it; return its seconds, building included."""
    recipe, data, device = task.evaluator.recipe, task.evaluator.data, task.device
    begun = time.perf_counter()
    network = task.network(trial, recipe).to(device)
    layout = torch.channels_last if low else torch.contiguous_format
    network.to(memory_format=layout).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum, nesterov=True, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, task.steps)
    workers = task.loader_workers
    pinned = device.type == "cuda"
    loader = torch.utils.data.DataLoader(
        Plain(data), recipe.batch_size, shuffle=True, drop_last=True, num_workers=workers, pin_memory=pinned
    )
    for batch, labels in loader:
        x = batch.to(device, non_blocking=True, memory_format=layout)
        with torch.autocast(device.type, torch.bfloat16) if low else contextlib.nullcontext():
            loss = functional.cross_entropy(network(x), labels.to(device, non_blocking=True))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
        optimizer.step()
        schedule.step()
        loss.item()  # for the progress line that such loops print
    measure_accuracy(network, data, data.validation)
    return time.perf_counter() - begun


def train_ours(task: Task, trial: Trial, *, recorded: bool) -> float:
    """Train a network in this process and measure it; return its seconds, building and recording included."""
    recipe, data = task.evaluator.recipe, task.evaluator.data
    begun = time.perf_counter()
    network = task.network(trial, recipe)
    capture = capture_on if recorded else lambda device: None
    training = Training(network, data, recipe=recipe, seed=0, device=task.device, capture=capture)
    training.run_epoch()
    training.finish()
    measure_accuracy(network, data, data.validation)
    return time.perf_counter() - begun


def networks_per_hour(train: Callable[[Trial], float], trials: list[Trial]) -> tuple[float, float]:
    """Return the rate over all trials but the first, and the spread of a network's seconds."""
    seconds = [train(trial) for trial in trials][1:]
    return 3600 / statistics.mean(seconds), statistics.pstdev(seconds)


def rate_of_processes(task: Task, count: int) -> float:
    """Return networks an hour of so many processes, each of which trained one beforehand."""
    executor = ChildExecutor(task.evaluator, workers=count)
    trials = [replace(trial, number=i) for i, trial in enumerate(task.trials[1:] * count)]
    try:
        evaluate_all(executor, [replace(task.trials[0], number=10**6 + i) for i in range(count)])
        begun = time.perf_counter()
        evaluate_all(executor, trials)
        return 3600 * len(trials) / (time.perf_counter() - begun)
    finally:
        executor.close()


def evaluate_all(executor: ChildExecutor, trials: list[Trial]) -> None:
    for trial in trials:
        executor.submit(trial)
    left = len(trials)
    while left:
        for completion in executor.wait(10.0):
            left -= 1
            if completion.measurement.status != "ok":
                raise SystemExit(f"trial {completion.trial.number}: {completion.measurement.error}")


def step_ms(task: Task, trial: Trial, *, recorded: bool) -> float:
    """Return the time of a step once everything is warm and recorded."""
    network = task.network(trial, task.evaluator.recipe)
    capture = capture_on if recorded else lambda device: None
    recipe = replace(task.evaluator.recipe, epochs=100)
    training = Training(network, task.evaluator.data, recipe=recipe, seed=0, device=task.device, capture=capture)
    training.run_epoch()
    begun = time.perf_counter()
    training.run_epoch()  # ends by reading the loss, so everything is done
    return 1000 * (time.perf_counter() - begun) / task.steps


def kernels_share(task: Task, trial: Trial) -> float | None:
    """Return the share of the time of a recorded epoch in which a kernel runs, None on a CPU."""
    if task.device.type != "cuda":
        return None
    network, recipe = task.network(trial, task.evaluator.recipe), replace(task.evaluator.recipe, epochs=100)
    training = Training(network, task.evaluator.data, recipe=recipe, seed=0, device=task.device)
    training.run_epoch()
    kinds = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as profile:
        torch.cuda.synchronize()
        begun = time.perf_counter()
        training.run_epoch()
        torch.cuda.synchronize()
        wall_us = 1e6 * (time.perf_counter() - begun)
    spans = sorted((e.time_range.start, e.time_range.end) for e in profile.events() or [])
    busy, end = 0.0, 0.0
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return busy / wall_us


@contextlib.contextmanager
def utilization(device: torch.device) -> Iterator[list[float]]:
    """Collect `nvidia-smi`'s share of the time in which a kernel ran, sampled every 0.2 s, of whatever process."""
    samples: list[float] = []
    if device.type != "cuda" or shutil.which("nvidia-smi") is None:
        yield samples
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    with subprocess.Popen([*command, "-i", str(device.index or 0)], stdout=subprocess.PIPE, text=True) as process:
        reader = threading.Thread(target=lambda: samples.extend(_numbers(process)), daemon=True)
        reader.start()
        try:
            yield samples
        finally:
            process.terminate()
            reader.join()


def _numbers(process: subprocess.Popen[str]) -> Iterator[float]:
    for line in process.stdout or ():
        with contextlib.suppress(ValueError):
            yield float(line) / 100


@contextlib.contextmanager
def multi_process_service(wanted: bool) -> Iterator[bool]:
    """Run CUDA's Multi-Process Service for the processes started inside; yield whether it runs."""
    if not wanted or shutil.which("nvidia-cuda-mps-control") is None:
        yield False
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        runs = subprocess.run(["nvidia-cuda-mps-control", "-d"], check=False).returncode == 0
        try:
            yield runs
        finally:
            if runs:
                subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, check=False, timeout=60)
            for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
                del os.environ[name]


def days_for_nasnet(per_hour: float, *, steps: int, steps_per_s: float) -> float:
    """Return days for NASNet's children: what a network takes beside its steps here, and its own number of steps.

    Args:
        per_hour: networks an hour, each of `steps` steps.
        steps: as measured.
        steps_per_s: of all processes together, once recorded.
    """
    beside_s = max(0.0, 3600 / per_hour - steps / steps_per_s)
    return CHILDREN * (beside_s + CHILD_STEPS / steps_per_s) / 86400


def make_task(given: argparse.Namespace) -> Task:
    tiny = given.tiny
    size, batch, steps = (8, 8, 5) if tiny else (32, 128, given.steps)
    data = load(given.data_root, train=steps * batch, validation=32 if tiny else 2560, size=size)
    recipe = Recipe("bench", epochs=1, batch_size=batch, learning_rate=0.05, precision=given.precision)
    trials = [
        Trial(i, SPACE.sample(derive_generator(0, i, "stream"))) for i in range(1 + (1 if tiny else given.networks))
    ]
    depth, width = (1, 4) if tiny else (2, 32)
    stem: Any = "tiny" if tiny else "cifar"
    blueprint = Blueprint(trials[0].architecture, size, channels=3, classes=10, stem=stem, depth=depth, width=width)
    evaluator = TrainingEvaluator(SPACE, blueprint, data, recipe, 0, given.device)
    return Task(evaluator, trials, steps, 0 if tiny else given.loader_workers)


def read_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", help="cuda where there is a GPU; else, unasked, --tiny on the CPU")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: checks the path, measures nothing")
    parser.add_argument("--networks", type=int, default=6, help="networks of the stream, besides the one to warm up")
    parser.add_argument("--steps", type=int, default=100, help="steps of each network")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--loader-workers", type=int, default=8, help="of the plain loops")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8], help="processes to try")
    parser.add_argument("--mps", action="store_true", help="try the processes under CUDA's Multi-Process Service too")
    parser.add_argument("--cudnn-benchmark", action="store_true", help="let cuDNN choose by timing, everywhere")
    parser.add_argument("--data-root", type=Path, help="folder of CIFAR-10; random bytes where it is not given")
    parser.add_argument("--out", type=Path, help="file for the figures, JSON")
    return parser.parse_args()


def measure(task: Task, given: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def note(name: str, per_hour: float, spread_s: float | None = None) -> None:
        found[name] = {"networks_per_hour": per_hour, "spread_s": spread_s}
        print(f"{name}: {per_hour:,.1f} networks an hour", flush=True)

    ways: dict[str, Callable[[Trial], float]] = {
        "plain float32": lambda trial: train_plainly(task, trial, low=False),
        "plain bfloat16 channels_last": lambda trial: train_plainly(task, trial, low=True),
        "ours, step by step": lambda trial: train_ours(task, trial, recorded=False),
        "ours": lambda trial: train_ours(task, trial, recorded=True),
    }
    for name, train in ways.items():
        note(name, *networks_per_hour(train, task.trials))
    found["step_ms"] = {
        "step by step": step_ms(task, task.trials[1], recorded=False),
        "recorded": step_ms(task, task.trials[1], recorded=True),
    }
    found["kernel_share"] = kernels_share(task, task.trials[1])
    for service in [False, True] if given.mps else [False]:
        with multi_process_service(service) as runs:
            if service and not runs:
                print("CUDA's Multi-Process Service does not run here")
                break
            loads = calibrate(lambda count: measure_load(task.evaluator, count), counts=given.counts)
            chosen = best_count(loads)
            name = f"ours, {chosen} processes" + (" under MPS" if service else "")
            with utilization(task.device) as samples:
                note(name, rate_of_processes(task, chosen))
            found[name] |= {
                "steps_per_s": {str(count): load.steps_per_s for count, load in loads.items()},
                "utilization": statistics.median(samples) if samples else None,
                "days": days_for_nasnet(
                    found[name]["networks_per_hour"], steps=task.steps, steps_per_s=loads[chosen].steps_per_s
                ),
            }
    one = found["ours"]
    one["days"] = days_for_nasnet(
        one["networks_per_hour"], steps=task.steps, steps_per_s=1000 / found["step_ms"]["recorded"]
    )
    return found


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    plain, low = (found[n]["networks_per_hour"] for n in ("plain float32", "plain bfloat16 channels_last"))
    lines = ["| way | networks an hour | of plain float32 | of plain bfloat16 | days for 20,000 children |"]
    lines.append("|---|---|---|---|---|")
    for name, row in found.items():
        if isinstance(row, dict) and "networks_per_hour" in row:
            rate, days = row["networks_per_hour"], row.get("days")
            shown = "" if days is None else f"{days:,.1f}"
            lines.append(f"| {name} | {rate:,.1f} | {rate / plain:.2f} | {rate / low:.2f} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    given = read_flags()
    if given.device is None and not torch.cuda.is_available():
        print("no GPU here: this only checks the path")
        given.device, given.tiny, given.counts = "cpu", True, given.counts[:2]
    given.device = given.device or "cuda"
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("no GPU here: --device cpu --tiny checks the path.")
    torch.set_num_threads(1 if given.device == "cpu" else torch.get_num_threads())
    torch.backends.cudnn.benchmark = given.cudnn_benchmark
    where = torch.cuda.get_device_name(given.device) if given.device.startswith("cuda") else platform.processor()
    print(f"{where}, torch {torch.__version__}, {'a check of the path' if given.tiny else vars(given)}")
    found = measure(make_task(given), given)
    print(table(found))
    print(json.dumps({"step_ms": found["step_ms"], "kernel_share": found["kernel_share"]}))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
