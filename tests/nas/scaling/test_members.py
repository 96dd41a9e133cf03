"""Members of families: their MACs follow the law after rounding too."""

from __future__ import annotations

from itertools import pairwise

import pytest

import nas
from nas.errors import InvalidInputError
from nas.scaling.budgets import Budgets
from nas.scaling.dimensions import make_scaler
from nas.scaling.laws import make_law
from nas.scaling.members import Line, check_phis, nearest


def line(name: str, law: str = "compound") -> Line:
    scaler = make_scaler(nas.get_blueprint(name))
    return Line(scaler, make_law(law).holding(scaler.missing), name)


@pytest.mark.parametrize("name", ["nasnet-a-mobile", "nasnet-a-cifar-6@768", "efficientnet-b0"])
def test_macs_about_double_in_every_step(name: str) -> None:
    family = line(name)
    macs = [nearest_to_law(family, phi) for phi in range(8)]
    assert all(1.7 <= larger / smaller <= 2.3 for smaller, larger in pairwise(macs))


def nearest_to_law(family: Line, phi: float) -> int:
    """MACs of a member as `Line.at` takes it, without building it for its memory."""
    return family.scaler.count(family.blueprint_at(phi)).macs


def test_the_member_at_zero_is_the_base() -> None:
    member = line("efficientnet-b0").at(0)
    assert member.blueprint == nas.get_blueprint("efficientnet-b0")
    assert member.macs == member.intended_macs


def test_the_first_step_from_b0_is_nearly_b1() -> None:
    """The law says depth 1.2, for which every stage repeats once more; corrected, it is what was published."""
    member = line("efficientnet-b0").at(1)
    assert member.intended.depth == 1.2
    assert member.realised.depth == pytest.approx(1.1, abs=0.01)
    assert member.blueprint.resolution == 240


def test_fast_members_have_the_macs_of_compound_ones_and_are_wider() -> None:
    compound = line("efficientnet-b0").at(3)
    fast = line("efficientnet-b0", "fast").matching(compound)
    assert fast.macs == pytest.approx(compound.macs, rel=0.05)
    assert fast.realised.width > compound.realised.width
    assert fast.realised.resolution < compound.realised.resolution


def test_members_of_budgets_say_what_binds() -> None:
    member = line("mobilenet-v2").within(Budgets(macs=1e9, params=1e9))
    assert member.name == "mobilenet-v2-compound-macs1G-params1G"
    assert member.binds == "macs"
    assert member.to_json()["budgets"] == {"macs": 1e9, "params": 1e9}


def test_nearest_may_lie_above_or_below() -> None:
    scaler = make_scaler(nas.get_blueprint("mobilenet-v2"))
    blueprint = nearest(scaler, make_law("compound"), 1e9, phi=1.0)
    assert scaler.count(blueprint).macs == pytest.approx(1e9, rel=0.05)


def test_steps_beyond_reason_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="between -10 and 12"):
        check_phis([1.0, 40.0])
