"""Running the benchmark of the engine: a few networks our way, the same ones plainly, and so on in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from controllers.trial import Measurement, Trial
from nas.benchmarking.engine.plain_loop import plain_source, train_plainly
from nas.benchmarking.engine.results import EngineResult, Round, Side
from nas.benchmarking.engine.stream import Stream
from nas.data.batching import count_batches
from nas.data.image_data import ImageData
from nas.errors import InvalidInputError, NASError
from nas.evaluators.evaluator import trial_seed
from nas.evaluators.training_evaluator import TrainingEvaluator, build_seeded
from nas.executors.executor import Executor
from nas.executors.serial_executor import SerialExecutor
from nas.training.clock import PHASES, PhaseClock
from nas.training.device import check_device
from nas.training.threads import torch_threads

WARM_UP = 10**9  # number of the first training that does not count
OnRound = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the benchmark runs.

    Attributes:
        networks: how many are trained in each way.
        round_size: how many our way before the same ones plainly; a multiple of the workers keeps them busy.
        executor: ``ray`` for workers side by side, ``serial`` for this process.
        workers: of Ray; None for one a processor.
        device: where to train.
        plain: whether the plain loop runs as well.
        loader_workers: processes of the plain loop's ``DataLoader``.
        plain_threads: torch threads of the plain loop; None for torch's own number.
        again: whether our networks are trained with another seed as well.
        data_root: where the stream's images lie.
    """

    networks: int = 20
    round_size: int = 4
    executor: str = "ray"
    workers: int | None = None
    device: str = "cpu"
    plain: bool = True
    loader_workers: int = 0
    plain_threads: int | None = None
    again: bool = False
    data_root: Path | None = None

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        check_device(self.device)
        for name in ("networks", "round_size"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}.")
        for name in ("workers", "plain_threads"):
            if (count := getattr(self, name)) is not None and count < 1:
                raise InvalidInputError(f"--{name.replace('_', '-')} must be at least 1, got {count}.")
        if self.loader_workers < 0:
            raise InvalidInputError(f"--loader-workers must be at least 0, got {self.loader_workers}.")


def bench_engine(stream: Stream, options: EngineOptions, on_round: OnRound = lambda done, total: None) -> EngineResult:
    """Train a stream of networks our way and plainly, round by round in turn, and compare pace and accuracy.

    Both sides train from the same first weights on the same images by the same recipe; start-up of workers, imports
    and the first network, which loads what torch loads late, count for neither.

    Raises:
        NASError: a network of the stream could not be trained.
        MissingDependencyError: Ray is asked for and not installed.
    """
    data = stream.load(options.data_root)
    trials = stream.trials(options.networks)
    executor = _executor(stream, data, options)
    plain_threads = options.plain_threads or torch.get_num_threads()
    rounds: list[Round] = []
    again: list[float] = []
    groups = [trials[i : i + options.round_size] for i in range(0, len(trials), options.round_size)]
    try:
        _warm_up(executor, trials[0])
        for done, group in enumerate(groups):
            on_round(done, len(groups))
            ours = _ours(executor, group, stream, data)
            plain = _plainly(group, stream, data, options, threads=plain_threads) if options.plain else None
            rounds.append(Round(ours, plain))
            if options.again:
                others = [replace(trial, number=trial.number + options.networks) for trial in group]
                again += _ours(executor, others, stream, data).accuracies
    finally:
        executor.close()
    return EngineResult(stream.name, options.device, tuple(rounds), (1, plain_threads), tuple(again))


def _executor(stream: Stream, data: ImageData, options: EngineOptions) -> Executor:
    first = stream.trials(1)[0]
    evaluator = TrainingEvaluator(
        stream.search_space,
        stream.blueprint(first, data),
        data,
        stream.recipe,
        stream.seed,
        options.device,
        timed=True,
    )
    if options.executor == "serial":
        return SerialExecutor(evaluator)
    from nas.executors.ray_executor import RayExecutor, RayOptions

    return RayExecutor(evaluator, RayOptions(options.workers))


def _warm_up(executor: Executor, trial: Trial) -> None:
    """Train as many networks as there are workers, so that each has one to begin with."""
    count = executor.num_workers
    for i in range(count):
        executor.submit(replace(trial, number=WARM_UP + i))
    _collect(executor, count)


def _ours(executor: Executor, trials: Sequence[Trial], stream: Stream, data: ImageData) -> Side:
    with torch_threads(1):  # of this process, where the executor is serial
        begun = time.perf_counter()
        for trial in trials:
            executor.submit(trial)
        found = _collect(executor, len(trials))
        seconds = time.perf_counter() - begun
    measured = [found[trial.number] for trial in trials]
    phases = {phase: sum(one.metrics[f"{phase}_s"] for one in measured) for phase in PHASES}
    accuracies = tuple(one.metrics["val_accuracy"] for one in measured)
    return Side(seconds, executor.num_workers, phases, accuracies, _steps(stream, data) * len(trials))


def _collect(executor: Executor, count: int) -> dict[int, Measurement]:
    """Return measurements by trial number.

    Raises:
        NASError: one failed.
    """
    found: dict[int, Measurement] = {}
    while len(found) < count:
        for done in executor.wait(1.0):
            if done.measurement.status != "ok":
                raise NASError(f"a network of the stream failed ({done.measurement.status}): {done.measurement.error}")
            found[done.trial.number] = done.measurement
    return found


def _plainly(trials: Sequence[Trial], stream: Stream, data: ImageData, options: EngineOptions, *, threads: int) -> Side:
    """Train networks by the plain loop; writing their files is not its work and not counted."""
    clock, seconds, accuracies = PhaseClock(options.device), 0.0, []
    with torch_threads(threads):
        for trial in trials:
            seed = trial_seed(stream.seed, trial)
            network = build_seeded(
                stream.search_space, stream.blueprint(trial, data), data=data, recipe=stream.recipe, seed=seed
            )
            result = train_plainly(
                plain_source(network, data),
                network.state_dict(),
                data,
                recipe=stream.recipe,
                seed=seed % 2**63,
                clock=clock,
                device=options.device,
                loader_workers=options.loader_workers,
            )
            seconds += result.seconds
            accuracies.append(result.val_accuracy)
    return Side(seconds, 1, dict(clock.seconds), tuple(accuracies), _steps(stream, data) * len(trials))


def _steps(stream: Stream, data: ImageData) -> int:
    return stream.recipe.epochs * count_batches(len(data.train), stream.recipe.batch_size, drop_last=True)
