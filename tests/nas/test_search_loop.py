"""The search loop: one direction, nothing lost, nothing paid for twice, and resuming is replaying."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.controller import Controller, Proposal
from controllers.evolution import EvolutionOptions, RegularizedEvolution
from controllers.halving import HalvingKind, make_halving
from controllers.random_search import RandomSearch
from controllers.rungs import HalvingOptions
from controllers.trial import Measurement, Record, Trial
from nas.errors import JournalError
from nas.evaluators.evaluator import evaluate_safely
from nas.executors.executor import Completion, Executor
from nas.executors.serial_executor import SerialExecutor
from nas.journal import FILE_NAME, Journal, read_journal
from nas.run import run_from_events
from nas.screening import Constraints, Screen
from nas.search_loop import Limits, SearchLoop
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.nasnet import cell_space

SPACE = cell_space("nasnet:blocks=2")
TINY = cell_space("nasnet:blocks=1,operations=identity+conv_1x1,combinations=add")
HEADER = {"config": {}}


def blueprint(architecture: Architecture) -> Blueprint:
    return Blueprint(architecture, 8, channels=1, stem="tiny", depth=1, width=4)


def quality(trial: Trial) -> float:
    """A value that depends on the architecture only, in [0, 1]."""
    return sum((i + 1) * c for i, c in enumerate(trial.architecture.choices)) % 97 / 96


class Oracle:
    """Answers at once; fails where it is told to."""

    def __init__(self, fail: Callable[[Trial], str] = lambda trial: "") -> None:
        self.fail = fail
        self.seen: list[int] = []

    def evaluate(self, trial: Trial) -> Measurement:
        self.seen.append(trial.number)
        status = self.fail(trial)
        if status == "raise":
            raise ZeroDivisionError("a bug in a network")
        if status:
            return Measurement(status, error="as told")  # type: ignore[arg-type]
        return Measurement("ok", {"val_accuracy": quality(trial)})


class Shuffled(Executor):
    """Several workers in one process that finish in an order drawn from a seed."""

    def __init__(self, evaluator: Oracle, *, workers: int, seed: int) -> None:
        self.evaluator, self.workers = evaluator, workers
        self.rng = np.random.default_rng(seed)
        self.work: list[Trial] = []

    @property
    def num_workers(self) -> int:
        return self.workers

    def submit(self, trial: Trial) -> None:
        self.work.append(trial)

    def wait(self, timeout_s: float) -> list[Completion]:
        trial = self.work.pop(int(self.rng.integers(len(self.work))))
        return [Completion(trial, self.evaluator.evaluate(trial), "w")]

    def close(self) -> None:
        self.work.clear()


def evolution(seed: int = 0) -> Controller:
    return RegularizedEvolution(SPACE, seed=seed, options=EvolutionOptions(population=5, tournament=2))


def make_loop(folder: Path, controller: Controller, constraints: Constraints | None = None) -> SearchLoop:
    journal = Journal.create(folder, HEADER)
    return SearchLoop(controller, journal, Screen(controller.space, constraints or Constraints(), blueprint))


def search(
    folder: Path, controller: Controller, executor: Executor, trials: int, **limits: Any
) -> tuple[SearchLoop, str]:
    loop = make_loop(folder, controller, limits.pop("constraints", None))
    reason = loop.run(executor, Limits(trials, **limits))
    loop.journal.close()
    return loop, reason


def go_on(folder: Path, controller: Controller, executor: Executor, trials: int) -> SearchLoop:
    journal, content = Journal.reopen(folder)
    loop = SearchLoop(controller, journal, Screen(controller.space, Constraints(), blueprint))
    loop.replay(content.events)
    loop.run(executor, Limits(trials))
    journal.close()
    return loop


def story(folder: Path) -> list[Any]:
    """A journal without its times."""
    return [without_times({"kind": e.kind, **e.data}) for e in read_journal(folder).events]


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in ("time", "seconds") and not k.endswith("_s")}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def records(folder: Path) -> Sequence[Record]:
    return run_from_events(folder, read_journal(folder).events).records


def test_every_asked_trial_gets_one_record(tmp_path: Path) -> None:
    loop, reason = search(tmp_path, evolution(), SerialExecutor(Oracle()), 30)
    assert reason == "30 networks evaluated"
    assert [r.trial.number for r in records(tmp_path)] == list(range(30))
    assert loop.progress.best_score == max(quality(r.trial) for r in records(tmp_path))


def test_result_is_on_disk_before_the_controller_learns_it(tmp_path: Path) -> None:
    class Watching(RandomSearch):  # type: ignore[misc] - a spy, for this test only
        def learn(self, record: Record) -> None:
            assert json.loads((tmp_path / FILE_NAME).read_bytes().splitlines()[-1])["data"] == record.to_json()

    search(tmp_path, Watching(SPACE), SerialExecutor(Oracle()), 5)


def test_same_seed_writes_the_same_journal(tmp_path: Path) -> None:
    search(tmp_path / "a", evolution(3), SerialExecutor(Oracle()), 25)
    search(tmp_path / "b", evolution(3), SerialExecutor(Oracle()), 25)
    search(tmp_path / "c", evolution(4), SerialExecutor(Oracle()), 25)
    assert story(tmp_path / "a") == story(tmp_path / "b") != story(tmp_path / "c")


def test_cut_after_any_byte_and_resumed_it_is_the_same_journal(tmp_path: Path) -> None:
    """What SIGKILL can leave is a prefix of the file: every tenth of them ends in the undisturbed journal."""
    search(tmp_path / "whole", evolution(), SerialExecutor(Oracle()), 12)
    whole = (tmp_path / "whole" / FILE_NAME).read_bytes()
    start = whole.index(b"\n") + 1
    for size in [*range(start, len(whole), 173), len(whole)]:
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(whole[:size])
        go_on(folder, evolution(), SerialExecutor(Oracle()), 12)
        assert story(folder) == story(tmp_path / "whole")


def test_resumed_search_repeats_no_finished_trial(tmp_path: Path) -> None:
    search(tmp_path, evolution(), SerialExecutor(Oracle()), 10)
    again = Oracle()
    go_on(tmp_path, evolution(), SerialExecutor(again), 15)
    assert again.seen == [10, 11, 12, 13, 14]


def test_killed_among_many_workers_nothing_stays_unfinished(tmp_path: Path) -> None:
    """Four workers, results in random order, cut at random places: all asked trials end with one record."""
    search(tmp_path / "whole", evolution(), Shuffled(Oracle(), workers=4, seed=1), 30)
    whole = (tmp_path / "whole" / FILE_NAME).read_bytes()
    rng = np.random.default_rng(0)
    for i in range(25):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(whole[: int(rng.integers(whole.index(b"\n") + 1, len(whole)))])
        loop = go_on(folder, evolution(), Shuffled(Oracle(), workers=4, seed=i), 30)
        counts = Counter(r.trial.number for r in records(folder))
        asked = [e.data["number"] for e in read_journal(folder).events if e.kind == "asked"]
        assert sorted(asked) == sorted(counts) == list(range(len(asked)))
        assert set(counts.values()) == {1}
        assert loop.progress.evaluated == 30


def test_journal_of_other_settings_is_refused(tmp_path: Path) -> None:
    search(tmp_path, evolution(0), SerialExecutor(Oracle()), 6)
    journal, content = Journal.reopen(tmp_path)
    loop = SearchLoop(evolution(1), journal, Screen(SPACE, Constraints(), blueprint))
    with pytest.raises(JournalError, match="trial 0 of the journal is not what this controller asks for"):
        loop.replay(content.events)
    journal.close()


class Scripted(Controller):
    """Proposes given architectures, repeats and all."""

    def __init__(self, architectures: list[Architecture]) -> None:
        super().__init__(architectures[0] and TINY)
        self.architectures = architectures
        self.learnt: list[Record] = []

    def propose(self, number: int, rng: np.random.Generator) -> Proposal | None:
        return Proposal(self.architectures[number]) if number < len(self.architectures) else None

    def learn(self, record: Record) -> None:
        self.learnt.append(record)


def twins() -> tuple[Architecture, Architecture, Architecture]:
    """Two drawings of one network, and another network."""
    a = TINY.architecture([0, 1, 0, 1, 0, 0, 0, 0])
    b = TINY.architecture([1, 0, 1, 0, 0, 0, 0, 0])
    assert a != b
    assert TINY.key(a) == TINY.key(b)
    return a, b, TINY.architecture([0, 0, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize("workers", [1, 3])
def test_a_network_drawn_differently_is_not_trained_again(tmp_path: Path, workers: int) -> None:
    """With three workers the twin comes while the first is still in work, and waits for it."""
    a, b, other = twins()
    oracle = Oracle()
    controller = Scripted([a, b, other, a])
    loop, reason = search(tmp_path, controller, Shuffled(oracle, workers=workers, seed=0), 10)
    assert reason == "the search space is exhausted"
    assert sorted(oracle.seen) == [0, 2]
    by_number = {r.trial.number: r for r in controller.learnt}
    assert by_number[1].reused_from == by_number[3].reused_from == 0
    assert by_number[1].measurement.metrics == by_number[0].measurement.metrics
    assert (loop.progress.evaluated, loop.progress.reused) == (2, 2)


def test_a_failure_is_known_too_but_a_lost_trial_is_tried_again(tmp_path: Path) -> None:
    a, b, _ = twins()
    for status, evaluations in (("diverged", [0]), ("lost", [0, 1])):
        oracle = Oracle(lambda trial, status=status: status)  # type: ignore[misc]
        search(tmp_path / status, Scripted([a, b]), SerialExecutor(oracle), 5)
        assert oracle.seen == evaluations


def test_failures_are_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    kinds = ["", "raise", "diverged", "out_of_memory", "timeout"]
    oracle = Oracle(lambda trial: kinds[trial.number % 5])
    loop, _ = search(tmp_path, evolution(), SerialExecutor(oracle), 8)
    found = Counter(r.measurement.status for r in records(tmp_path))
    assert found["ok"] == 8
    assert min(found[s] for s in ("error", "diverged", "out_of_memory", "timeout")) >= 7
    error = next(r for r in records(tmp_path) if r.measurement.status == "error").measurement.error
    assert error.startswith("Traceback")
    assert error.endswith("ZeroDivisionError: a bug in a network")
    assert loop.progress.failed == sum(found.values()) - 8


def test_when_everything_fails_the_search_stops_and_says_why(tmp_path: Path) -> None:
    _, reason = search(tmp_path, evolution(), SerialExecutor(Oracle(lambda trial: "raise")), 100, failures=7)
    assert reason.startswith("stopped: 7 failures in a row, all of them: ZeroDivisionError: a bug in a network. ")
    assert "--max-failures" in reason
    assert len(records(tmp_path)) == 7


def test_the_commonest_of_the_last_failures_is_named(tmp_path: Path) -> None:
    """Those before a success do not count: four time out, one is evaluated, then two raise and three diverge."""
    kinds = [*["timeout"] * 4, "", "raise", "diverged", "raise", "diverged", "diverged"]
    oracle = Oracle(lambda trial: kinds[trial.number])
    loop, reason = search(tmp_path, RandomSearch(SPACE), SerialExecutor(oracle), 100, failures=5)
    assert reason.startswith("stopped: 5 failures in a row, 3 of them: as told. ")
    assert loop.progress.failed == 9


def test_infeasible_networks_are_recorded_and_never_evaluated(tmp_path: Path) -> None:
    oracle = Oracle()
    constraints = Constraints(max_params=3000)
    search(tmp_path, RandomSearch(SPACE), SerialExecutor(oracle), 20, constraints=constraints)
    by_status = Counter(r.measurement.status for r in records(tmp_path))
    assert by_status["ok"] == 20
    assert by_status["infeasible"] > 0
    for record in records(tmp_path):
        cost = SPACE.complexity(blueprint(record.trial.architecture))
        assert (cost.params <= 3000) == record.measurement.ok
        assert (record.trial.number in oracle.seen) == record.measurement.ok
        assert record.measurement.ok or record.measurement.error == (
            f"params {cost.params:,} is above max_params 3,000"
        )


def test_fruitless_proposals_end_the_search(tmp_path: Path) -> None:
    constraints = Constraints(max_params=1)
    _, reason = search(
        tmp_path, RandomSearch(SPACE), SerialExecutor(Oracle()), 5, constraints=constraints, fruitless=50
    )
    assert reason.startswith("stopped: 50 proposals in a row")


def test_exhausted_space_ends_the_search(tmp_path: Path) -> None:
    loop, reason = search(tmp_path, RandomSearch(TINY), Shuffled(Oracle(), workers=3, seed=0), 10_000)
    assert reason == "the search space is exhausted"
    assert loop.progress.evaluated == 100


def test_time_limit_starts_nothing_new(tmp_path: Path) -> None:
    loop, reason = search(tmp_path, evolution(), SerialExecutor(Oracle()), 10**6, seconds=0.2)
    assert reason == "the time limit is reached"
    assert 0 < loop.progress.evaluated < 10**6


def test_never_more_networks_than_asked_for(tmp_path: Path) -> None:
    loop, _ = search(tmp_path, evolution(), Shuffled(Oracle(), workers=8, seed=0), 13)
    assert loop.progress.evaluated == len(records(tmp_path)) == 13


def test_observer_sees_every_record(tmp_path: Path) -> None:
    seen = []
    loop = make_loop(tmp_path, evolution())
    loop.observer = lambda progress, record: seen.append((progress.evaluated, record))
    loop.run(SerialExecutor(Oracle()), Limits(5))
    loop.journal.close()
    assert [number for number, record in seen if record is not None] == [1, 2, 3, 4, 5]


class Rungs(Oracle):
    """Scores fall to a tenth above the lowest budget; their order stays."""

    def evaluate(self, trial: Trial) -> Measurement:
        found = super().evaluate(trial)
        if not found.ok:
            return found
        scale = 1.0 if trial.budget == 1 else 0.1
        metrics = {"val_accuracy": scale * quality(trial), "epochs_spent": trial.budget or 0}
        return Measurement("ok", metrics)


class Catching(Shuffled):
    """As `Shuffled`; an exception is a failed measurement, as in every real executor."""

    def wait(self, timeout_s: float) -> list[Completion]:
        trial = self.work.pop(int(self.rng.integers(len(self.work))))
        return [Completion(trial, evaluate_safely(self.evaluator, trial), "w")]


KINDS: tuple[HalvingKind, ...] = ("halving", "asha", "hyperband")


def rung_search(kind: HalvingKind, space: Any = SPACE) -> Controller:
    inner = RandomSearch(space) if space is TINY else evolution()
    return make_halving(kind, inner, HalvingOptions((1, 2, 4)))


@pytest.mark.parametrize("kind", KINDS)
def test_best_is_the_best_of_the_highest_budget(tmp_path: Path, kind: HalvingKind) -> None:
    loop, _ = search(tmp_path, rung_search(kind), SerialExecutor(Rungs()), 30)
    full = [r for r in records(tmp_path) if r.trial.budget == 4]
    assert loop.progress.best == max(full, key=lambda r: r.measurement.metrics["val_accuracy"])
    assert loop.progress.best_score < max(r.measurement.metrics["val_accuracy"] for r in records(tmp_path))


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_every_network_of_a_space_and_all_promotions_before_the_end(
    tmp_path: Path, kind: HalvingKind, workers: int
) -> None:
    """An ask that brings nothing while results are out does not end the search: they may still open a rung."""
    executor = Shuffled(Rungs(), workers=workers, seed=0)
    loop, reason = search(tmp_path, rung_search(kind, TINY), executor, 10_000)
    assert reason == "the search space is exhausted"
    assert loop.controller.pending == ()
    assert len({TINY.key(r.trial.architecture) for r in records(tmp_path)}) == 100
    assert {r.trial.budget for r in records(tmp_path)} == {1, 2, 4}
    assert loop.controller.ask(2) == []


@pytest.mark.parametrize("kind", KINDS)
def test_multi_fidelity_search_resumes_from_any_cut(tmp_path: Path, kind: HalvingKind) -> None:
    """Three workers, the whole tiny space with some failures: a prefix of its journal always goes on to the end."""
    fail = {7: "diverged", 20: "raise"}
    oracle = Rungs(lambda trial: fail.get(trial.number, ""))
    search(tmp_path / "whole", rung_search(kind, TINY), Catching(oracle, workers=3, seed=1), 10_000)
    whole = (tmp_path / "whole" / FILE_NAME).read_bytes()
    rng = np.random.default_rng(0)
    for i in range(8):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(whole[: int(rng.integers(whole.index(b"\n") + 1, len(whole)))])
        loop = go_on(folder, rung_search(kind, TINY), Catching(oracle, workers=3, seed=i), 10_000)
        assert loop.controller.pending == ()
        assert len({TINY.key(r.trial.architecture) for r in records(folder)}) == 100
    again = go_on(tmp_path / "whole", rung_search(kind, TINY), Catching(oracle, workers=3, seed=9), 10_000)
    assert (tmp_path / "whole" / FILE_NAME).read_bytes() == whole
    assert again.progress.evaluated + again.progress.continued > 100


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_trials_are_networks_and_the_best_of_them_go_on(tmp_path: Path, kind: HalvingKind, workers: int) -> None:
    oracle = Rungs(lambda trial: "diverged" if trial.number in (3, 10) else "")
    loop, reason = search(tmp_path, rung_search(kind), Shuffled(oracle, workers=workers, seed=0), 16)
    ok = [r for r in records(tmp_path) if r.measurement.ok]
    assert loop.progress.evaluated == 16 == sum(r.trial.continues is None for r in ok)
    assert loop.progress.continued == len(ok) - 16 > 0
    assert reason == f"16 networks evaluated, {loop.progress.continued} trainings went further"
    assert loop.is_complete(16)
    assert not loop.is_complete(17)


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_on_resumes_from_any_cut(tmp_path: Path, kind: HalvingKind) -> None:
    """One worker: from every line of the second half, the journal ends as the undisturbed one did."""
    search(tmp_path / "whole", rung_search(kind), SerialExecutor(Rungs()), 12)
    lines = (tmp_path / "whole" / FILE_NAME).read_bytes().splitlines(keepends=True)
    for kept in range(len(lines) // 2, len(lines)):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(b"".join(lines[:kept]))
        assert go_on(folder, rung_search(kind), SerialExecutor(Rungs()), 12).is_complete(12)
        assert story(folder) == story(tmp_path / "whole")


def test_a_limit_on_epochs_ends_the_search(tmp_path: Path) -> None:
    loop, reason = search(tmp_path, rung_search("asha"), SerialExecutor(Rungs()), 1000, epochs=40)
    assert reason == f"{loop.progress.epochs:g} epochs spent"
    assert 40 <= loop.progress.epochs < 44
    assert loop.progress.epochs == sum(r.trial.budget or 0 for r in records(tmp_path))


def test_a_continued_trial_is_recorded_with_the_seed_of_its_network(tmp_path: Path) -> None:
    search(tmp_path, rung_search("asha"), SerialExecutor(Rungs()), 20)
    by_number = {r.trial.number: r for r in records(tmp_path)}
    continued = [r for r in by_number.values() if r.trial.continues is not None]
    assert continued
    assert all(r.seed == by_number[r.trial.root].seed for r in continued)
