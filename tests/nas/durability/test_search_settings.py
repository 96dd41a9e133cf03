"""Settings of searches from files: an unknown key, a wrong type, a number out of range is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nas.config import SearchConfig
from nas.errors import InvalidInputError, UnknownNameError

QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
DEFAULT = SearchConfig().to_json()
ON_TABLE = SearchConfig(table="t.npz", fidelities={3: "early", 9: "late"}, costs=("size",)).to_json()


def assert_settings_or_one_line(data: Any) -> None:
    """Settings that are kept and read back as themselves, or one line."""
    message = ""
    try:
        config = SearchConfig.from_json(data)
    except InvalidInputError as error:
        message = str(error) or "an empty\nmessage"
    if message:
        assert len(message.splitlines()) == 1
        return
    assert SearchConfig.from_json(json.loads(json.dumps(config.to_json(), allow_nan=False))) == config


@QUICK
@given(st.sampled_from([DEFAULT, ON_TABLE]), st.data())
def test_a_changed_setting_is_right_or_one_line(base: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(base)))
    value = data.draw(anything)
    if isinstance(base[name], dict) and base[name] and data.draw(st.booleans()):
        value = {**base[name], data.draw(st.sampled_from(sorted(base[name]))): value}
    assert_settings_or_one_line({**base, name: value})


@QUICK
@given(anything)
@example({"trials": 2.5})
@example({"trials": True})
@example({"objective": []})
@example({"constraints": {"max_params": "many"}})
@example({"costs": [1]})
@example({"max_seconds": float("inf")})
@example({"controller_options": {"rate": float("nan")}})
def test_anything_is_settings_or_one_line(data: Any) -> None:
    assert_settings_or_one_line(data)


WRONG_TYPES: dict[str, Any] = {
    "trials": 2.5, "seed": True, "threads": "1", "space": 5, "controller": 3, "data": [], "recipe": {},
    "gpus_per_worker": "half", "download": "no", "costs": 5, "fidelities": [1], "parts": [], "workers": "2",
    "controller_options": "a=1", "recipe_changes": None, "prior": 1,
    "objective": "val_accuracy", "constraints": 3, "stem": 1, "device": 0,
    "max_seconds": "1 h", "table": 7, "depth": float("nan"), "executor": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_wrong_type_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        SearchConfig.from_json({name: WRONG_TYPES[name]})
    assert len(str(error.value).splitlines()) == 1


OUT_OF_RANGE = {"trials": 0, "seed": -1, "threads": 0, "max_seconds": 0, "max_epochs": -3}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"--{name.replace('_', '-')} must be"):
        SearchConfig.from_json({name: OUT_OF_RANGE[name]})


@given(texts.filter(lambda name: name not in DEFAULT and name not in ON_TABLE))
def test_an_unknown_key_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownNameError, match="setting of a search"):
        SearchConfig.from_json({name: 1})


@QUICK
@given(
    texts, st.dictionaries(st.sampled_from(["a", "b c", "d.e"]), texts | st.integers() | st.lists(texts), max_size=3)
)
def test_settings_survive_toml(tmp_path_factory: pytest.TempPathFactory, text: str, options: dict[str, Any]) -> None:
    """A folder may have any name, and options any value that a command line can give."""
    config = SearchConfig(data_root=text, controller_options=options, recipe_changes={"epochs": 3})
    path = tmp_path_factory.mktemp("toml") / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert SearchConfig.from_toml(path) == config


@QUICK
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8")))
def test_a_file_that_holds_no_settings_is_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("toml") / "config.toml"
    path.write_bytes(content)
    message = ""
    try:
        SearchConfig.from_toml(path)
    except InvalidInputError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1


def test_a_file_that_is_missing_or_a_folder_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(InvalidInputError, match="cannot read settings from"):
            SearchConfig.from_toml(path)
