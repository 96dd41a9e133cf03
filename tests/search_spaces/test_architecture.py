"""The values: checked when made, equal when they mean the same, to JSON and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.errors import InvalidInputError, UnknownNameError

architectures = st.builds(
    Architecture, space=st.text(min_size=1, max_size=20), choices=st.lists(st.integers(0, 99), max_size=30).map(tuple)
)
sizes = st.integers(1, 2000)
blueprints = st.builds(
    Blueprint,
    network=st.one_of(architectures, st.text(min_size=1, max_size=20)),
    resolution=sizes,
    channels=sizes,
    classes=sizes,
    stem=st.sampled_from(["tiny", "cifar", "imagenet"]),
    depth=st.none() | st.floats(0.01, 100),
    width=st.none() | st.integers(1, 500),
    auxiliary=st.booleans(),
)


@given(architectures)
def test_architecture_survives_json(architecture: Architecture) -> None:
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


@given(blueprints)
def test_blueprint_survives_json(blueprint: Blueprint) -> None:
    assert Blueprint.from_json(json.loads(json.dumps(blueprint.to_json()))) == blueprint


@given(blueprints, st.sampled_from(["format", "network", "resolution", "stem"]))
def test_blueprint_with_a_missing_key_is_refused(blueprint: Blueprint, key: str) -> None:
    data = blueprint.to_json()
    del data[key]
    with pytest.raises(InvalidInputError, match=f"missing: {key}"):
        Blueprint.from_json(data)


def test_unknown_key_and_other_version_are_refused() -> None:
    data = Architecture("s", (1,)).to_json()
    with pytest.raises(InvalidInputError, match="unknown: extra"):
        Architecture.from_json({**data, "extra": 1})
    with pytest.raises(InvalidInputError, match="format 2 is not readable"):
        Architecture.from_json({**data, "format": 2})
    with pytest.raises(InvalidInputError, match="must be a JSON object"):
        Architecture.from_json([1])  # type: ignore[arg-type]


@pytest.mark.parametrize("choices", [(-1,), (1.0,), (True,), ("1",)])
def test_choices_are_indices(choices: tuple[object, ...]) -> None:
    with pytest.raises(InvalidInputError, match="option indices"):
        Architecture("s", choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [("resolution", 0), ("channels", 1.5), ("classes", True), ("depth", 0.0), ("width", float("nan"))],
)
def test_impossible_sizes_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=field):
        Blueprint("net", **{"resolution": 32, field: value})  # type: ignore[arg-type]


def test_unknown_stem_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="tiny"):
        Blueprint("net", 32, stem="small")  # type: ignore[arg-type]


def test_decision_needs_different_options() -> None:
    with pytest.raises(InvalidInputError, match="must differ"):
        Decision("kernel", (3, 5, 3))
    with pytest.raises(InvalidInputError, match="at least one option"):
        Decision("kernel", ())
    assert len(Decision("flag", (False, 0, 1, True))) == 4  # equal in Python, different as options


def test_complexities_add_up() -> None:
    assert Complexity(1, 10) + Complexity(2, 20) == Complexity(3, 30)


def test_unknown_name_suggests_the_nearest() -> None:
    error = UnknownNameError("space", "nasnt", ["nasnet", "darts"])
    assert str(error) == "unknown space 'nasnt'. Did you mean 'nasnet'? Known: darts, nasnet."
