"""What is measured when all trainings are through: the test images, once for each trained network, and its costs.

Both are written to the journal as they are measured, so nothing is measured twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from controllers.trial import Record
from nas.building import build_blueprint
from nas.comparison.competitors import Competitor
from nas.comparison.plan import load_images
from nas.comparison.training import ComparisonProblem, merged_images, read_network, training_of, weights_file
from nas.config import SearchConfig
from nas.data.image_data import ImageData, Split
from nas.journal import Event, Journal
from nas.profiling.measures import measure_latency, measure_memory
from nas.profiling.profiles import profile_without_weights
from nas.scaling.grid import ImageSource
from nas.training.measuring import predict
from nas.watching import Watcher

TESTED, PROFILED = "tested", "profiled"  # events
TOP = 5
LARGE_BATCH = 64
REPEATS, WARMUP = {1: 15, LARGE_BATCH: 5}, 2
BYTES_PER_VALUE = 4


@dataclass(frozen=True, slots=True)
class Tested:
    """What a trained network makes of the test images.

    Attributes:
        trial: number of its training.
        correct: (images,), whether each is classified correctly.
        top5: share of images whose class is among the five likeliest; None where there are no more classes.
    """

    trial: int
    correct: npt.NDArray[np.bool_]
    top5: float | None

    @property
    def top1(self) -> float:
        """Share of images that are classified correctly."""
        return float(self.correct.mean())

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict; the images are bits in hexadecimal."""
        bits = np.packbits(self.correct).tobytes().hex()
        counted = {"top1": self.top1, "top5": self.top5, "images": len(self.correct)}
        return {"trial": self.trial, **counted, "correct": bits}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tested:
        """Read what `to_json` wrote."""
        bits = np.frombuffer(bytes.fromhex(data["correct"]), dtype=np.uint8)
        return cls(data["trial"], np.unpackbits(bits, count=data["images"]).astype(bool), data["top5"])


@dataclass(frozen=True, slots=True)
class Costs:
    """What a network costs beside parameters and MACs.

    Attributes:
        activation_bytes: of all values that are written for one image.
        peak_memory_bytes: the most bytes alive at once in a forward pass of one image, weights among them.
        latency_ms, latency_64_ms: median times of a forward pass of 1 and of 64 images; None where not measured.
    """

    activation_bytes: int
    peak_memory_bytes: int
    latency_ms: float | None = None
    latency_64_ms: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def look_at_test(
    network: nn.Module, data: ImageData, split: Split, *, trial: int = 0, mirrored: bool = False, crops: int = 1
) -> Tested:
    """Return what a network makes of a split, in evaluation mode.

    Args:
        network: left in evaluation mode.
        data: normalises the images.
        split: the images.
        trial: number of its training.
        mirrored: whether logits are the mean over an image and its mirror image.
        crops: views of each image that a prediction is the mean of.
    """
    logits = predict(network, data, split, mirrored=mirrored, crops=crops).cpu()
    labels = split.labels.cpu()
    top5 = None
    if data.classes > TOP:
        likeliest = logits.topk(TOP, dim=1).indices
        top5 = float((likeliest == labels[:, None]).any(1).double().mean())
    return Tested(trial, (logits.argmax(1) == labels).numpy(), top5)


def tested_of(events: Sequence[Event]) -> dict[int, Tested]:
    """Return the tests in a journal, by number of training."""
    return {event.data["trial"]: Tested.from_json(event.data) for event in events if event.kind == TESTED}


def costs_of(events: Sequence[Event]) -> dict[str, Costs]:
    """Return the costs in a journal, by label; later ones count."""
    found = [event.data for event in events if event.kind == PROFILED]
    return {data["label"]: Costs(**data["costs"]) for data in found}


def measure_tests(
    problem: ComparisonProblem,
    records: Sequence[Record],
    journal: Journal,
    *,
    known: Mapping[int, Tested],
    folder: Path,
    watcher: Watcher,
) -> dict[int, Tested]:
    """Measure what was trained and not yet measured on the test images, and return all tests.

    Args:
        problem: the trainings.
        records: their results.
        journal: open for appending.
        known: tests of before.
        folder: with the weights.
        watcher: told about progress.
    """
    tests = dict(known)
    left = [r for r in records if r.measurement.ok and r.reused_from is None and r.trial.number not in tests]
    if left:
        watcher.said(f"all trainings are through: looking at the test images, once for each of {len(left)} networks")
    for record in left:
        point, _ = training_of(problem.space, record.trial.architecture)
        source = ImageSource.of(problem.config)
        network = read_network(point.blueprint, weights_file(folder, record.trial), point.folder)
        network.to(device=problem.config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        held_back = load_images(replace(problem.config, resolution=point.blueprint.resolution)).test
        merged = merged_images(source, point.blueprint.resolution)
        recipe, trial = problem.config.search_recipe, record.trial.number
        views: dict[str, Any] = {"mirrored": recipe.flip_test, "crops": recipe.test_crops}
        test = look_at_test(network, merged, held_back, trial=trial, **views)
        journal.append(TESTED, test.to_json())
        tests[test.trial] = test
    return tests


def profile_all(
    competitors: Sequence[Competitor],
    journal: Journal,
    *,
    known: Mapping[str, Costs],
    where: SearchConfig,
    measure: bool,
    watcher: Watcher,
) -> dict[str, Costs]:
    """Measure the costs of the networks that have none yet, and return all.

    Args:
        competitors: the networks.
        journal: open for appending.
        known: costs of before.
        where: device, and torch's threads, of the measurement.
        measure: whether latency is measured.
        watcher: told about progress.
    """
    costs = dict(known)
    left = [one for one in competitors if one.label not in costs or (measure and costs[one.label].latency_ms is None)]
    if left and measure:
        watcher.said(f"measuring the latency of {len(left)} networks on {where.device}")
    for one in left:
        costs[one.label] = measure_costs(one, where=where, measure=measure)
        journal.append(PROFILED, {"label": one.label, "costs": costs[one.label].to_json()})
    return costs


def measure_costs(competitor: Competitor, *, where: SearchConfig, measure: bool) -> Costs:
    """Return a network's costs; memory is followed on the CPU, as `nas profile` does."""
    blueprint = replace(competitor.blueprint, auxiliary=False)
    shape = (blueprint.channels, blueprint.resolution, blueprint.resolution)

    def make() -> nn.Module:
        return build_blueprint(blueprint, folder=competitor.folder)

    activations = profile_without_weights(make, shape).activations
    with torch.random.fork_rng(devices=[]):
        network = make().eval()
    peak = measure_memory(network, shape).forward
    if not measure:
        return Costs(activations * BYTES_PER_VALUE, peak)
    times = [
        measure_latency(
            network, shape, batch=batch, repeats=repeats, warmup=WARMUP, threads=where.threads, device=where.device
        ).median_ms
        for batch, repeats in REPEATS.items()
    ]
    return Costs(activations * BYTES_PER_VALUE, peak, *times)
