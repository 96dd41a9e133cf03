"""Scaling laws: coefficients, their constraint, and what dimensions a network lacks."""

from __future__ import annotations

import math

import pytest

from nas.errors import InvalidInputError, UnknownNameError
from nas.scaling.laws import (
    DIMENSIONS,
    EFFICIENTNETS,
    FAST,
    PUBLISHED,
    SINGLE,
    TOLERANCE,
    Coefficients,
    Factors,
    Law,
    grid_coefficients,
    make_law,
    parse_coefficients,
)


def test_factors_are_powers_of_the_coefficients() -> None:
    law = make_law("compound")
    assert law.factors(0) == Factors(1, 1, 1)
    assert law.factors(3) == Factors(1.2**3, 1.1**3, 1.15**3)
    assert law.factors(-1).depth == pytest.approx(1 / 1.2)
    assert law.growth == pytest.approx(1.2 * 1.1**2 * 1.15**2)


def test_fast_scaling_doubles_macs_and_spends_most_on_width() -> None:
    """Dollar 2021: depth, width^2 and resolution^2 get a tenth, eight tenths and a tenth of the growth."""
    assert FAST.growth == pytest.approx(2)
    shares = [math.log2(FAST.depth), 2 * math.log2(FAST.width), 2 * math.log2(FAST.resolution)]
    assert shares == pytest.approx([0.1, 0.8, 0.1])


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_single_dimensions_double_macs_alone(dimension: str) -> None:
    coefficients = SINGLE[dimension]  # type: ignore[index]
    assert coefficients.growth == pytest.approx(2)
    assert [name for name in DIMENSIONS if getattr(coefficients, name) > 1] == [dimension]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.2,1.1", "three numbers"),
        ("1.2,a,1.1", "three numbers"),
        ("1.5,1.5,1.5", "which gives 7.594"),
        ("1.0,1.1,1.15", "depth 1.25 keeps it"),
        ("0.9,1.2,1.2", "numbers >= 1"),
        ("nan,1,1", "numbers >= 1"),
    ],
)
def test_coefficients_that_break_the_constraint_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_coefficients(text)


def test_coefficients_survive_text_and_json() -> None:
    assert parse_coefficients(str(PUBLISHED)) == PUBLISHED == Coefficients.from_json(PUBLISHED.to_json())


def test_the_grid_keeps_the_constraint_and_holds_the_published_triple() -> None:
    grid = grid_coefficients()
    assert PUBLISHED in grid
    assert len(set(grid)) == len(grid) == 109
    assert all(abs(triple.growth - 2) <= TOLERANCE for triple in grid)


def test_the_grid_of_a_network_without_depth_holds_it_at_one() -> None:
    grid = grid_coefficients(held=["depth"])
    assert grid
    assert {triple.depth for triple in grid} == {1}


def test_a_grid_needs_a_sensible_spacing() -> None:
    for spacing in (0.0, 2.0):
        with pytest.raises(InvalidInputError, match="spacing"):
            grid_coefficients(spacing=spacing)


def test_what_is_missing_is_held_at_one() -> None:
    law = make_law("compound").holding(["depth"])
    assert law.factors(4) == Factors(1, 1.1**4, 1.15**4)
    assert law.growth == pytest.approx(1.1**2 * 1.15**2)


def test_a_law_with_nothing_left_to_grow_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="scales depth, and this network has no such thing"):
        Law("depth", SINGLE["depth"]).holding(["depth"])


def test_unknown_laws_are_named() -> None:
    with pytest.raises(UnknownNameError, match="compound"):
        make_law("compund")


def test_the_published_family_ends_at_600_pixels() -> None:
    assert EFFICIENTNETS["efficientnet-b7"].resolution * 224 == pytest.approx(600)
