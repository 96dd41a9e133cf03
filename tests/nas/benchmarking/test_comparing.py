"""Controllers compared on a table: curves, regret, what is reported, and the command."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.benchmarking import BenchResult, bench_table, mean_and_sd
from nas.errors import InvalidInputError, UnknownNameError
from nas.evaluators.table import Table, load_table

OPS = np.array(list(itertools.product(range(4), repeat=3)))
VALID = np.random.default_rng(0).permutation(64) / 10
LATE = 100 - VALID
MS = 1 + OPS.sum(axis=1) / 10
TABLE = Table(OPS, {"valid": VALID, "late": LATE})
DATA = Path(os.environ.get("NAS_DATA", Path(__file__).parents[4] / "shared" / "data"))
REAL = DATA / "nasbench201" / "nasbench201_cifar10.npz"
CONTROLLERS = ["random", "evolution"]


@pytest.fixture(scope="module")
def result() -> BenchResult:
    return bench_table(
        TABLE, metric="valid", report_metric="late", controllers=CONTROLLERS, trials=60, seeds=4, processes=1
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "table.npz", ops=OPS, valid=VALID, late=LATE, ms=MS)
    return tmp_path / "table.npz"


def comparable(result: BenchResult) -> dict[str, Any]:
    """Return all of a result but its times."""
    return {
        name: (found.best.tolist(), found.regret.tolist(), found.reported.tolist())
        for name, found in result.controllers.items()
    }


def test_curves_only_rise_and_regret_is_the_rest(result: BenchResult) -> None:
    assert result.optimum == VALID.max()
    for found in result.controllers.values():
        assert found.best.shape == (4, 60)
        assert np.all(np.diff(found.best, axis=1) >= 0)
        np.testing.assert_allclose(found.best + found.regret, VALID.max())


def test_reported_is_of_the_network_that_was_best_by_the_metric(result: BenchResult) -> None:
    for found in result.controllers.values():
        np.testing.assert_allclose(found.reported, 100 - found.best[:, -1])


def test_checkpoints_end_with_the_trials(result: BenchResult) -> None:
    assert list(result.controllers["random"].mean_regret()) == [25, 50]


def test_exhausted_space_keeps_its_best_and_has_found_the_optimum() -> None:
    found = bench_table(TABLE, metric="valid", controllers=["random"], trials=100, seeds=2, processes=1)
    random = found.controllers["random"]
    assert random.found_optimum == 1
    assert random.mean_regret()[100] == 0
    assert np.all(random.regret[:, 63:] == 0)


def test_seeds_differ_and_repeat_with_more_of_them(result: BenchResult) -> None:
    fewer = bench_table(
        TABLE, metric="valid", report_metric="late", controllers=CONTROLLERS, trials=60, seeds=2, processes=1
    )
    for name, found in fewer.controllers.items():
        np.testing.assert_array_equal(found.best, result.controllers[name].best[:2])
        assert not np.array_equal(found.best[0], found.best[1])


def test_minimizing_mirrors_maximizing(result: BenchResult) -> None:
    mirrored = Table(OPS, {"valid": -VALID, "late": LATE})
    down = bench_table(
        mirrored,
        metric="valid",
        report_metric="late",
        controllers=CONTROLLERS,
        trials=60,
        seeds=4,
        minimize=True,
        processes=1,
    )
    assert down.optimum == -result.optimum
    for name, found in down.controllers.items():
        # the spaces are equal, so are the draws
        np.testing.assert_array_equal(found.regret, result.controllers[name].regret)


def test_processes_change_nothing(result: BenchResult) -> None:
    done: list[tuple[int, int]] = []
    two = bench_table(
        TABLE,
        metric="valid",
        report_metric="late",
        controllers=CONTROLLERS,
        trials=60,
        seeds=4,
        processes=2,
        on_run=lambda *counts: done.append(counts),
    )
    assert comparable(two) == comparable(result)
    assert done == [(i, 8) for i in range(1, 9)]


def test_rows_without_a_number_count_as_trials_and_win_nothing() -> None:
    holes = np.where(VALID > 3, np.nan, VALID)
    table = Table(OPS[:-4], {"valid": holes[:-4], "late": np.full(60, np.nan) + (np.arange(60) == 0)})
    found = bench_table(table, metric="valid", controllers=["random"], trials=64, seeds=3, processes=1)
    assert found.optimum == np.nanmax(holes[:-4])
    assert found.controllers["random"].found_optimum == 1
    assert np.all(found.controllers["random"].best >= np.nanmin(holes[:-4]))


def test_mean_and_sd_leave_out_what_is_not_there() -> None:
    assert mean_and_sd(np.array([1.0, 3.0, np.nan])) == [2.0, pytest.approx(2**0.5)]
    assert mean_and_sd(np.array([1.0])) == [1.0, 0.0]
    assert mean_and_sd(np.array([np.nan])) is None


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'valid'"):
        bench_table(TABLE, metric="vali", controllers=["random"])
    with pytest.raises(UnknownNameError, match="Did you mean 'random'"):
        bench_table(TABLE, metric="valid", controllers=["randm"])
    with pytest.raises(InvalidInputError, match="at least one controller"):
        bench_table(TABLE, metric="valid", controllers=[])
    with pytest.raises(InvalidInputError, match="'random' twice"):
        bench_table(TABLE, metric="valid", controllers=["random", "random"])


def test_evolution_beats_random_search_on_the_real_table() -> None:
    if not REAL.exists():
        pytest.skip(f"no NAS-Bench-201 table at {REAL}: set NAS_DATA to the folder that holds nasbench201/")
    table = load_table(REAL)
    start = time.perf_counter()
    found = bench_table(table, metric="c10_valid_200", controllers=CONTROLLERS, seeds=20, processes=1)
    assert found.optimum == pytest.approx(91.607, abs=5e-4)
    assert table.column("c10_valid_200").argmax() == 6111
    random, evolution = (found.controllers[name].mean_regret()[200] for name in CONTROLLERS)
    assert evolution < random / 2
    assert time.perf_counter() - start < 20


# ---------------------------------------------------------------------------------------- the command line


KEYS = ["regret", "best", "reported", "found_optimum", "seconds"]
FLAGS = ["--metric", "valid", "--controllers", "random,evolution", "--trials", "60", "--seeds", "4", "--processes", "1"]


def test_json_is_all_that_is_printed(file: Path, result: BenchResult, cli: Callable[..., Any]) -> None:
    answer = cli("bench", "table", file, *FLAGS, "--report-metric", "late", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["optimum"] == result.optimum
    expected = result.to_json()["controllers"]
    for name in CONTROLLERS:
        entry = found["controllers"][name]
        assert list(entry) == KEYS
        assert {**entry, "seconds": 0} == {**expected[name], "seconds": 0}


def test_table_and_chart(file: Path, cli: Callable[..., Any]) -> None:
    chart = file.parent / "regret.svg"
    answer = cli("bench", "table", file, *FLAGS, "--figure", chart)
    assert answer.code == 0, answer.err
    heading, columns, *rows, last = answer.out.splitlines()
    assert heading == "4 runs of 60 evaluations by valid; its optimum is 6.3"
    assert columns.split()[:4] == ["controller", "regret@25", "regret@50", "best"]
    assert [row.split()[0] for row in rows] == CONTROLLERS
    assert last == f"the chart: {chart}"
    assert "</svg>" in chart.read_text()


def printed(cli: Callable[..., Any], *arguments: object) -> tuple[list[str], list[str], list[str]]:
    """Return what the command prints: the lines above the table, its column names, its lines."""
    answer = cli("bench", "table", *arguments)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("controller "))
    return lines[:head], re.split(r"\s{2,}", lines[head].strip()), lines[head + 1 :]


def test_no_column_shows_what_another_one_shows(file: Path, cli: Callable[..., Any]) -> None:
    _, columns, _ = printed(cli, file, *FLAGS)
    assert columns == ["controller", "regret@25", "regret@50", "best", "optimum found", "s a run"]
    _, columns, _ = printed(cli, file, *FLAGS, "--report-metric", "late")
    assert columns[3:5] == ["best", "late"]


def test_one_seed_is_shown_without_a_spread(file: Path, cli: Callable[..., Any]) -> None:
    above, _, rows = printed(cli, file, *FLAGS, "--seeds", "1")
    assert above[0].startswith("1 run of 60 evaluations")
    assert not any("±" in row for row in rows)


def test_more_trials_than_networks_are_remarked_on(file: Path, cli: Callable[..., Any]) -> None:
    above, _, _ = printed(cli, file, *FLAGS, "--trials", "80", "--controllers", "random,optuna:random")
    assert above[1:] == ["random: no network is left after 64 of 80 evaluations, so the runs end there"]


def test_controllers_with_options_are_named_as_typed(file: Path, cli: Callable[..., Any]) -> None:
    _, _, rows = printed(cli, file, *FLAGS, "--controllers", "evolution(population=9,tournament=3), random")
    assert [row.split()[0] for row in rows] == ["evolution(population=9,tournament=3)", "random"]


def test_costs_show_the_front(file: Path, cli: Callable[..., Any]) -> None:
    flags = [file, *FLAGS, "--cost", "ms", "--controllers", "random,optuna:nsga2"]
    above, columns, rows = printed(cli, *flags, "--figure", file.parent / "front.svg")
    assert "measured from valid 3.15, ms 1.45" in above[1]
    assert columns[:4] == ["controller", "front@25", "front@50", "regret@50"]
    assert rows[-1].startswith("the chart: ")
    found = json.loads(cli("bench", "table", *flags, "--json").out)
    assert found["reference"] == pytest.approx({"valid": 3.15, "ms": 1.45})
    entry = found["controllers"]["random"]
    assert list(entry) == [*KEYS, "hypervolume", "hypervolume_sd"]
    assert list(entry["hypervolume"]) == list(entry["hypervolume_sd"]) == ["25", "50"]
    assert 0 < entry["hypervolume"]["25"] < entry["hypervolume"]["50"] <= 1


def test_rows_of_one_network_that_differ_in_a_cost_are_remarked_on(file: Path, cli: Callable[..., Any]) -> None:
    np.savez(file, ops=OPS, valid=VALID, ms=MS, iso_id=np.arange(64) // 2)
    above, _, _ = printed(cli, file, *FLAGS, "--cost", "ms", "--controllers", "random")
    assert above[1] == "rows of the same network differ in ms and count as different networks"


def test_a_target_is_said_and_its_reward_shown(file: Path, cli: Callable[..., Any]) -> None:
    flags = [file, *FLAGS, "--cost", "ms", "--target", "1.2"]
    above, columns, _ = printed(cli, *flags)
    assert "by valid, weighed against ms (target 1.2);" in above[0]
    assert columns[-4:] == ["best reward", "valid", "optimum found", "s a run"]


def test_epochs_are_counted_from_the_fidelities(file: Path, cli: Callable[..., Any]) -> None:
    flags = [file, *FLAGS, "--fidelity", "20=valid", "--fidelity", "5=late", "--epochs", "400"]
    above, columns, _ = printed(cli, *flags, "--figure", file.parent / "epochs.svg")
    assert above[0].startswith("4 runs of 400 epochs by valid")
    assert columns[1:5] == ["regret@100", "regret@200", "regret@300", "regret@400"]
    assert "epochs" in columns
    entry = json.loads(cli("bench", "table", *flags, "--json").out)["controllers"]["random"]
    assert list(entry) == [*KEYS, "epochs"]
    assert entry["epochs"] == 400


def test_chart_of_runs_that_all_find_the_optimum_at_once(tmp_path: Path, cli: Callable[..., Any]) -> None:
    np.savez(tmp_path / "flat.npz", ops=OPS[:-1], valid=np.where(np.arange(63) < 4, np.nan, 1.0))
    answer = cli("bench", "table", tmp_path / "flat.npz", *FLAGS, "--seeds", "1", "--figure", tmp_path / "r.png")
    assert answer.code == 0, answer.err
    assert "1 of 64 points have no row and are infeasible" in answer.out
    assert "4 of 63 rows lack the metric and count as failed" in answer.out


MISTAKES = {
    "no file": (["nowhere.npz"], "cannot read the table nowhere.npz"),
    "metric": (["--metric", "vali"], "Did you mean 'valid'"),
    "report metric": (["--report-metric", "lat"], "Did you mean 'late'"),
    "controller": (["--controllers", "random,evolutoin"], "Did you mean 'evolution'"),
    "twice": (["--controllers", "random,random"], "twice"),
    "none": (["--controllers", ","], "at least one controller"),
    "trials": (["--trials", "0"], "trials must be at least 1"),
    "seeds": (["--seeds", "0"], "seeds must be at least 1"),
    "processes": (["--processes", "0"], "processes must be at least 1"),
    "options": (["--controllers", "evolution(population=5"], "brackets"),
    "option's name": (["--controllers", "evolution(populaton=5)"], "Did you mean 'population'"),
    "option's value": (["--controllers", "evolution(population=five)"], "a whole number, got 'five'"),
    "sampler": (["--controllers", "optuna:tpee"], "Did you mean 'tpe'"),
    "cost": (["--cost", "mss"], "Did you mean 'ms'"),
    "one objective": (["--cost", "ms", "--controllers", "local"], "'local' takes one objective, got 2"),
    "target alone": (["--target", "3"], "name one with --cost"),
    "target 0": (["--cost", "ms", "--target", "0"], "larger than 0"),
    "weight alone": (["--cost", "ms", "--weight", "-0.1"], "add --target"),
    "reference": (["--cost", "ms", "--reference", "mean"], "Known: median, nadir, worst"),
    "fidelity": (["--fidelity", "valid"], "--fidelity takes EPOCHS=COLUMN"),
    "fidelity twice": (["--fidelity", "2=late", "--fidelity", "2=valid"], "one column for 2 epochs"),
    "fidelity's column": (["--fidelity", "2=lat", "--fidelity", "9=valid"], "Did you mean 'late'"),
    "highest fidelity": (["--fidelity", "9=late"], "column of the highest fidelity"),
    "epochs alone": (["--epochs", "100"], "add --fidelity"),
    "few epochs": (["--fidelity", "9=valid", "--epochs", "8"], "one evaluation of 9"),
    "chart's kind": (["--figure", "regret.gif"], "--figure takes a file .svg"),
    "chart's folder": (["--figure", "nowhere/regret.svg"], "there is no folder nowhere"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_exit_code_2(mistake: str, file: Path, cli: Callable[..., Any]) -> None:
    arguments, message = MISTAKES[mistake]
    answer = cli("bench", "table", *([] if mistake == "no file" else [file]), *FLAGS, *arguments)
    assert answer.code == 2, answer.out + answer.err
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert answer.out == ""


def test_help_has_an_example(cli: Callable[..., Any]) -> None:
    assert "Example: nas bench table" in cli("bench", "table", "--help").out
    assert "table" in cli("bench", "--help").out


def test_ctrl_c_stops_every_process_with_one_line(file: Path) -> None:
    """The signal goes to the whole group, as a terminal sends it."""
    code = (
        "import nas.benchmarking.comparing as b, signal, os, threading\n"
        "check = b._check\n"
        "def checked(*a, **k):\n"
        "    threading.Timer(0.5, os.killpg, (0, signal.SIGINT)).start()\n"
        "    check(*a, **k)\n"
        "b._check = checked\n"
        "from nas.cli import main\n"
        "if __name__ == '__main__': main()\n"
    )
    script = file.parent / "bench.py"
    script.write_text(code)
    command = [sys.executable, str(script), "bench", "table", str(file), "--metric", "valid", "--seeds", "5000"]
    command += ["--controllers", "ppo", "--trials", "60", "--processes", "2"]
    done = subprocess.run(command, capture_output=True, text=True, process_group=0, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "stopped; nothing was written\n")
