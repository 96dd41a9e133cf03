"""Controllers with their options, read off a line of text."""

from __future__ import annotations

from typing import Any

import pytest

from nas.benchmarking.controllers import read_controller, read_controllers, split_controllers
from nas.errors import InvalidInputError


def test_commas_inside_brackets_separate_options() -> None:
    text = "evolution(population=50,tournament=5), local,, asha:evolution(budgets=[12, 200])"
    assert split_controllers(text) == [
        "evolution(population=50,tournament=5)",
        "local",
        "asha:evolution(budgets=[12, 200])",
    ]


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("random", "random", {}),
        ("local()", "local", {}),
        ("evolution( population = 50 )", "evolution", {"population": 50}),
        ("rnn(algorithm=ppo,clip=0.1)", "rnn", {"algorithm": "ppo", "clip": 0.1}),
        ("optuna:tpe(multivariate=true)", "optuna:tpe", {"multivariate": True}),
        ("asha(budgets=[12,200])", "asha", {"budgets": [12, 200]}),
    ],
)
def test_name_and_options(text: str, name: str, options: dict[str, Any]) -> None:
    spec = read_controller(text)
    assert (spec.text, spec.name, spec.options) == (text, name, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("evolution(population=50", "in pairs"),
        ("evolution)population=50(", "in pairs"),
        ("evolution(population)", "option=value, got 'population'"),
        ("evolution(population=)", "option=value"),
        ("evolution(population=1,population=2)", "'population' twice"),
        ("evolution(population=1)x", "NAME or NAME"),
        ("two words", "NAME or NAME"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_controllers(split_controllers(text))


def test_the_same_controller_in_other_words_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="twice"):
        read_controllers(["evolution(population=50,tournament=5)", "evolution(tournament=5, population=50)"])
    assert len(read_controllers(["evolution", "evolution(population=50)"])) == 2
