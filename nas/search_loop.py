"""The search: ask, filter, evaluate, record, tell - in one direction, with the journal as the only memory.

Resuming is replaying: a fresh controller is asked and told again in the journal's order, which leaves it as it
was; asked trials without a result are then evaluated again with the same seed. There is no second path.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from controllers.controller import Controller
from controllers.trial import Measurement, Record, Trial
from nas.disk_room import append_when_there_is_room
from nas.errors import JournalError
from nas.evaluators.evaluator import trial_seed
from nas.executors.executor import Completion, Executor
from nas.journal import Event, Journal
from nas.ranking import standing
from nas.screening import Screen

# A reason that says nothing of the network itself: it may be trained again when it is proposed again.
TRANSIENT = ("timeout", "lost")


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search ends.

    Attributes:
        trials: networks with a result; reused, infeasible and failed ones do not count. When there are as many, those
            that the controller wants trained further still are.
        seconds: wall time of this session after which nothing new is started; None for no limit.
        failures: failed evaluations in a row that end the search: something is wrong with all of them.
        fruitless: proposals in a row that cost nothing (reused or infeasible) and end the search.
        epochs: training epochs, by the metric ``epochs_spent``, after which nothing new is started; what is in work
            then is finished. None for no limit.
    """

    trials: int
    seconds: float | None = None
    failures: int = 20
    fruitless: int = 2000
    epochs: float | None = None


@dataclass(slots=True)
class Progress:
    """Where a search stands; given to observers after every record, and at intervals while waiting.

    `best` is the best record of the highest budget that gave a result so far, and `best_score` its score: so the
    score falls when the first network comes to a higher budget with a lower score. `evaluated` counts networks with a
    result, and `continued` the results of trials that trained one of them further.
    """

    evaluated: int = 0
    continued: int = 0
    reused: int = 0
    infeasible: int = 0
    failed: int = 0
    best: Record | None = None
    best_score: float = float("-inf")
    in_work: int = 0
    failures_in_row: int = 0
    fruitless_in_row: int = 0
    epochs: float = 0.0
    last_failure: str = ""
    reasons: Counter[str] = field(default_factory=Counter)  # of the failures in a row


Observer = Callable[[Progress, Record | None], None]


