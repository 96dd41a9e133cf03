"""What depth, width and resolution are of networks, and how factors of them are rounded."""

from __future__ import annotations

from dataclasses import replace

import pytest

import nas
from nas.errors import InvalidInputError
from nas.scaling import dimensions
from nas.scaling.dimensions import make_scaler
from nas.scaling.laws import EFFICIENTNETS, Factors
from search_spaces.architecture import Blueprint

PARAMS = (5_288_548, 7_794_184, 9_109_994, 12_233_232, 19_341_616, 30_389_784, 43_040_704, 66_347_960)


@pytest.mark.parametrize(("name", "params"), [*zip(EFFICIENTNETS, PARAMS, strict=True)])
def test_b0_scaled_by_the_published_factors_is_the_family(name: str, params: int) -> None:
    scaler = make_scaler(nas.get_blueprint("efficientnet-b0"))
    member = scaler.member(EFFICIENTNETS[name])
    assert scaler.count(member).params == params
    assert scaler.count(member) == nas.complexity(nas.get_blueprint(name))


def test_factors_of_one_give_the_base() -> None:
    for name in ("nasnet-a-mobile", "resnet-18", "lenet-5"):
        scaler = make_scaler(nas.get_blueprint(name))
        assert scaler.member(Factors()) == scaler.base


@pytest.mark.parametrize("factor", [0.2, 0.7, 1.05, 1.3, 2.9])
def test_cells_are_rounded_by_the_rules(factor: float) -> None:
    """N is rounded up; F to a multiple of 4 for the imagenet stem, and never below 90 % of what was wanted."""
    base = nas.get_blueprint("nasnet-a-mobile")
    member = make_scaler(base).member(Factors(factor, factor, factor))
    assert member.depth is not None
    assert member.width is not None
    assert 4 * factor <= member.depth < 4 * factor + 1
    assert member.width % 4 == 0
    assert 0.9 * 44 * factor <= member.width <= max(8, 44 * factor + 4)
    assert member.resolution % 2 == 0 or member.resolution < 64
    assert nas.complexity(member).macs > 0


def test_what_networks_lack_is_found() -> None:
    missing = {name: make_scaler(nas.get_blueprint(name)).missing for name in ("resnet-18", "alexnet", "lenet-5")}
    assert missing == {"resnet-18": (), "alexnet": ("depth",), "lenet-5": ("depth", "width")}


def test_sizes_that_a_network_refuses_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_multiples_of_32(blueprint: Blueprint, folder: object = None) -> object:
        if blueprint.resolution % 32:
            raise InvalidInputError("multiples of 32")
        return nas.complexity(blueprint)

    base = nas.get_blueprint("resnet-18")
    scaler = make_scaler(base)
    monkeypatch.setattr(dimensions, "count", only_multiples_of_32)
    assert scaler.member(Factors(resolution=1.2)).resolution == 256
    assert scaler.member(Factors(resolution=1.0)).resolution == 224


def test_a_network_without_dimensions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimensions, "_has_resolution", lambda base, folder: False)
    with pytest.raises(InvalidInputError, match="no depth, no width and no resolution"):
        make_scaler(replace(nas.get_blueprint("lenet-5"), classes=9))


def test_the_smallest_member_is_small_and_can_be_counted() -> None:
    scaler = make_scaler(nas.get_blueprint("nasnet-a-mobile"))
    assert (scaler.smallest.depth, scaler.smallest.width, scaler.smallest.resolution) == (1, 8, 56)
    assert scaler.count(scaler.smallest).macs < scaler.count(scaler.base).macs / 100


def test_realised_factors_are_those_after_rounding() -> None:
    scaler = make_scaler(nas.get_blueprint("nasnet-a-mobile"))
    assert scaler.factors_of(scaler.member(Factors(1.2, 1.1, 1.15))) == Factors(5 / 4, 48 / 44, 258 / 224)
