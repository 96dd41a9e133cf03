"""Evaluation on a pool of long-lived Ray actors, on this machine or on a cluster.

Each actor loads torch once and holds the evaluator, data included, for the whole search; a trial then costs one
actor call (well under a millisecond) instead of a process start. Ray restarts an actor whose process died; the
trial that died with it is handed out again, and given up as ``lost`` when it keeps killing its worker.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

from controllers.trial import Measurement, Trial
from nas.errors import InvalidInputError, MissingDependencyError, NASError
from nas.evaluators.evaluator import Evaluator, evaluate_safely
from nas.executors.executor import Completion, Executor

ATTEMPTS = 3  # a trial that took its worker down this often is given up


@dataclass(frozen=True, slots=True)
class RayOptions:
    """How the pool is laid out.

    Attributes:
        workers: actors in the pool; None for one per processor (or per GPU share) of the machine or cluster.
        gpus_per_worker: share of a GPU that each actor gets; 0.25 puts four on one card.
        address: a running cluster (``auto``, ``ray://host:port``); None starts Ray on this machine.
        threads: torch threads in each actor.
    """

    workers: int | None = None
    gpus_per_worker: float = 0.0
    address: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse a pool that cannot work."""
        if self.workers is not None and self.workers < 1:
            raise InvalidInputError(f"--workers must be at least 1, got {self.workers}.")
        if self.gpus_per_worker < 0:
            raise InvalidInputError(f"--gpus-per-worker must be >= 0, got {self.gpus_per_worker}.")


class _Worker:
    """What runs in each actor."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._evaluator: Evaluator | None = None

    def evaluate(self, trial: Trial, evaluator: list[Any]) -> Measurement:
        """Evaluate a trial by the evaluator that a reference in a list stands for; fetched once in an actor's life.

        The reference comes with every call, because a restarted actor has forgotten what it was given before.
        """
        if self._evaluator is None:
            import ray

            self._evaluator = ray.get(evaluator[0])
        return evaluate_safely(self._evaluator, trial)


@dataclass(slots=True)
class _Call:
    """A trial in work: on which actor, and for which time."""

    trial: Trial
    actor: int
    attempt: int


@final
class RayExecutor(Executor):
    """A pool of actors; trials beyond its size wait in line."""

    def __init__(self, evaluator: Evaluator, options: RayOptions) -> None:
        """Start or join Ray and make the actors.

        Raises:
            MissingDependencyError: Ray is not installed.
            InvalidInputError: more workers than the machine or cluster can hold.
            NASError: the cluster cannot be reached.
        """
        self._ray = _import_ray()
        self._owns_ray = not self._ray.is_initialized()
        if self._owns_ray:
            _start(self._ray, options)
        try:
            count = _pool_size(self._ray.cluster_resources(), options)
            self._evaluator = self._ray.put(evaluator)  # once in the object store, however many actors read it
            self._actors = self._make_actors(count, options)
        except BaseException:
            self.close()
            raise
        self._idle = deque(range(count))
        self._queue: deque[tuple[Trial, int]] = deque()
        self._calls: dict[Any, _Call] = {}

    def _make_actors(self, count: int, options: RayOptions) -> list[Any]:
        actor_class = self._ray.remote(
            num_cpus=0 if options.gpus_per_worker else 1,
            num_gpus=options.gpus_per_worker,
            max_restarts=-1,
            max_task_retries=0,  # a call that died is reported to us, and we decide
        )(_Worker)
        return [actor_class.remote(options.threads) for _ in range(count)]

    @property
    def num_workers(self) -> int:
        """Actors in the pool."""
        return len(self._actors)

    def submit(self, trial: Trial) -> None:
        """Hand a trial to an idle actor, or put it in line."""
        self._queue.append((trial, 1))
        self._hand_out()

    def wait(self, timeout_s: float) -> list[Completion]:
        """Return what the first actors to finish found."""
        if not self._calls:
            return []
        ready, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=timeout_s)
        completions = [done for reference in ready if (done := self._collect(reference))]
        self._hand_out()
        return completions

    def close(self) -> None:
        """Kill the actors; stop Ray if it was started here."""
        for actor in getattr(self, "_actors", []):
            self._ray.kill(actor)
        self._actors = []
        if self._owns_ray:
            self._ray.shutdown()
            self._owns_ray = False

    def _hand_out(self) -> None:
        while self._queue and self._idle:
            trial, attempt = self._queue.popleft()
            actor = self._idle.popleft()
            reference = self._actors[actor].evaluate.remote(trial, [self._evaluator])
            self._calls[reference] = _Call(trial, actor, attempt)

    def _collect(self, reference: Any) -> Completion | None:
        """Return a finished call's result, or None when its trial is to be tried again."""
        call = self._calls.pop(reference)
        self._idle.append(call.actor)
        worker = f"ray-{call.actor}"
        try:
            return Completion(call.trial, self._ray.get(reference), worker)
        except self._ray.exceptions.OutOfMemoryError as error:
            return Completion(call.trial, Measurement("out_of_memory", error=str(error)), worker)
        except self._ray.exceptions.RayError as error:
            if call.attempt < ATTEMPTS:
                self._queue.appendleft((call.trial, call.attempt + 1))
                return None
            text = f"its worker died {ATTEMPTS} times, last: {error}"
            return Completion(call.trial, Measurement("lost", error=text), worker)


def _import_ray() -> ModuleType:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # leave GPU visibility alone, and say nothing
    try:
        import ray
    except ImportError:
        raise MissingDependencyError(
            "the ray executor needs the package ray, which is not installed: pip install 'ray[tune]', "
            "or use --executor serial."
        ) from None
    module: ModuleType = ray
    return module


def _start(ray: ModuleType, options: RayOptions) -> None:
    if options.address is None and options.workers is not None and not options.gpus_per_worker:
        _check_processors(options.workers, os.cpu_count() or 1, "this machine")
    try:
        ray.init(
            address=options.address or "local",
            include_dashboard=False if options.address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = options.address or "on this machine"
        raise NASError(f"cannot start or reach Ray ({where}): {error}") from None


def _pool_size(resources: dict[str, float], options: RayOptions) -> int:
    processors = int(resources.get("CPU", 0))
    if not options.gpus_per_worker:
        workers = options.workers or processors
        _check_processors(workers, processors, "the Ray cluster")
        return workers
    gpus = resources.get("GPU", 0.0)
    most = int(gpus / options.gpus_per_worker + 1e-9)
    workers = options.workers or most
    if not 1 <= workers <= most:
        raise InvalidInputError(
            f"{workers or 1} workers of {options.gpus_per_worker} GPU do not fit: Ray sees {gpus:g} GPUs, "
            f"room for {most}. Lower --workers or --gpus-per-worker."
        )
    return workers


def _check_processors(workers: int, processors: int, where: str) -> None:
    if workers > processors:
        raise InvalidInputError(
            f"each worker takes one processor, and {where} has {processors}: "
            f"got --workers {workers}, use at most {processors}."
        )
