"""Controllers as Optuna samplers: Optuna's own suite for samplers, and what ours promise beyond it."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState

from controllers import make_controller
from controllers.optuna_sampler import ControllerSampler, optuna_choices, suggest_trial
from controllers.study_replica import ASKED, _measurement
from search_spaces.architecture import Decision
from search_spaces.errors import InvalidInputError, MissingDependencyError, UnknownNameError
from search_spaces.nasbench201 import nasbench201_space

SINGLE = ["evolution", "local", "reinforce"]
SEVERAL = ["random", "predictor"]
RESUMED = [*SINGLE, *SEVERAL, "nsga2", "asha", "optuna:tpe"]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Optuna writes a line a trial to standard error."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


class TestOptunasOwnSuite(BasicSamplerTestCase, RelativeSamplerTestCase):
    """Every test of the suite that is for all samplers, and for those that sample several parameters at once.

    None is left out. The suite's continuous parameters are drawn at random, its finite ones by the controller.
    """

    @pytest.fixture(params=[*SINGLE, *SEVERAL])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return lambda: ControllerSampler(request.param)


class TestOptunasOwnSuiteForOneObjective(SingleOnlySamplerTestCase):
    """For controllers that take one objective; the others do not refuse several, and are tested below instead."""

    @pytest.fixture(params=SINGLE)
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return lambda: ControllerSampler(request.param)


class TestOptunasOwnSuiteForSeveralObjectives(MultiObjectiveSamplerTestCase):
    """For controllers that take several objectives; the others refuse them, as tested above."""

    @pytest.fixture(params=[*SEVERAL, "nsga2"])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return lambda: ControllerSampler(request.param)


def outcome(space: Any, trial: optuna.Trial, *, fail: bool = True) -> float:
    """Score a trial by the table; every fifth fails, every seventh is pruned after a report."""
    asked = suggest_trial(trial, space)
    if fail and trial.number % 5 == 4:
        return float("nan")
    if fail and trial.number % 7 == 6:
        trial.report(space.score(asked.architecture) / 2, step=1)
        raise optuna.TrialPruned
    return float(space.score(asked.architecture))


def search(sampler: BaseSampler, space: Any, count: int, *, study: Study | None = None, fail: bool = True) -> Study:
    study = study or optuna.create_study(direction="maximize", sampler=sampler)
    study.sampler = sampler
    study.optimize(lambda trial: outcome(space, trial, fail=fail), n_trials=count)
    return study


def quick(name: str, space: Any, tables: ModuleType, *, seed: int = 0, **settings: Any) -> ControllerSampler:
    return ControllerSampler(name, space, seed=seed, options=tables.QUICK.get(name), **settings)


def params(study: Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("name", RESUMED)
def test_proposals_are_the_controllers_own(name: str, tables: ModuleType) -> None:
    """A study of a space asks for what the controller asks for without Optuna, failures and all."""
    space = tables.TableSpace()
    study = search(quick(name, space, tables), space, 12, fail=False)
    records = tables.run(tables.quick(name, space), tables.by_table(space), 12)
    assert params(study) == [space.options(record.trial.architecture) for record in records]


@pytest.mark.parametrize("name", RESUMED)
def test_seed_decides(name: str, tables: ModuleType) -> None:
    space = tables.TableSpace()
    first, again, other = (params(search(quick(name, space, tables, seed=seed), space, 10)) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("name", RESUMED)
def test_a_new_sampler_goes_on_as_if_never_interrupted(name: str, tables: ModuleType, tmp_path: Path) -> None:
    """Read from a file by another sampler, with failed and pruned trials among them."""
    space = tables.TableSpace()
    whole = search(quick(name, space, tables), space, 20)
    parts: list[Study] = []
    for count in (9, 1, 10):
        backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend), study_name="s", direction="maximize", load_if_exists=True
        )
        parts.append(search(quick(name, space, tables), space, count, study=study))
    assert params(parts[-1]) == params(whole)
    assert {trial.state for trial in whole.trials} == {TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED}


def test_results_out_of_order_are_replayed_in_their_order(tables: ModuleType) -> None:
    """As workers would: four are out at once, and end in another order than they began."""
    space = tables.TableSpace()

    def run(change_at: int | None) -> list[dict[str, Any]]:
        study = optuna.create_study(direction="maximize", sampler=quick("evolution", space, tables))
        out = [study.ask() for _ in range(4)]
        asked = [suggest_trial(trial, space) for trial in out]
        for step in range(16):
            i = (step * 7) % 4
            study.tell(out[i], space.score(asked[i].architecture))
            if step == change_at:
                study.sampler = quick("evolution", space, tables)
            out[i] = study.ask()
            asked[i] = suggest_trial(out[i], space)
        return params(study)

    assert run(None) == run(9)


def test_threads_share_one_controller(tables: ModuleType) -> None:
    """Random search proposes nothing twice, so neither do its threads; a new sampler can replay what they did."""
    space = tables.TableSpace(3, 4)
    study = optuna.create_study(direction="maximize", sampler=ControllerSampler("random", space))
    study.optimize(lambda trial: outcome(space, trial), n_trials=40, n_jobs=4)
    search(ControllerSampler("random", space), space, 10, study=study)
    assert len({tuple(found.items()) for found in params(study)}) == 50


def test_a_copy_of_a_sampler_goes_on() -> None:
    """Studies are pickled into worker processes, their samplers with them."""
    space = nasbench201_space("nasbench201")

    def search_on(study: Study, count: int) -> Study:
        study.optimize(lambda trial: sum(suggest_trial(trial, space).architecture.choices), n_trials=count)
        return study

    whole = search_on(optuna.create_study(sampler=ControllerSampler("local", space)), 12)
    study = search_on(optuna.create_study(sampler=ControllerSampler("local", space)), 7)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    assert params(search_on(study, 5)) == params(whole)


def test_one_sampler_serves_several_studies(tables: ModuleType) -> None:
    space = tables.TableSpace()
    sampler = quick("evolution", space, tables)
    studies = [search(sampler, space, 8) for _ in range(2)]
    assert params(studies[0]) == params(studies[1])


def told(study: Study, sampler: ControllerSampler, space: Any) -> dict[int, Any]:
    """What the controller was told, by its trials' numbers, after one more trial was asked for."""
    trial = study.ask()
    suggest_trial(trial, space)
    (replica,) = sampler._replicas.values()
    trials = {trial.number: trial for trial in study.trials}
    ended = [asked.number for asked in replica.asked if asked not in replica.controller.pending]
    return {number: _measurement(trials[replica.numbers[number]]) for number in ended}


