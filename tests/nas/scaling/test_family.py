"""`scale`: from a run, a blueprint or a name to members, their files, and what was trained for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nas
from controllers.trial import Measurement, Trial
from nas.errors import InvalidInputError, UnknownNameError
from nas.scaling import grid as grid_module
from nas.scaling.budgets import Budgets
from nas.scaling.family import scale, spread_budgets
from search_spaces.architecture import Blueprint

CELL = nas.get_blueprint("nasnet-a", input_shape=(1, 12, 12), classes=10, depth=2, width=8)


@pytest.fixture
def _instant(monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(self: grid_module.PointEvaluator, trial: Trial) -> Measurement:
        macs = nas.complexity(self.space.point(trial.architecture).blueprint).macs
        return Measurement("ok", {"val_accuracy": 0.5 + macs / 1e9})

    monkeypatch.setattr(grid_module.PointEvaluator, "evaluate", evaluate)


def test_a_member_per_budget() -> None:
    family = scale(CELL, budgets={"macs": [5e6, 20e6]})
    macs = [member.macs for member in family.members]
    assert all(0.9 * budget < found <= budget for found, budget in zip(macs, (5e6, 20e6), strict=True))
    assert [nas.complexity(member.blueprint).macs for member in family.members] == macs
    assert family.folder is None


def test_steps_of_phi_from_smaller_to_larger() -> None:
    family = scale("resnet-18", phi=[-1, 1], coefficients="1.2,1.1,1.15")
    smaller, larger = family.members
    assert smaller.macs < family.base.macs < larger.macs
    assert family.base.blueprint == nas.get_blueprint("resnet-18")


def test_published_coefficients_are_said_to_be_so() -> None:
    assert any("as published" in note for note in scale(CELL, phi=[1]).notes)
    assert not any("as published" in note for note in scale(CELL, phi=[1], coefficients=(1.2, 1.1, 1.15)).notes)


def test_missing_dimensions_are_said() -> None:
    family = scale("alexnet", phi=[1])
    assert family.notes[0] == "it has no depth to be scaled: held at 1"
    assert family.members[0].to_json()["depth"] == 1


def test_both_laws_stand_side_by_side_at_the_same_macs() -> None:
    family = scale("efficientnet-b0", phi=[2, 3], law="both")
    assert [member.law for member in family.members] == ["compound", "compound", "fast", "fast"]
    for compound, fast in zip(family.members[:2], family.members[2:], strict=True):
        assert fast.macs == pytest.approx(compound.macs, rel=0.05)


def test_members_are_blueprint_files(tmp_path: Path) -> None:
    family = scale(CELL, budgets={"macs": 5e6, "params": 1e5}, out=tmp_path)
    (member,) = family.members
    path = family.file_of(member)
    assert path is not None
    assert Blueprint.from_json(json.loads(path.read_text())) == member.blueprint
    table = json.loads((tmp_path / "scaling.json").read_text())
    assert table["members"][0]["macs"] == member.macs
    again = scale(path, phi=[0])
    assert again.base.blueprint == member.blueprint


@pytest.mark.usefixtures("_instant")
def test_with_data_the_coefficients_are_searched_for(tmp_path: Path) -> None:
    family = scale("nasnet-a", data="digits", resolution=12, depth=2, phi=[1], seeds=2, spacing=0.1, out=tmp_path)
    assert len(family.grid) > 5
    best = max(point.accuracy.mean for point in family.grid if point.accuracy)
    chosen = [point for point in family.grid if point.point.coefficients == family.coefficients]
    assert chosen[0].accuracy is not None
    assert chosen[0].accuracy.mean == best
    assert {point.point.law for point in family.ablation} == {
        "base",
        "depth",
        "width",
        "resolution",
        "compound",
        "fast",
    }
    networks = {point.point.blueprint for point in family.ablation}
    said = [note for note in family.notes if "rounds to the network of" in note]
    assert len(said) == len(family.ablation) - len(networks) > 0
    assert family.base.accuracy is not None
    assert (tmp_path / "ablation.svg").stat().st_size > 1000
    assert family.base.blueprint.channels == 1
    assert family.base.blueprint.resolution == 12


def test_a_run_s_best_network_is_scaled(tmp_path: Path) -> None:
    run = nas.search(
        data="digits",
        trials=1,
        train_limit=64,
        recipe_changes={"epochs": 1},
        final_recipe="proxy",
        out=tmp_path / "r",
    )
    macs = run.final["macs"]
    families = [scale(source, budgets={"macs": 3 * macs}) for source in (run, run.best, tmp_path / "r")]
    assert len({family.members[0].blueprint for family in families}) == 1
    assert 2.6 * macs < families[0].members[0].macs <= 3 * macs


OWN = """
from torch import nn

class Net:
    decisions = {"width": [8, 16]}

    def build(self, width, channels, classes):
        layers = nn.Conv2d(channels, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)
        return nn.Sequential(*layers)
"""


def test_a_network_of_one_s_own_code_is_scaled_in_resolution_and_its_file_kept(tmp_path: Path) -> None:
    (tmp_path / "scaled_net.py").write_text(OWN)
    space = nas.as_space(f"{tmp_path}/scaled_net.py:Net")
    blueprint = Blueprint(space.architecture([0]), 20, classes=10)
    family = scale(blueprint, phi=[1], out=tmp_path / "f")
    assert family.members[0].blueprint.resolution > 20
    assert [note.split()[3] for note in family.notes[:2]] == ["depth", "width"]
    assert (tmp_path / "f" / "members" / "space").is_dir()


def test_budgets_are_spread_over_members() -> None:
    spread = spread_budgets({"macs": [1e6, 2e6], "params": 5})
    assert spread == [Budgets(macs=1e6, params=5), Budgets(macs=2e6, params=5)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"budgets": {"flops": 1}}, UnknownNameError, "macs"),
        ({"budgets": {"macs": [1e6, 2e6], "params": [1, 2, 3]}}, InvalidInputError, "contradict"),
        ({"budgets": {"macs": 10}}, InvalidInputError, "smallest"),
        ({"law": "slow"}, UnknownNameError, "compound"),
        ({"coefficients": "2,2,2"}, InvalidInputError, "which gives 32"),
        ({"phi": [99]}, InvalidInputError, "phi"),
        ({"data": "digits", "classes": 3}, InvalidInputError, "10 classes"),
        ({"data": "digits", "seeds": 0}, InvalidInputError, "--seeds"),
        ({"trails": 3}, TypeError, "trails"),
    ],
)
def test_bad_input_is_refused(
    arguments: dict[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        scale(CELL, **{"out": tmp_path, **arguments})  # type: ignore[arg-type]
    assert not (tmp_path / "members").exists()


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    for network, message in (
        ("nasnet-a", "--input"),
        ("nope", "unknown"),
        ("no/such.json", "no such file"),
        (str(tmp_path / "bad.json"), "holds no blueprint"),
        (3, "can be scaled"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            scale(network)  # type: ignore[arg-type]
