"""Runs of a comparison with costs, a weighed cost, fidelities and options of controllers."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controllers.controller import Controller, Proposal
from controllers.registry import CONTROLLERS, ControllerKind, ControllerSetup
from nas.benchmarking import BenchResult, BenchRules, bench_table
from nas.errors import InvalidInputError
from nas.evaluators.table import Table, load_table
from nas.hypervolume import hypervolume

OPS = np.array(list(itertools.product(range(4), repeat=3)))
VALID = np.random.default_rng(0).permutation(64) / 10
EARLY = np.random.default_rng(1).permutation(64) / 10
MS = 1 + OPS.sum(axis=1) / 10
TABLE = Table(OPS, {"valid": VALID, "early": EARLY, "ms": MS})
DATA = Path(os.environ.get("NAS_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = DATA / "nasbench201" / "nasbench201_cifar10.npz"
LADDER = BenchRules(fidelities={2: "early", 10: "valid"})


class InTurn(Controller):
    """Proposes every row in turn, first for 2 epochs and then for 10."""

    seen: list[float]

    def propose(self, number: int, rng: np.random.Generator) -> Proposal:
        row, again = divmod(number, 2)
        return Proposal(self.space.architecture(OPS[row % 64].tolist()), budget=10 if again else 2)

    def learn(self, record: Any) -> None:
        self.seen = [*getattr(self, "seen", []), record.measurement.metrics["valid"]]


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> list[InTurn]:
    """Make `InTurn` known as "inturn"; return those that were made, in their order."""
    made: list[InTurn] = []

    def make(setup: ControllerSetup) -> InTurn:
        made.append(InTurn(setup.space, setup.objectives, setup.seed))
        return made[-1]

    monkeypatch.setitem(CONTROLLERS, "inturn", ControllerKind("every row, twice", make))
    return made


def run(controllers: list[str], rules: BenchRules, *, trials: int = 60, **options: Any) -> BenchResult:
    return bench_table(
        TABLE, metric="valid", controllers=controllers, rules=rules, trials=trials, seeds=3, processes=1, **options
    )


def test_hypervolume_is_a_rising_share_that_ends_with_the_whole_front() -> None:
    result = run(["random"], BenchRules(costs=("ms",)), trials=64)
    curves = result.controllers["random"].hypervolume
    assert curves is not None
    assert curves.shape == (3, 64)
    assert np.all(np.diff(curves, axis=1) >= 0)
    np.testing.assert_allclose(curves[:, -1], 1, rtol=1e-12)
    assert result.reference == {"valid": np.median(VALID), "ms": np.median(MS)}


def test_hypervolume_of_a_run_is_that_of_its_networks(in_turn: list[InTurn]) -> None:
    """Rows in turn, each asked for twice: 50 trials are 25 rows."""
    found = run(["inturn"], BenchRules(costs=("ms",), fidelities={2: "early", 10: "valid"}), trials=50)
    curves = found.controllers["inturn"].hypervolume
    points, corner = np.column_stack([VALID, -MS]), [np.median(VALID), -np.median(MS)]
    whole = hypervolume(points, reference=corner)
    assert curves is not None
    assert curves[0, 49] == pytest.approx(hypervolume(points[:25], reference=corner) / whole)
    assert curves[0, 24] == pytest.approx(hypervolume(points[:12], reference=corner) / whole)
    assert found.controllers["inturn"].to_json()["hypervolume"] == {
        "25": pytest.approx(curves[:, 24].mean()),
        "50": pytest.approx(curves[:, 49].mean()),
    }


def test_costs_change_no_draw_and_no_regret_of_random_search() -> None:
    plain, costly = (run(["random"], rules).controllers["random"] for rules in (BenchRules(), BenchRules(("ms",))))
    np.testing.assert_array_equal(plain.best, costly.best)
    assert plain.hypervolume is None


def test_with_a_target_regret_is_of_the_weighed_metric() -> None:
    result = run(["random", "local"], BenchRules(("ms",), target=1.2, weight=-0.5), trials=64)
    reward = VALID * (MS / 1.2) ** -0.5
    assert result.optimum == pytest.approx(reward.max())
    assert reward.argmax() != VALID.argmax()
    for found in result.controllers.values():
        assert found.found_optimum == 1
        np.testing.assert_allclose(found.reported, VALID[reward.argmax()])


def test_controllers_of_one_objective_are_refused_with_costs_and_taken_with_a_target() -> None:
    with pytest.raises(InvalidInputError, match=r"'evolution' takes one objective, got 2.* Or weigh .* --target"):
        run(["evolution"], BenchRules(costs=("ms",)))
    run(["evolution"], BenchRules(costs=("ms",), target=1.5))


def test_options_reach_the_controller() -> None:
    """A population that is never filled is random search."""
    texts = ["random", "evolution(population=60,tournament=1)", "evolution(population=5,tournament=5)"]
    found = run(texts, BenchRules()).controllers
    assert list(found) == texts
    np.testing.assert_array_equal(found[texts[0]].best, found[texts[1]].best)
    assert not np.array_equal(found[texts[0]].best, found[texts[2]].best)


def test_short_evaluations_are_paid_for_and_win_nothing(in_turn: list[InTurn]) -> None:
    """Trials 0 and 1 are row 0 after 2 and after 10 epochs, and so on; what is best is so after 10."""
    found = run(["inturn"], LADDER, trials=40).controllers["inturn"]
    for trials in (2, 3, 10, 40):
        assert found.best[0, trials - 1] == VALID[: trials // 2].max()
    assert found.best[0, 0] == VALID.min()
    assert found.epochs is not None
    assert found.epochs.tolist() == [20 * 12] * 3
    assert in_turn[-1].seen[:4] == [EARLY[0], VALID[0], EARLY[1], VALID[1]]


def test_runs_end_with_their_epochs_however_many_trials(in_turn: list[InTurn]) -> None:
    """130 epochs pay ten rows of 12, another 2, and not the 10 of its full training."""
    rules = BenchRules(fidelities=LADDER.fidelities, epochs=130)
    result = run(["inturn", "random"], rules, trials=1)
    found = result.controllers["inturn"]
    assert found.epochs is not None
    assert found.epochs.tolist() == [122] * 3
    assert found.best[0, -1] == VALID[:10].max()
    assert list(found.mean_regret()) == [32, 65, 98, 130]
    assert found.best[0, 49] == VALID[:5].max()  # after 65 epochs: five rows of 12
    plain = result.controllers["random"]
    assert plain.to_json()["epochs"] == 130
    assert plain.num_trials is not None
    assert plain.num_trials.tolist() == [13] * 3


def test_epochs_of_plain_controllers_are_those_of_full_trainings() -> None:
    counted = run(["random"], BenchRules(fidelities=LADDER.fidelities, epochs=600)).controllers["random"]
    by_trials = run(["random"], BenchRules()).controllers["random"]
    np.testing.assert_array_equal(counted.best[:, -1], by_trials.best[:, -1])


def test_budgets_that_the_table_does_not_have_are_refused(in_turn: list[InTurn]) -> None:
    with pytest.raises(InvalidInputError, match=r"'inturn' asks for 2 epochs, .*got none.*add --fidelity 2=COLUMN"):
        run(["inturn"], BenchRules())
    with pytest.raises(InvalidInputError, match=r"got 3=early, 10=valid"):
        run(["inturn"], BenchRules(fidelities={3: "early", 10: "valid"}))


def test_nsga2_finds_more_of_the_real_front_than_random_search() -> None:
    """1.26 times random search's hypervolume was measured over 50 seeds, standard error 0.02; ten give 0.05."""
    if not REAL.exists():
        pytest.skip(f"no NAS-Bench-201 table at {REAL}: set NAS_DATA to the folder that holds nasbench201/")
    result = bench_table(
        load_table(REAL),
        metric="c10_valid_200",
        controllers=["random", "nsga2"],
        rules=BenchRules(costs=("edgegpu_latency_ms",)),
        seeds=10,
        processes=1,
    )
    assert list(result.reference.values()) == pytest.approx([87.296, 5.31205], rel=1e-5)
    random, ours = (found.spread_of_hypervolume()[200][0] for found in result.controllers.values())
    assert ours > 1.05 * random


def test_a_prior_reaches_those_that_use_one_and_changes_no_other() -> None:
    names, told = ["random", "predictor"], BenchRules(prior="valid")
    without, with_prior = (run(names, rules, trials=20).controllers for rules in (BenchRules(), told))
    np.testing.assert_array_equal(without["random"].best, with_prior["random"].best)
    assert not np.array_equal(without["predictor"].best, with_prior["predictor"].best)


def test_a_prior_for_nobody_is_refused() -> None:
    with pytest.raises(
        InvalidInputError, match=r"a prior is for controllers that use one, got random: add one of .*predictor"
    ):
        run(["random"], BenchRules(prior="early"))