def test_what_ended_is_told(tables: ModuleType) -> None:
    """Failures as failures, pruned trials by their last report; also what another sampler saw the end of."""
    space = tables.TableSpace()
    sampler = ControllerSampler("random", space)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    out = [study.ask() for _ in range(6)]
    for trial in out:
        suggest_trial(trial, space)
    out[1].report(0.75, step=3)
    study.tell(out[0], 0.5)
    study.tell(out[1], state=TrialState.PRUNED)
    study.tell(out[2], state=TrialState.PRUNED)
    study.sampler = optuna.samplers.RandomSampler()
    study.tell(out[3], state=TrialState.FAIL)
    study.tell(out[4], float("inf"))
    study.sampler = sampler
    found = told(study, sampler, space)
    assert {number: one.status for number, one in found.items()} == {
        0: "ok",
        1: "ok",
        2: "error",
        3: "error",
        4: "diverged",
    }
    assert (found[0].metrics, found[1].metrics) == ({"value0": 0.5}, {"value0": 0.75})


def test_the_direction_is_heeded(tables: ModuleType) -> None:
    """Local search climbs where the study maximises, and descends where it minimises; the means are far apart."""
    space = tables.TableSpace()
    means = []
    for direction in ("maximize", "minimize"):
        study = optuna.create_study(direction=direction, sampler=ControllerSampler("local", space))
        values = [trial.value for trial in search(study.sampler, space, 60, study=study, fail=False).trials]
        means.append(sum(values[30:]) / 30)
    assert means[0] > 0.6 > 0.4 > means[1]


def test_a_region_that_fails_is_avoided(tables: ModuleType) -> None:
    """Optuna's samplers do not learn from failed trials. Uniform draws would choose it 12 times in 60 (sd 3.1)."""
    space = tables.TableSpace()

    def objective(trial: optuna.Trial) -> float:
        architecture = suggest_trial(trial, space).architecture
        return float("nan") if architecture.choices[0] == 0 else space.score(architecture)

    study = optuna.create_study(direction="maximize", sampler=ControllerSampler("predictor", space))
    study.optimize(objective, n_trials=90)
    assert sum(found["d0"] == 0 for found in params(study)[30:]) <= 3


def test_several_objectives_are_searched(tables: ModuleType) -> None:
    space = tables.TableSpace()
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=quick("nsga2", space, tables))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        choices = suggest_trial(trial, space).architecture.choices
        return choices[:3].count(4) / 3, 3.0 - choices[3:].count(4)

    study.optimize(objective, n_trials=120)
    late = params(study)[90:]
    # uniform draws hold 36 of option 4 in the 180 decisions of 30 trials, standard deviation 5.4
    assert sum(list(found.values()).count(4) for found in late) > 36 + 5 * 5.4


