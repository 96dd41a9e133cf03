"""`nas bench engine`: what it counts and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from nas.benchmarking.engine.results import EngineResult, Round, Side
from nas.training.clock import PHASES


def side(seconds: float, accuracies: tuple[float, ...], *, workers: int = 2) -> Side:
    phases = dict.fromkeys(PHASES, seconds * workers / 10)
    return Side(seconds, workers, phases, accuracies, steps=100)


def test_paces_and_shares() -> None:
    found = side(3.6, (0.5, 0.7))
    assert found.networks_per_hour == pytest.approx(2000)
    assert found.step_ms == pytest.approx(4 * 0.72 / 100 * 1000)
    assert found.shares()["idle"] == pytest.approx(0.4)
    assert sum(found.shares().values()) == pytest.approx(1)


def test_rounds_add_up() -> None:
    rounds = (
        Round(side(1.0, (0.5,)), side(3.0, (0.4,), workers=1)),
        Round(side(1.0, (0.7,)), side(5.0, (0.8,), workers=1)),
    )
    result = EngineResult("tiny", "cpu", rounds, (1, 2), again=(0.5, 0.6))
    assert result.ratios == (3.0, 5.0)
    ours = result.side("ours")
    assert ours is not None
    assert (ours.seconds, ours.accuracies, ours.steps) == (2.0, (0.5, 0.7), 200)
    assert result.difference() == pytest.approx((0.0, 0.1))
    assert result.seed_difference() == pytest.approx((0.05, 0.05))


def test_without_the_plain_loop_nothing_is_compared() -> None:
    result = EngineResult("tiny", "cpu", (Round(side(1.0, (0.5,)), None),), (1, 2))
    assert (result.ratios, result.difference(), result.side("plain")) == ((), None, None)


def test_the_command_trains_both_ways(cli: Callable[..., Any]) -> None:
    options = ("--executor", "serial", "--networks", 2, "--round-size", 1, "--epochs", 1, "--plain-threads", 1)
    answer = cli("bench", "engine", *options, "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert len(found["ratios"]) == 2
    for name in ("ours", "plain"):
        assert found[name]["networks"] == 2
        assert set(found[name]["shares"]) == {*PHASES, "idle"}
        assert all(0 <= accuracy <= 1 for accuracy in found[name]["val_accuracy"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--size", "huge"), "unknown stream 'huge'"),
        (("--executor", "dask"), "unknown executor 'dask'"),
        (("--networks", 0), "--networks must be at least 1, got 0"),
        (("--plain-threads", 0), "--plain-threads must be at least 1, got 0"),
        (("--workers", 0), "--workers must be at least 1, got 0"),
        (("--epochs", 0), "epochs"),
        (("--data", "nothing"), "nothing"),
        (("--device", "tpu"), "--device is cpu, cuda or cuda:N, got 'tpu'"),
    ],
)
def test_wrong_usage_is_one_line(options: tuple[Any, ...], said: str, cli: Callable[..., Any]) -> None:
    answer = cli("bench", "engine", "--executor", "serial", *options)
    assert answer.code == 2
    assert said in answer.err
    assert len(answer.err.strip().splitlines()) == 1
