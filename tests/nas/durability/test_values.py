"""Values from files: what was written is read back, and anything else is one line or nothing at all, never a crash."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controllers.trial import STATUSES, Measurement, Objective, Record, Trial
from nas.errors import InvalidInputError
from nas.journal import FILE_NAME, Journal, read_journal
from nas.toml_text import toml_text
from nas.training.recipe import RECIPES, Recipe, get_recipe
from nas.training.runs.config import TrainingConfig
from search_spaces.architecture import STEMS, Architecture, Blueprint

QUICK = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Everything that Python's JSON reads: its numbers have no largest, and it knows NaN; texts may hold half of a pair.
texts = st.text(st.characters(categories=["L", "N", "P", "S", "Z", "Cc", "Cs"]), max_size=12)
numbers = st.integers() | st.floats() | st.just(10**400)
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
finite = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**6)


# ---------------------------------------------------------------------------------------- strategies of values

architectures = st.builds(Architecture, texts, st.lists(counts, max_size=6).map(tuple))
blueprints = st.builds(
    Blueprint,
    texts | architectures,
    resolution=st.integers(1, 1000),
    channels=st.integers(1, 5),
    classes=st.integers(1, 5000),
    stem=st.sampled_from(STEMS),
    depth=st.none() | st.integers(1, 50) | st.floats(0.01, 10),
    width=st.none() | st.floats(0.01, 1e3),
    auxiliary=st.booleans(),
    parts=st.dictionaries(texts, texts | st.booleans() | st.integers() | finite, max_size=3).map(
        lambda parts: tuple(parts.items())
    ),
)
trials = st.builds(
    lambda number, architecture, budget, parents, continued: Trial(
        number, architecture, budget, parents, number - 1 if continued and number else None
    ),
    counts,
    architectures,
    st.none() | st.integers(1, 1000),
    st.lists(counts, max_size=3).map(tuple),
    st.booleans(),
)
measurements = st.builds(
    Measurement, st.sampled_from(STATUSES), st.dictionaries(texts, finite | st.integers(), max_size=4), finite, texts
)
records = st.builds(Record, trials, measurements, st.integers(), texts, finite, st.none() | counts)
objectives = st.builds(
    Objective,
    texts,
    st.sampled_from(["maximize", "minimize"]),
    texts,
    st.none() | st.floats(1e-9, 1e12),
    st.floats(-2, 2),
)
recipes = st.builds(
    replace,
    st.sampled_from(list(RECIPES.values())),
    name=texts,
    epochs=st.integers(1, 10**6),
    learning_rate=st.floats(1e-9, 1e3),
    milestones=st.lists(st.floats(0.01, 0.99), max_size=3).map(tuple),
    label_smoothing=st.floats(0, 0.99),
    average=st.floats(0, 0.99),
    patience=counts,
)
VALUES: dict[str, tuple[Callable[[Any], Any], st.SearchStrategy[Any]]] = {
    "architecture": (Architecture.from_json, architectures),
    "blueprint": (Blueprint.from_json, blueprints),
    "trial": (Trial.from_json, trials),
    "measurement": (Measurement.from_json, measurements),
    "record": (Record.from_json, records),
    "objective": (Objective.from_json, objectives),
    "recipe": (Recipe.from_json, recipes),
}


@pytest.mark.parametrize("kind", VALUES)
def test_what_was_written_is_read_back(kind: str) -> None:
    read, values = VALUES[kind]

    @QUICK
    @given(values)
    def holds(value: Any) -> None:
        assert read(json.loads(json.dumps(value.to_json(), allow_nan=False))) == value

    holds()


@st.composite
def altered(draw: Any, values: st.SearchStrategy[Any]) -> Any:
    """The JSON of a value in which something was put in the place of something else, added or removed."""
    data = json.loads(json.dumps(draw(values).to_json()))
    place = data
    while True:
        key = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or draw(st.booleans()):
            break
        place = place[key]
    change = draw(st.sampled_from(["put", "put", "put", "add", "remove"]))
    if change == "remove":
        del place[key]
    else:
        place[key if change == "put" else draw(texts)] = draw(anything)
    return data


def assert_value_or_one_line(read: Callable[[Any], Any], data: Any) -> None:
    """Reading gives a value that is written and read back as itself, or one line of why not."""
    message = ""
    try:
        value = read(data)
    except InvalidInputError as error:
        message = str(error) or "empty\nmessage"
    if message:
        assert len(message.splitlines()) == 1
        return
    hash(value.trial.architecture if isinstance(value, Record) else 0)
    assert read(json.loads(json.dumps(value.to_json(), allow_nan=False))) == value


@pytest.mark.parametrize("kind", VALUES)
def test_anything_else_is_a_value_or_one_line(kind: str) -> None:
    read, values = VALUES[kind]

    @QUICK
    @given(anything | altered(values))
    def holds(data: Any) -> None:
        assert_value_or_one_line(read, data)

    holds()


# ------------------------------------------------------------------------------------------- settings of trainings

TRAINING = TrainingConfig("lenet-5", threads=1).to_json()


@QUICK
@given(st.sampled_from(sorted(TRAINING)), anything)
def test_settings_of_a_training_are_right_or_one_line(name: str, value: Any) -> None:
    assert_value_or_one_line(TrainingConfig.from_json, {**TRAINING, name: value})


@QUICK
@given(anything)
def test_settings_that_are_none_are_one_line(data: Any) -> None:
    assert_value_or_one_line(lambda one: TrainingConfig.from_json({"network": "", "threads": 1, **one})
                             if isinstance(one, dict) else TrainingConfig.from_json(one), data)  # fmt: skip


def test_settings_of_a_training_survive_toml(tmp_path: Path) -> None:
    config = TrainingConfig(
        "lenet-5",
        data_root="a \U0001f600 \\ud83d \x7f \t'\"",
        parts={"attention": "cbam", "dropblock": 0.1},
        recipe_changes={"epochs": 3, "nesterov": False, "milestones": [0.5, 0.75]},
        threads=1,
    )
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="ascii")
    assert TrainingConfig.from_toml(tmp_path / "config.toml") == config


unicode_texts = st.text(max_size=12)  # of whole characters, which is what TOML can hold
toml_scalars = unicode_texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
toml_values = (
    toml_scalars | st.lists(toml_scalars, max_size=3) | st.dictionaries(unicode_texts, toml_scalars, max_size=2)
)


@QUICK
@given(
    st.dictionaries(
        unicode_texts,
        toml_values | st.dictionaries(unicode_texts, toml_values, min_size=1, max_size=3),
        max_size=4,
    )
)
def test_settings_survive_toml(data: dict[str, Any]) -> None:
    import tomllib

    kept = {name: value for name, value in data.items() if value != {}}
    assert tomllib.loads(toml_text(data)) == kept


@pytest.mark.parametrize("value", ["\udcff", object(), [None]])
def test_what_toml_has_no_word_for_is_one_line(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="a setting must be"):
        toml_text({"name": value})


# --------------------------------------------------------------------------------------------------- journals


@QUICK
@given(st.lists(st.tuples(texts, st.dictionaries(texts, anything, max_size=3)), max_size=4))
def test_journals_keep_what_json_can_hold_and_refuse_the_rest(
    tmp_path_factory: pytest.TempPathFactory, events: list[Any]
) -> None:
    """What is refused leaves no trace, and what follows is kept."""
    folder = tmp_path_factory.mktemp("run")
    journal = Journal.create(folder, {"config": {}})
    kept = []
    for kind, data in events:
        if kind == "upgraded":
            continue
        try:
            journal.append(kind, data)
        except ValueError:
            assert not is_plain(data)
        else:
            assert is_plain(data)
            kept.append((kind, data))
    journal.close()
    content = read_journal(folder)
    assert [(event.kind, event.data) for event in content.events[1:]] == kept
    assert content.repair == ""
    assert all(json.loads(line) for line in (folder / FILE_NAME).read_bytes().splitlines())


def is_plain(value: Any) -> bool:
    """Whether JSON can hold a value."""
    if isinstance(value, dict):
        return all(is_plain(one) for one in value.values())
    if isinstance(value, list):
        return all(is_plain(one) for one in value)
    return not isinstance(value, float) or math.isfinite(value)


def test_recipes_are_found_by_name() -> None:
    with pytest.raises(InvalidInputError, match="recipe 'quick': learning_rate must be larger than 0, got nan"):
        get_recipe("quick").with_changes({"learning_rate": float("nan")})
