"""Controllers as Ray Tune searchers, called as Tune calls them; no Ray is started here."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher

from controllers import Measurement, Record, make_controller
from nas.errors import InvalidInputError, JournalError, MissingDependencyError, NASError, UnknownNameError
from nas.tuning import NASSearcher, architecture_from, trial_from
from nas.tuning.ledger import MOST_TWINS
from search_spaces.registry import get_space

CONTROLLERS = ["random", "evolution", "local", "predictor", "reinforce", "asha", "optuna:tpe"]
NASBENCH = get_space("nasbench201")


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    path = Path(__file__).parents[1] / "controllers" / "table_space.py"
    spec = importlib.util.spec_from_file_location("table_space", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(name: str, space: Any, tables: ModuleType, **settings: Any) -> NASSearcher:
    return NASSearcher(space, name, **settings, **tables.QUICK.get(name, {}))


def score(config: dict[str, Any]) -> float:
    """Any number that depends on the architecture."""
    return float(np.mean(architecture_from(config).choices))


def drive(searcher: NASSearcher, count: int, *, first: int = 0) -> list[dict[str, Any]]:
    """Suggest and complete as two workers would, the later one of the two first; every fourth trial fails."""
    configs: list[dict[str, Any]] = []
    for i in range(first, first + count, 2):
        pair = [searcher.suggest(f"t{i}"), searcher.suggest(f"t{i + 1}")]
        for j, config in ((i + 1, pair[1]), (i, pair[0])):
            assert isinstance(config, dict)
            failed = j % 4 == 3
            searcher.on_trial_complete(f"t{j}", None if failed else {"val_accuracy": score(config)}, error=failed)
        configs += pair  # type: ignore[arg-type]
    return configs


@pytest.mark.parametrize("name", CONTROLLERS)
def test_suggestions_are_the_controllers_own(name: str, tables: ModuleType) -> None:
    """But for networks that are known by then, of which the controller is told at once."""
    searcher = make(name, NASBENCH, tables)
    controller = make_controller(name, NASBENCH, options=tables.QUICK.get(name))
    known: dict[Any, Measurement] = {}
    for i in range(12):
        config = searcher.suggest(f"t{i}")
        assert isinstance(config, dict)
        (trial,) = controller.ask()
        while (key := (NASBENCH.key(trial.architecture), trial.budget)) in known:
            controller.tell([Record(trial, known[key])])
            (trial,) = controller.ask()
        assert trial_from(config) == trial
        assert {d.name: config[d.name] for d in NASBENCH.decisions} == NASBENCH.options(trial.architecture)
        known[key] = tables.failed() if i % 4 == 3 else tables.ok(score(config))
        controller.tell([Record(trial, known[key])])
        searcher.on_trial_complete(f"t{i}", known[key].metrics, error=not known[key].ok)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_restored_searcher_goes_on_as_if_never_interrupted(name: str, tables: ModuleType, tmp_path: Path) -> None:
    """Saved with a trial out, restored from JSON as Tune does it; nothing else is in the folder."""
    whole, parted, restored = (make(name, NASBENCH, tables, seed=3) for _ in range(3))
    out = [searcher.suggest("out") for searcher in (whole, parted)]
    drive(whole, 10)
    drive(parted, 10)
    parted.save_to_dir(str(tmp_path), "session")
    assert [path.name for path in tmp_path.iterdir()] == ["searcher-state-session.json"]
    json.loads((tmp_path / "searcher-state-session.json").read_text())
    restored.restore_from_dir(str(tmp_path))
    for searcher in (whole, restored):
        searcher.on_trial_complete("out", {"val_accuracy": score(out[0])})
    assert drive(restored, 10, first=10) == drive(whole, 10, first=10)


def test_a_pickle_holds_asks_and_tells_and_no_controller(tables: ModuleType) -> None:
    """Tune pickles its searcher when an experiment begins, and restores from that."""
    searcher = make("reinforce", NASBENCH, tables, metric="loss", mode="min")
    whole = make("reinforce", NASBENCH, tables, metric="loss", mode="min")
    for one in (searcher, whole):
        for i in range(6):
            one.on_trial_complete(f"t{i}", {"loss": score(one.suggest(f"t{i}"))})
    data = pickle.dumps(searcher)
    assert b"torch" not in data
    assert b"controllers." not in data
    copy = pickle.loads(data)
    assert [copy.suggest(f"u{i}") for i in range(4)] == [whole.suggest(f"u{i}") for i in range(4)]


def test_an_exhausted_space_waits_for_results_then_finishes(tables: ModuleType) -> None:
    """Four networks, drawn in nine ways."""
    space = tables.TableSpace(2, 3, num_equal=2)
    searcher = NASSearcher(space, "local")
    configs = [searcher.suggest(f"t{i}") for i in range(5)]
    assert [isinstance(config, dict) for config in configs] == [True] * 4 + [False]
    assert configs[4] is None
    for i in range(4):
        assert searcher.suggest("more") is None
        searcher.on_trial_complete(f"t{i}", {"val_accuracy": 0.1 * i})
    assert searcher.suggest("more") == Searcher.FINISHED


def test_no_network_is_evaluated_twice(tables: ModuleType) -> None:
    """Random search draws nine ways to four networks; each is trained once, all nine are told."""
    space = tables.TableSpace(2, 3, num_equal=2)
    searcher = NASSearcher(space, "random")
    keys = []
    for i in range(9):
        config = searcher.suggest(f"t{i}")
        if not isinstance(config, dict):
            assert config == Searcher.FINISHED
            break
        keys.append(space.key(architecture_from(config)))
        searcher.on_trial_complete(f"t{i}", {"val_accuracy": space.score(architecture_from(config))})
    assert len(keys) == len(set(keys)) == 4
    assert sum("told" in event for event in searcher._ledger.events) == 9


def test_twins_of_a_running_trial_learn_its_result(tables: ModuleType, tmp_path: Path) -> None:
    """All nine are asked for before any result: five wait, and are told what the running ones find."""
    space = tables.TableSpace(2, 3, num_equal=2)
    searcher, restored = NASSearcher(space, "random"), NASSearcher(space, "random")
    live = [config for i in range(9) if isinstance(config := searcher.suggest(f"t{i}"), dict)]
    assert len(live) == 4
    searcher.save(str(tmp_path / "state"))
    restored.restore(str(tmp_path / "state"))
    for one in (searcher, restored):
        for i in range(4):
            assert one.suggest("more") is None
            one.on_trial_complete(f"t{i}", {"val_accuracy": 0.1 * i})
        assert one.suggest("more") == Searcher.FINISHED
        told = [event for event in one._ledger.events if "told" in event]
        assert len(told) == 9
        assert sum(event["reused_from"] is not None for event in told) == 5


def test_a_controller_that_repeats_itself_waits_then_finishes(tables: ModuleType) -> None:
    """The sampler of Optuna knows four points only: what it draws again waits, then costs nothing, then is the end."""
    searcher = NASSearcher(tables.TableSpace(2, 2), "optuna:random")
    live = [f"t{i}" for i in range(20) if isinstance(searcher.suggest(f"t{i}"), dict)]
    assert len(live) == 4
    assert searcher.suggest("more") is None
    assert len(searcher._ledger._twins) == MOST_TWINS
    for trial_id in live:
        searcher.on_trial_complete(trial_id, {"val_accuracy": 0.5})
    assert searcher.suggest("more") == Searcher.FINISHED


def learnt(searcher: NASSearcher) -> list[Measurement]:
    return [Measurement.from_json(event["measurement"]) for event in searcher._ledger.events if "told" in event]


def test_every_end_of_a_trial_is_told() -> None:
    searcher = NASSearcher("nasbench201", "random")
    for i in range(7):
        searcher.suggest(f"t{i}")
    searcher.on_trial_result("t0", {"val_accuracy": 0.3})
    searcher.on_trial_complete("t0", {"val_accuracy": 0.5, "epoch": 2})
    searcher.on_trial_result("t1", {"val_accuracy": 0.4})
    searcher.on_trial_complete("t1")  # a paused trial that its scheduler ends
    searcher.on_trial_complete("t2")  # one that never began
    searcher.on_trial_complete("t3", error=True)
    searcher.on_trial_complete("t4", {"val_accuracy": float("nan")})
    searcher.on_trial_complete("t5", {"accuracy": 0.5})
    searcher.on_trial_complete("t6", {"val_accuracy": "high"})
    found = learnt(searcher)
    assert [one.status for one in found] == ["ok", "ok", "lost", "error", "diverged", "error", "error"]
    assert [one.metrics["val_accuracy"] for one in found[:2]] == [0.5, 0.4]


def test_trials_of_others_and_trials_run_again_are_not_told() -> None:
    searcher = NASSearcher("nasbench201", "random")
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", error=True)
    searcher.on_trial_result("t0", {"val_accuracy": 0.5})
    searcher.on_trial_complete("t0", {"val_accuracy": 0.5})  # Tuner.restore(resume_errored=True) ran it again
    searcher.on_trial_complete("of another", {"val_accuracy": 0.5})
    assert [one.status for one in learnt(searcher)] == ["error"]


def test_a_limit_of_concurrency_is_kept() -> None:
    limited = ConcurrencyLimiter(NASSearcher("nasbench201", "predictor"), max_concurrent=2)
    assert [isinstance(limited.suggest(f"t{i}"), dict) for i in range(3)] == [True, True, False]
    limited.on_trial_complete("t1", {"val_accuracy": 0.5})
    assert isinstance(limited.suggest("t3"), dict)


def test_several_metrics_are_several_objectives() -> None:
    searcher = NASSearcher("nasbench201", "nsga2", metric=["val_accuracy", "macs"], mode=["max", "min"], population=4)
    for i in range(8):
        searcher.suggest(f"t{i}")
        searcher.on_trial_complete(f"t{i}", {"val_accuracy": 0.5, "macs": 100 + i})
    assert learnt(searcher)[3].metrics == {"val_accuracy": 0.5, "macs": 103.0}
    assert (searcher.metric, searcher.mode) == (["val_accuracy", "macs"], ["max", "min"])


def test_the_metric_is_taken_from_tune_or_given_once() -> None:
    searcher = NASSearcher("nasbench201", "local")
    assert (searcher.metric, searcher.mode) == ("val_accuracy", "max")
    assert searcher.set_search_properties("loss", "min", {"rate": 0.1})
    searcher.suggest("t0")
    searcher.on_trial_complete("t0", {"loss": 2.0})
    assert learnt(searcher)[0].metrics == {"loss": 2.0}
    assert NASSearcher("nasbench201", metric="loss", mode="min").set_search_properties("loss", "min", {})
    with pytest.raises(InvalidInputError, match="made for metric 'loss' with mode 'min', TuneConfig says 'acc'"):
        NASSearcher("nasbench201", metric="loss", mode="min").set_search_properties("acc", "max", {})


def test_parameters_to_be_searched_are_left_to_tune_to_refuse() -> None:
    searcher = NASSearcher("nasbench201", "local")
    assert not searcher.set_search_properties(None, None, {"rate": tune.uniform(0, 1)})
    assert not searcher.set_search_properties(None, None, {"rate": tune.grid_search([0, 1])})


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"space": "nasbench202"}, UnknownNameError, "unknown space 'nasbench202'"),
        ({"controller": "evolutoin"}, UnknownNameError, "Did you mean 'evolution'"),
        ({"controller": "evolution", "size": 3}, UnknownNameError, "option of controller 'evolution'"),
        ({"metric": "loss", "mode": "minimize"}, UnknownNameError, "unknown mode 'minimize'"),
        ({"metric": "loss"}, InvalidInputError, r"each metric needs a mode, 'max' or 'min': got \['loss'\]"),
        ({"metric": ["a", "b"], "mode": ["max", "min"], "controller": "local"}, InvalidInputError, "one objective"),
    ],
)
def test_what_cannot_be_is_refused_at_once(settings: dict[str, Any], error: type[NASError], message: str) -> None:
    with pytest.raises(error, match=message):
        NASSearcher(**{"space": "nasbench201", **settings})


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (NASSearcher("nasbench201", "local"), "controller is 'random' there and 'local' here"),
        (NASSearcher("nasbench201", "random", seed=1), "seed is 0 there and 1 here"),
        (NASSearcher("darts", "random"), "space is 'nasbench201' there and 'darts' here"),
        (NASSearcher("nasbench201", "random", metric="loss", mode="min"), "metric is 'val_accuracy' there and 'loss'"),
    ],
)
def test_another_searchers_file_is_refused(other: NASSearcher, name: str, tmp_path: Path) -> None:
    NASSearcher("nasbench201", "random").save(str(tmp_path / "state"))
    with pytest.raises(JournalError, match=name):
        other.restore(str(tmp_path / "state"))


def test_damaged_files_are_refused_in_a_line(tmp_path: Path) -> None:
    """Truncated, bytes altered, or not there at all: never a traceback of another kind, never silently wrong."""
    searcher = NASSearcher("nasbench201", "random")
    drive(searcher, 6)
    path = tmp_path / "state"
    searcher.save(str(path))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for i in range(300):
        damaged = bytearray(whole)
        place = int(rng.integers(len(whole)))
        if i % 2:
            del damaged[place:]
        else:
            damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(JournalError, match="is damaged, or no file of a NASSearcher"):
            NASSearcher("nasbench201", "random").restore(str(path))
    path.unlink()
    with pytest.raises(JournalError, match="cannot read"):
        searcher.restore(str(path))


def test_a_file_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    searcher = NASSearcher("nasbench201", "random")
    with monkeypatch.context() as patch:
        patch.setattr("nas.tuning.searcher.FORMAT_VERSION", 2)
        searcher.save(str(tmp_path / "state"))
    with pytest.raises(JournalError, match="format is 2 there and 1 here"):
        searcher.restore(str(tmp_path / "state"))
    searcher.suggest("t0")
    searcher._ledger.events[0]["asked"]["architecture"]["choices"][0] ^= 1
    searcher.save(str(tmp_path / "state"))
    with pytest.raises(JournalError, match="trial 0 of the saved searcher is not what this controller asks for"):
        NASSearcher("nasbench201", "random").restore(str(tmp_path / "state"))


def test_other_configurations_are_no_trials() -> None:
    with pytest.raises(InvalidInputError, match="has the key 'nas_trial', got 'rate'"):
        architecture_from({"rate": 0.1})
    with pytest.raises(InvalidInputError, match="is no JSON"):
        architecture_from({"nas_trial": "{"})


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "nas.tuning" or name.startswith("nas.tuning.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ray\[tune\]'"):
        import nas.tuning  # noqa: F401