def test_enqueued_trials_are_not_the_controllers(tables: ModuleType) -> None:
    """Whole or in part: what was fixed by hand is another network than the one that would have been proposed."""
    space = tables.TableSpace()
    study = optuna.create_study(direction="maximize", sampler=ControllerSampler("local", space))
    study.enqueue_trial({f"d{i}": 1 for i in range(6)})
    study.enqueue_trial({"d0": 2})
    search(study.sampler, space, 10, study=study, fail=False)
    records = tables.run(make_controller("local", space), tables.by_table(space), 8)
    assert params(study)[2:] == [space.options(record.trial.architecture) for record in records]
    assert params(study)[0] == {f"d{i}": 1 for i in range(6)}
    assert params(study)[1]["d0"] == 2


def test_an_exhausted_space_goes_on_at_random_or_stops(tables: ModuleType) -> None:
    space = tables.TableSpace(2, 3, num_equal=2)
    going_on = search(ControllerSampler("local", space), space, 12, fail=False)
    assert len(going_on.trials) == 12
    assert all(trial.state == TrialState.COMPLETE for trial in going_on.trials)
    stopped = search(ControllerSampler("local", space, stop_when_exhausted=True), space, 12, fail=False)
    assert [trial.state.name for trial in stopped.trials] == ["COMPLETE"] * 4 + ["PRUNED"]
    keys = {space.key(suggest_trial(trial, space).architecture) for trial in stopped.trials[:4]}
    assert len(keys) == 4


def test_budgets_reach_the_objective_and_the_finished_trial(tables: ModuleType) -> None:
    """ASHA promotes a network: the same options come back with a larger budget, and say which trial they continue."""
    space = tables.TableSpace()
    seen = []

    def objective(trial: optuna.Trial) -> float:
        asked = suggest_trial(trial, space)
        seen.append(asked)
        return float(space.score(asked.architecture))

    study = optuna.create_study(direction="maximize", sampler=quick("asha", space, tables))
    study.optimize(objective, n_trials=12)
    expected = [record.trial for record in tables.run(tables.quick("asha", space), tables.by_table(space), 12)]
    assert seen == expected == [suggest_trial(trial, space) for trial in study.trials]
    assert {trial.budget for trial in seen} >= {1, 3}
    assert any(trial.continues is not None for trial in seen)


def test_finite_parameters_are_decisions_where_no_space_is_given() -> None:
    """Evolution finds the best of categorical, whole and stepped parameters; the continuous one stays random."""

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("noise", 0, 1)
        kind = trial.suggest_categorical("kind", ["a", "b", None, 1.5])
        return trial.suggest_int("depth", 1, 9, step=2) + trial.suggest_float("rate", 0, 1, step=0.1) + (kind is None)

    study = optuna.create_study(
        direction="maximize", sampler=ControllerSampler("evolution", options={"population": 8, "tournament": 3})
    )
    study.optimize(objective, n_trials=120)
    assert study.best_value == pytest.approx(11.0)
    relative = study.sampler.infer_relative_search_space(study, study.trials[-1])
    assert list(relative) == ["depth", "kind", "rate"]
    assert [ASKED in trial.system_attrs for trial in study.trials[:3]] == [False, True, True]
    assert len({trial.params["noise"] for trial in study.trials}) == 120


@pytest.mark.parametrize(
    "distribution",
    [
        optuna.distributions.IntDistribution(1, 64, log=True),
        optuna.distributions.IntDistribution(0, 64),
        optuna.distributions.FloatDistribution(0, 1),
        optuna.distributions.CategoricalDistribution([1, True]),
    ],
)
def test_other_parameters_are_drawn_at_random(distribution: Any) -> None:
    study = optuna.create_study(sampler=ControllerSampler("evolution"))
    for _ in range(3):
        study.tell(study.ask({"x": distribution}), 0.0)
    assert study.sampler.infer_relative_search_space(study, study.trials[-1]) == {}
    assert all(ASKED not in trial.system_attrs for trial in study.trials)


