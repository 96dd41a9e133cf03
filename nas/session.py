"""One process's work on a run: replay what is known, search, leave the best network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controllers.controller import Controller
from controllers.trial import Record, Trial
from nas.config import SearchConfig
from nas.controller_setup import make_search_controller
from nas.errors import InvalidInputError, NASError
from nas.evaluators.evaluator import Evaluator
from nas.executors.calibration import choose_workers
from nas.executors.child_executor import ChildExecutor
from nas.executors.executor import Executor
from nas.executors.limits import TrialLimits
from nas.executors.serial_executor import SerialExecutor
from nas.executors.simulated_executor import SimulatedExecutor, SimulatedTime
from nas.image_problem import ImageProblem
from nas.journal import Event, Journal
from nas.problem import Problem
from nas.run import Run, load
from nas.search_loop import Limits, SearchLoop
from nas.table_problem import TableProblem
from nas.training.checkpoint import CHECKPOINTS, remove_interims
from nas.watching import Watcher


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that a process needs to work on a run.

    Attributes:
        config: the settings.
        folder: the run's.
        watcher: told about progress.
        problem: what is searched.
        controller: who proposes; it has learnt nothing yet.
        concludes: whether the best network is trained to the end and left in the folder.
    """

    config: SearchConfig
    folder: Path
    watcher: Watcher
    problem: Problem
    controller: Controller
    concludes: bool = True

    @classmethod
    def prepare(cls, config: SearchConfig, folder: Path, watcher: Watcher, *, concludes: bool = True) -> Session:
        """Check all that can be checked before anything is written."""
        problem = (ImageProblem if config.table is None else TableProblem).prepare(config)
        controller = make_search_controller(config, problem.screen.space, prior=problem.make_prior())
        watcher.prepared(folder, config, problem.describe())
        return cls(config, folder, watcher, problem, controller, concludes)

    def carry_out(self, journal: Journal, events: Sequence[Event], executor: Executor | None) -> Run:
        """Replay, search, conclude; journal and executor are closed in any case.

        Args:
            journal: open for appending.
            events: what the run went through so far.
            executor: None to make one when there is something to evaluate.

        Raises:
            NASError: no network has a result.
        """
        try:
            watcher = self.watcher
            loop = SearchLoop(self.controller, journal, self.problem.screen, watcher.progressed, watcher.said)
            loop.replay(events)
            concluded = [event.data["trial"] for event in events if event.kind == "final"]
            complete = loop.is_complete(self.config.trials) and (bool(concluded) or not self.concludes)
            if not complete:
                executor = executor or self.make_executor(events)
                self._search(loop, executor)
                executor.close()  # the workers' memory is free for the retraining
            best = loop.progress.best
            if best is None:
                raise NASError(
                    f"no network could be evaluated, so there is no best one; last failure: "
                    f"{loop.progress.last_failure or 'none'}. The journal in {self.folder} holds every reason."
                )
            # what is there stays, unless the search went on and found a better one
            is_there = concluded[-1:] == [best.trial.number] and self.problem.is_concluded(self.folder)
            if self.concludes and not is_there:
                self._conclude(best, journal)
            elif complete:
                self.watcher.said(f"{self.folder} is finished; `--trials N` extends it.")
        finally:
            if executor is not None:
                executor.close()
            journal.close()
        return load(self.folder)

    def make_executor(self, events: Sequence[Event] = ()) -> Executor:
        """Start what evaluates the trials.

        Args:
            events: what the run went through so far, from which a simulated clock goes on.
        """
        config, evaluator = self.config, self.problem.make_evaluator(self.folder)
        if config.executor == "simulated":
            limit_s, time = config.max_seconds, _simulated_time(events)
            return SimulatedExecutor(evaluator, workers=config.workers or 1, limit_s=limit_s, time=time)
        limits = TrialLimits(config.trial_seconds, config.trial_memory_bytes)
        if config.executor == "serial":
            return _make_serial(evaluator, config, limits)
        if config.executor == "processes":
            workers = config.workers
            if workers is None:
                workers = choose_workers(evaluator, config, said=self.watcher.said)
            return ChildExecutor(evaluator, limits, workers=workers, threads=config.threads)
        from nas.executors.ray_executor import RayExecutor, RayOptions

        options = RayOptions(
            config.workers, config.gpus_per_worker, config.address, config.threads, limits=limits, pin=config.pin
        )
        return RayExecutor(evaluator, options, self.watcher.said)

    def _search(self, loop: SearchLoop, executor: Executor) -> None:
        simulated = self.config.executor == "simulated"  # whose clock is its own, and the limit with it
        seconds = None if simulated else self.config.max_seconds
        limits = Limits(self.config.trials, seconds, self.config.max_failures, epochs=self.config.max_epochs)
        reason = loop.run(executor, limits)
        remove_interims(self.folder / CHECKPOINTS)
        self.watcher.said(reason or "the simulated time limit is reached")

    def _conclude(self, best: Record, journal: Journal) -> None:
        metrics = self.problem.conclude(best, folder=self.folder, watcher=self.watcher)
        journal.append("final", {"trial": best.trial.number, "metrics": metrics})


def _make_serial(evaluator: Evaluator, config: SearchConfig, limits: TrialLimits) -> Executor:
    """Return one worker: this process, or one that can be stopped where trials have limits."""
    if (config.workers or 1) > 1:
        raise InvalidInputError(
            f"the serial executor has one worker, got --workers {config.workers}: use --executor processes or ray."
        )
    if limits.any:
        return ChildExecutor(evaluator, limits, threads=config.threads)
    import torch

    torch.set_num_threads(config.threads)
    return SerialExecutor(evaluator)


def _simulated_time(events: Sequence[Event]) -> SimulatedTime:
    time = SimulatedTime()
    for event in events:
        if event.kind == "asked":
            time = time.after_asking(Trial.from_json(event.data))
        elif event.kind == "told":
            time = time.after_telling(Record.from_json(event.data))
    return time