@dataclass(slots=True)
class SearchLoop:
    """One search: everything it needs, and where it stands.

    Attributes:
        controller: proposes and learns; its first objective says what "best" means.
        journal: remembers.
        screen: refuses networks before they are trained.
        observer: is shown progress.
        said: told when the search pauses because the disk is full, and when it goes on.
    """

    controller: Controller
    journal: Journal
    screen: Screen
    observer: Observer = lambda progress, record: None
    said: Callable[[str], None] = lambda text: None
    progress: Progress = field(default_factory=Progress)
    _results: dict[tuple[str, int | None], Record] = field(default_factory=dict)
    _running: dict[tuple[str, int | None], Trial] = field(default_factory=dict)
    _twins: dict[int, list[Trial]] = field(default_factory=dict)
    _keys: dict[int, tuple[str, int | None]] = field(default_factory=dict)

    def replay(self, events: Sequence[Event]) -> None:
        """Bring the controller and the counts to where the journal ends.

        Raises:
            JournalError: the controller asks for other trials than the journal holds: settings or versions differ.
        """
        for event in events:
            if event.kind == "asked":
                trial = Trial.from_json(event.data)
                if self.controller.ask(new=trial.continues is None) != [trial]:
                    raise JournalError(
                        f"trial {trial.number} of the journal is not what this controller asks for: the run was made "
                        "by another version or with other settings. Start a new run."
                    )
            elif event.kind == "told":
                self._learn(Record.from_json(event.data))

    def is_complete(self, trials: int) -> bool:
        """Whether so many networks have a result and none of them is to be trained further."""
        settled = not self.controller.pending and not self.controller.has_further
        return self.progress.evaluated >= trials and settled

    def run(self, executor: Executor, limits: Limits) -> str:
        """Search until a limit is met or the space is exhausted; return the reason in words.

        Args:
            executor: evaluates the trials.
            limits: when to end.

        Raises:
            StorageError: the journal cannot be written; nothing that was recorded is lost.
        """
        deadline = None if limits.seconds is None else time.monotonic() + limits.seconds
        for trial in self.controller.pending:
            self._dispatch(trial, executor)
        while True:
            reason = self._fill(executor, limits, deadline)
            if not self._running:
                return reason
            completions = executor.wait(1.0)
            for completion in completions:
                self._complete(completion, executor)
            if not completions:
                self.observer(self.progress, None)

    def _fill(self, executor: Executor, limits: Limits, deadline: float | None) -> str:
        """Give every free worker a trial; return the reason when no more are to be started."""
        while len(self._running) < executor.capacity:
            reason = self._reason_to_stop(limits, deadline)
            if reason:
                return reason
            new = sum(trial.continues is None for trial in self._running.values())
            enough = self.progress.evaluated + new >= limits.trials
            trials = self.controller.ask(new=not enough)
            if not trials:  # a result in work may still open a rung; only an idle search is at its end
                return _evaluated(self.progress) if enough else "the search space is exhausted"
            self._write("asked", trials[0].to_json())
            self._dispatch(trials[0], executor)
        return ""

    def _reason_to_stop(self, limits: Limits, deadline: float | None) -> str:
        progress = self.progress
        if progress.failures_in_row >= limits.failures:
            return _failing(progress)
        if progress.fruitless_in_row >= limits.fruitless:
            return f"stopped: {progress.fruitless_in_row} proposals in a row were infeasible or already known"
        if limits.epochs is not None and progress.epochs >= limits.epochs:
            return f"{progress.epochs:g} epochs spent"
        if deadline is not None and time.monotonic() >= deadline:
            return "the time limit is reached"
        return ""

    def _key(self, trial: Trial) -> tuple[str, int | None]:
        """Return what makes two trials the same work; the space's key is costly, so it is kept while needed."""
        if trial.number not in self._keys:
            self._keys[trial.number] = (self.screen.space.key(trial.architecture), trial.budget)
        return self._keys[trial.number]

    def _dispatch(self, trial: Trial, executor: Executor) -> None:
        """Answer a trial from what is known, or send it to be evaluated."""
        key = self._key(trial)
        known = self._results.get(key)
        if known is not None:
            self._reuse(trial, known)
        elif key in self._running:
            self._twins.setdefault(self._running[key].number, []).append(trial)
        elif (infeasible := self.screen.check(trial.architecture)) is not None:
            self._record(trial, infeasible, worker="screen")
        else:
            self._running[key] = trial
            executor.submit(trial)

    def _complete(self, completion: Completion, executor: Executor) -> None:
        trial = completion.trial
        del self._running[self._key(trial)]
        record = self._record(trial, completion.measurement, worker=completion.worker)
        twins = self._twins.pop(trial.number, [])
        for twin in twins:
            if record.measurement.status in TRANSIENT:
                self._dispatch(twin, executor)
            else:
                self._reuse(twin, record)

    def _reuse(self, trial: Trial, known: Record) -> None:
        source = known.trial.number if known.reused_from is None else known.reused_from
        self._record(trial, replace(known.measurement, seconds=0.0), worker=known.worker, reused_from=source)

    def _record(self, trial: Trial, measurement: Measurement, *, worker: str, reused_from: int | None = None) -> Record:
        """Write a result down, then learn from it: on disk before anyone acts on it."""
        seed = trial_seed(self.controller.seed, trial)
        record = Record(trial, measurement, seed, worker, time.time(), reused_from)
        self._write("told", record.to_json())
        self._learn(record)
        self.observer(self.progress, record)
        return record

    def _write(self, kind: str, data: dict[str, Any]) -> None:
        append_when_there_is_room(self.journal, kind, data, said=self.said)

    def _learn(self, record: Record) -> None:
        self.controller.tell([record])
        if record.measurement.status not in TRANSIENT:
            self._results.setdefault(self._key(record.trial), record)
        self._keys.pop(record.trial.number, None)
        self._count(record)

    def _count(self, record: Record) -> None:
        progress, measurement = self.progress, record.measurement
        free = record.reused_from is not None or measurement.status == "infeasible"
        progress.fruitless_in_row = progress.fruitless_in_row + 1 if free else 0
        if record.reused_from is not None:
            progress.reused += 1
        elif measurement.status == "infeasible":
            progress.infeasible += 1
        elif measurement.ok:
            progress.evaluated += record.trial.continues is None
            progress.continued += record.trial.continues is not None
            progress.failures_in_row = 0
            progress.reasons.clear()
        else:
            progress.failed += 1
            progress.failures_in_row += 1
            progress.last_failure = (measurement.error or measurement.status).splitlines()[-1]
            progress.reasons[progress.last_failure] += 1
        if not free:
            progress.epochs += measurement.metrics.get("epochs_spent", 0)
        objective = self.controller.objectives[0]
        rank = standing(record, objective)
        if rank is not None and (progress.best is None or rank > (progress.best.trial.fidelity, progress.best_score)):
            progress.best, progress.best_score = record, rank[1]
        progress.in_work = len(self._running)


def _evaluated(progress: Progress) -> str:
    further = f", {progress.continued} trainings went further" if progress.continued else ""
    return f"{progress.evaluated} networks evaluated{further}"


def _failing(progress: Progress) -> str:
    """Return why a search ends whose networks all fail: what failed most often, and where to read more."""
    reason, times = progress.reasons.most_common(1)[0]
    counted = f"{times} of them" if times < progress.failures_in_row else "all of them"
    return (
        f"stopped: {progress.failures_in_row} failures in a row, {counted}: {reason}. The journal holds what each "
        "ended with, errors with their tracebacks; --max-failures allows for more"
    )