def test_hyperband_of_optuna_prunes_around_it(tables: ModuleType) -> None:
    """The controller learns from all brackets, of which Optuna shows a sampler one at a time."""
    space = tables.TableSpace()
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study = optuna.create_study(direction="maximize", sampler=quick("evolution", space, tables), pruner=pruner)

    def objective(trial: optuna.Trial) -> float:
        score = space.score(suggest_trial(trial, space).architecture)
        for epoch in range(1, 10):
            trial.report(score * epoch / 9, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(score)

    study.optimize(objective, n_trials=30)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert [trial.system_attrs[ASKED]["trial"]["number"] for trial in study.trials] == list(range(30))
    assert sum(len(trial.system_attrs[ASKED]["told"]) for trial in study.trials) == 29


def test_two_processes_with_one_seed_are_told_apart(tables: ModuleType) -> None:
    """Both asked for trial 1 before either saw the other's: from then on neither can be replayed."""
    space = tables.TableSpace()
    study = search(ControllerSampler("random", space), space, 2)
    storage, trial = study._storage, study.ask()
    asked = {**study.trials[1].system_attrs[ASKED], "number": trial.number}
    storage.set_trial_system_attr(trial._trial_id, ASKED, asked)
    for _ in range(2):
        with pytest.raises(InvalidInputError, match=r"trial 2 of the study is not what .*random, seed 0.*its own seed"):
            study.ask(study.sampler.infer_relative_search_space(study, study.trials[0]))


def test_a_retry_of_optunas_is_not_asked_for_again(tables: ModuleType) -> None:
    """Its copy of a stale trial holds the same attributes; the controller was told the failure and goes on."""
    space = tables.TableSpace()
    study = search(ControllerSampler("evolution", space), space, 5)
    failed = study.trials[4]
    assert failed.state == TrialState.FAIL
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        retry = optuna.storages.RetryHeartbeatStaleTrialCallback()
    retry(study, failed)
    search(study.sampler, space, 3, study=study, fail=False)
    assert study.trials[5].params == failed.params
    assert suggest_trial(study.trials[5], space) == suggest_trial(failed, space)
    assert [study.trials[i].system_attrs[ASKED]["trial"]["number"] for i in (6, 7)] == [5, 6]


def test_samplers_with_other_settings_leave_each_other_alone(tables: ModuleType) -> None:
    space = tables.TableSpace()
    alone = search(ControllerSampler("random", space, seed=1), space, 5)
    study = search(ControllerSampler("random", space, seed=0), space, 5)
    search(ControllerSampler("random", space, seed=1), space, 5, study=study)
    assert params(study)[5:] == params(alone)


def test_a_failed_write_is_made_good(tables: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the study does not know of was not asked for: the next trial is that one."""
    space = tables.TableSpace()
    study = search(quick("evolution", space, tables), space, 6)
    with monkeypatch.context() as patch:
        patch.setattr(study._storage, "set_trial_system_attr", lambda *args: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            study.ask(study.sampler.infer_relative_search_space(study, study.trials[0]))
    search(study.sampler, space, 5, study=study)
    whole = search(quick("evolution", space, tables), space, 6)
    whole.add_trial(optuna.create_trial(state=TrialState.FAIL))  # numbers decide which trials fail
    search(whole.sampler, space, 5, study=whole)
    assert params(study)[7:] == params(whole)[7:]


def test_options_that_are_one_to_optuna_are_told_apart() -> None:
    assert optuna_choices(Decision("d", (1, True, "1", 2))) == ("1 (int)", "True (bool)", "1", 2)


def test_a_real_space_by_its_name() -> None:
    study = optuna.create_study(sampler=ControllerSampler("evolution", "nasbench201"))
    (trial,) = [study.ask()]
    architecture = suggest_trial(trial, nasbench201_space("nasbench201")).architecture
    assert trial.params == nasbench201_space("nasbench201").options(architecture)


def test_what_cannot_be_is_refused_at_once(tables: ModuleType) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown controller 'evolutoin'\. Did you mean 'evolution'"):
        ControllerSampler("evolutoin")
    with pytest.raises(UnknownNameError, match="option of controller 'evolution'"):
        ControllerSampler("evolution", options={"size": 3})
    with pytest.raises(InvalidInputError, match="options are for a controller by name"):
        ControllerSampler(lambda space, objectives, seed: make_controller("random", space), options={"a": 1})


def make_own(space: Any, objectives: Any, seed: int) -> Any:
    return make_controller("local", space, objectives, seed)


def test_a_controller_of_ones_own(tables: ModuleType) -> None:
    space = tables.TableSpace()
    own, named = (search(ControllerSampler(one, space), space, 8) for one in (make_own, "local"))
    assert params(own) == params(named)
    assert own.trials[0].system_attrs[ASKED]["by"].partition(", ")[0].endswith(".make_own")


def test_without_optuna_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "controllers.optuna_sampler")
    with pytest.raises(MissingDependencyError, match="pip install optuna"):
        import controllers.optuna_sampler  # noqa: F401
