"""Controllers by name, and their options."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

import controllers
from controllers import CONTROLLERS, describe_controller, make_controller
from search_spaces.errors import InvalidInputError, UnknownNameError


def test_every_controller_has_a_line_of_description() -> None:
    for name in CONTROLLERS:
        assert 10 < len(describe_controller(name)) < 80


def test_every_public_name_can_be_loaded() -> None:
    assert all(getattr(controllers, name) is not None for name in controllers.__all__)


@pytest.mark.parametrize("name", ["evolutoin", "", "Evolution"])
def test_unknown_names_are_refused_with_the_known(name: str, tables: ModuleType) -> None:
    with pytest.raises(
        UnknownNameError,
        match=r"unknown controller .*Known: asha, evolution, halving, hyperband, local, nsga2, optuna:gp, .*random",
    ):
        make_controller(name, tables.TableSpace())
    with pytest.raises(UnknownNameError, match="unknown controller"):
        describe_controller(name)


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_the_algorithms_of_rnn_are_controllers_too(algorithm: str, tables: ModuleType) -> None:
    def architectures(name: str, options: dict[str, Any]) -> list[Any]:
        space = tables.TableSpace()
        controller = make_controller(name, space, options=options)
        return [record.trial.architecture for record in tables.run(controller, tables.by_table(space), 20)]

    assert architectures(algorithm, {"hidden": 16}) == architectures("rnn", {"hidden": 16, "algorithm": algorithm})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("random", {"population": 3}, "'random' takes no options, got population"),
        (
            "evolution",
            {"populaton": 3},
            "unknown option of controller 'evolution' 'populaton'. Did you mean 'population'",
        ),
        ("evolution", {"population": "30"}, "option 'population' .* must be a whole number, got '30'"),
        ("evolution", {"population": 30.0}, "option 'population' .* must be a whole number, got 30.0"),
        ("evolution", {"population": True}, "option 'population' .* must be a whole number, got True"),
        ("evolution", {"population": 5}, "tournament 10 and population 5"),
        ("rnn", {"learning_rate": "fast"}, "option 'learning_rate' .* must be a number, got 'fast'"),
        ("rnn", {"algorithm": "dqn"}, "unknown algorithm of controller 'rnn' 'dqn'"),
        ("rnn", {"algorithm": 3}, "option 'algorithm' .* must be a word, got 3"),
        ("asha", {}, "needs the option 'budgets'"),
        ("asha:asha", {"budgets": [1, 3]}, "halves twice"),
        ("asha", {"budgets": [1, 3], "populaton": 3}, "unknown option of controller 'evolution'"),
        ("ppo", {"algorithm": "reinforce"}, "'ppo' takes no option 'algorithm'"),
    ],
)
def test_options_are_checked(name: str, options: dict[str, Any], message: str, tables: ModuleType) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make_controller(name, tables.TableSpace(), options=options)


def test_a_whole_number_is_a_number(tables: ModuleType) -> None:
    assert make_controller("rnn", tables.TableSpace(), options={"learning_rate": 1}).ask()
