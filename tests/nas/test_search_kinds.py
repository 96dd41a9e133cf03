"""Searches on images that are not the plain one: scored without training, a front, a space of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nas
from controllers.trial import Measurement, Objective, Trial
from nas.cli import parse_settings
from nas.commands.search_flags import changed_settings, parse_bytes
from nas.errors import InvalidInputError
from nas.evaluators.wrapping import FixedDuration, RequiredMetrics
from nas.priors import score_prior
from nas.report.analysis import front_records
from search_spaces.architecture import Architecture
from search_spaces.registry import get_space

SMALL: dict[str, Any] = {
    "space": "nasnet:blocks=1",
    "trials": 3,
    "train_limit": 60,
    "width": 4,
    "controller": "random",
    "recipe_changes": {"epochs": 1},
}
OWN = """
from torch import nn

def net(choose, channels, classes):
    width = choose("width", [4, 8])
    kernel = choose("kernel", [1, 3, 5])
    body = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
"""


def test_networks_are_scored_without_training_and_the_best_is_trained(tmp_path: Path) -> None:
    run = nas.search(**SMALL, evaluator="naswot", costs=("macs",), out=tmp_path / "run")
    assert run.config.objective == Objective("naswot")
    assert all(record.measurement.metrics.keys() == {"naswot", "params", "macs"} for record in run.records)
    assert run.final["trial"] == max(run.records, key=lambda r: r.measurement.metrics["naswot"]).trial.number
    assert run.final["test_accuracy"] > 0.3
    assert front_records(run.records, objectives=run.config.objectives)


def test_own_file_is_kept_so_that_a_changed_one_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "my_net.py"
    file.write_text(OWN)
    run = nas.search(**{**SMALL, "space": f"{file}:net"}, out=tmp_path / "run")
    file.write_text(OWN.replace("[4, 8]", "[4, 8, 16]"))
    longer = nas.resume(tmp_path / "run", trials=4)
    assert longer.records[:3] == run.records
    assert {record.trial.architecture.space for record in longer.records} == {run.best.architecture.space}


def test_own_file_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert nas.SearchConfig(space="nets/my_net.py:Net").space == f"{tmp_path / 'nets' / 'my_net.py'}:Net"


def test_target_without_macs_weighs_any_cost(tmp_path: Path, cli: Callable[..., Any]) -> None:
    flags = ("--space", "nasnet:blocks=1", "--trials", 1, "--train-limit", 60, "--width", 4, "--epochs", 1)
    answer = cli("search", *flags, "--cost", "params", "--target", "2k", "--weight", "-0.5", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    objective = nas.load(tmp_path / "run").config.objective
    assert objective == Objective(cost="params", target=2000.0, weight=-0.5)


def test_lengths_of_training_follow_the_recipe() -> None:
    config = nas.SearchConfig(controller="asha:evolution", recipe_changes={"epochs": 20})
    assert config.resolved_controller_options == {"budgets": [5, 10, 20]}
    given = nas.SearchConfig(controller="asha", controller_options={"budgets": [1, 2]})
    assert given.resolved_controller_options == {"budgets": [1, 2]}
    assert nas.SearchConfig(controller="evolution").resolved_controller_options == {}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "asha:predictor"),
        ({"recipe_changes": {"epochs": 8}}, "asha:predictor"),
        ({"recipe_changes": {"epochs": 7}}, "predictor"),
        ({"costs": ("macs",)}, "predictor"),
        ({"objective": Objective(target=1e6)}, "asha:predictor"),
        ({"evaluator": "naswot"}, "predictor"),
        ({"table": "t.npz", "objective": Objective("late")}, "predictor"),
        ({"table": "t.npz", "fidelities": {200: "late"}}, "predictor"),
        ({"table": "t.npz", "fidelities": {12: "early", 200: "late"}}, "asha:predictor"),
        ({"controller": "predictor"}, "predictor"),
        ({"controller": "random"}, "random"),
    ],
)
def test_who_proposes_when_nobody_is_named(settings: dict[str, Any], expected: str) -> None:
    config = nas.SearchConfig(**settings)
    assert config.resolved_controller == expected
    assert config.multi_fidelity == expected.startswith("asha")


def test_a_search_that_names_nobody_trains_all_a_little_and_the_best_in_full(
    tmp_path: Path, cli: Callable[..., Any]
) -> None:
    flags = ("--space", "nasnet:blocks=1", "--trials", 4, "--train-limit", 60, "--width", 4, "--epochs", 8)
    flags = (*flags, "--final-recipe", "proxy")
    answer = cli("search", *flags, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "with asha:predictor: 4 networks" in answer.err
    assert "all begin with 2 epochs, the best go on to 4, then 8" in answer.err
    run = nas.load(tmp_path / "run")
    assert run.config.controller == "asha:predictor"
    assert sum(record.trial.continues is None for record in run.records) == 4
    assert len(run.ranked()) == 4
    assert run.best.architecture == run.ranked()[0].trial.architecture
    assert run.ranked()[0].trial.budget == 8
    page = (tmp_path / "run" / "report.html").read_text()
    assert "proxy, 2 or 4 or 8 epochs" in page
    assert "4 of 4 networks evaluated, 3 times one of them trained further" in page
    before = (tmp_path / "run" / "journal.jsonl").read_bytes()
    again = cli("resume", tmp_path / "run")
    assert "is finished" in again.err
    assert (tmp_path / "run" / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize(("direction", "weight"), [("maximize", 0.1), ("minimize", -0.07)])
def test_a_weight_that_rewards_dear_networks_is_refused(direction: Any, weight: float) -> None:
    with pytest.raises(InvalidInputError, match="so that dear networks score worse"):
        nas.SearchConfig(objective=Objective(direction=direction, target=1e6, weight=weight))


# -------------------------------------------------------------------------------- priors and evaluators


class Counting:
    """Scores an architecture by its first choice, counts how often it was asked; fails for 0."""

    def __init__(self, **changes: Any) -> None:
        self.calls = 0
        self.changes = changes

    def evaluate(self, trial: Trial) -> Measurement:
        self.calls += 1
        if not trial.architecture.choices[0]:
            raise ValueError("no score")
        return Measurement("ok", {"score": float(trial.architecture.choices[0])}, seconds=1.0)


def test_a_prior_asks_once_and_has_no_guess_where_the_score_fails() -> None:
    space = get_space("nasbench201")
    inner = Counting()
    prior = score_prior(inner, space, metric="score")
    first, second = space.architecture([2] * 6), space.architecture([0] * 6)
    assert [prior.guess(first), prior.guess(first)] == [2.0, 2.0]
    assert math.isnan(prior.guess(second))
    assert math.isnan(prior.guess(second))
    assert inner.calls == 2
    assert prior.costly


def test_a_fixed_duration_is_shared_out_by_epochs() -> None:
    timed = FixedDuration(Counting(), 90.0, longest=27)
    assert timed.evaluate(Trial(0, Architecture("toy", (1,)), budget=9)).seconds == 30.0
    assert timed.evaluate(Trial(0, Architecture("toy", (1,)))).seconds == 90.0


def test_a_result_without_a_needed_metric_is_a_failure() -> None:
    measured = RequiredMetrics(Counting(), ("score", "size")).evaluate(Trial(0, Architecture("toy", (1,))))
    assert (measured.status, measured.error) == ("error", "no measurement of size")


def test_a_target_of_macs_and_a_final_recipe_from_the_command_line(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """The reward of MnasNet, in a space whose width is a factor; the winner by the proxy recipe."""
    options = ("--data", "digits", "--train-limit", 100, "--trials", 2, "--recipe-set", "epochs=1", "--seed", 1)
    size = ("--width", 0.1, "--depth", 0.5, "--final-recipe", "proxy")
    answer = cli("search", "--space", "mbconv", *options, *size, "--target-macs", "1M", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    run = nas.load(tmp_path / "run")
    assert (run.config.objective.cost, run.config.objective.target, run.config.final_recipe) == ("macs", 1e6, "proxy")
    assert run.best.metrics["macs"] < 5e6


# -------------------------------------------------------------------------------- limits of a trial


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2_000_000_000), ("512mb", 512_000_000), ("1.5GiB", 1_610_612_736), ("4096", 4096), ("3 k", 3000)],
)
def test_amounts_of_memory_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--trial-memory", "two"), "written like 2GB or 512MB, got 'two'"),
        (("--trial-memory", "1.2.3G"), "written like 2GB or 512MB"),
        (("--trial-memory", "0"), "--trial-memory must be larger than 0, got 0"),
        (("--trial-seconds", "0"), "--trial-seconds must be larger than 0, got 0.0"),
        (("--max-failures", "0"), "--max-failures must be at least 1, got 0"),
        (("--table", "x.npz", "--trial-seconds", "5"), "leave out --trial-seconds"),
    ],
)
def test_limits_that_cannot_be_are_refused_in_a_line(
    flags: tuple[str, ...], message: str, cli: Callable[..., Any]
) -> None:
    answer = cli("search", *flags)
    assert answer.code == 2
    assert message in " ".join(answer.err.replace("│", " ").split())


def test_the_address_of_a_cluster_means_ray() -> None:
    base = nas.SearchConfig()
    assert changed_settings(base, {"address": "auto", "workers": None, "pin": False, "cost": []}).executor == "ray"
    assert changed_settings(base, {"address": "auto", "executor": "serial"}).executor == "serial"
    assert changed_settings(base, {"address": None}).executor == "serial"


def test_a_search_within_limits_finds_what_one_without_them_finds(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """In a process of its own, which keeps to them; the flags go into the settings."""
    flags = ("--space", "nasnet:blocks=1", "--train-limit", 60, "--trials", 2, "--recipe-set", "epochs=1")
    size = ("--width", 4, "--depth", 1, "--final-recipe", "proxy", "--controller", "random")
    limits = ("--trial-seconds", 300, "--trial-memory", "6GB", "--max-failures", 3)
    for name, given in (("free", ()), ("limited", limits)):
        answer = cli("search", *flags, *size, *given, "--out", tmp_path / name)
        assert answer.code == 0, answer.err
    free, limited = (nas.load(tmp_path / name) for name in ("free", "limited"))
    config = limited.config
    assert (config.trial_seconds, config.trial_memory_bytes, config.max_failures) == (300, 6_000_000_000, 3)
    losses = [[record.measurement.metrics["val_loss"] for record in run.records] for run in (free, limited)]
    assert losses[0] == losses[1]
    assert not (tmp_path / "limited" / "checkpoints").exists()


def test_values_of_the_command_line_are_numbers_truths_lists_or_text() -> None:
    given = ["budgets=[2, 4,8]", "shares=[0.5]", "cutout=4", "flip=false", "name=cosine", "odd=[2,4"]
    assert parse_settings("--controller-set", given) == {
        "budgets": [2, 4, 8],
        "shares": [0.5],
        "cutout": 4,
        "flip": False,
        "name": "cosine",
        "odd": "[2,4",
    }
    with pytest.raises(InvalidInputError, match="--controller-set takes name=value, got 'budgets'"):
        parse_settings("--controller-set", ["budgets"])
