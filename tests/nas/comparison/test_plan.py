"""Who competes, at what size, and against which nets that nobody found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nas
from nas.comparison.competitors import find_entries
from nas.comparison.nulls import draw_random, plan_searches
from nas.comparison.plan import Plan, Terms, expected_cost, keep_plan, load_images, make_plan
from nas.config import SearchConfig
from nas.data import ImageData
from nas.errors import InvalidInputError
from nas.scaling.counting import count
from nas.screening import Constraints
from search_spaces.architecture import Architecture, Blueprint

CONFIG = SearchConfig(train_limit=100, recipe="quick")
PLAIN = Terms(seeds=2, random=0, random_search=0)


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_images(CONFIG)


def cell(**changes: Any) -> Blueprint:
    blueprint = nas.get_blueprint("darts-v2", input_shape=(1, 8, 8), classes=10, depth=1, width=4)
    return replace(blueprint, **changes)


def test_a_network_named_twice_is_trained_once(digits: ImageData) -> None:
    entries, notes = find_entries(["vgg-16", cell(), "vgg-d", cell()], digits, CONFIG)
    assert len(entries) == 2
    assert notes[0] == "vgg-d is the same network as vgg-16: it is trained once"
    assert len(notes) == 2


def test_networks_that_differ_have_labels_that_differ(digits: ImageData) -> None:
    entries, _ = find_entries([cell(), cell(width=8)], digits, CONFIG)
    first, second = (entry.competitor.label for entry in entries)
    assert second == f"{first} (2)"


def test_baselines_are_adapted_to_the_images(digits: ImageData) -> None:
    ((entry,), _) = find_entries(["resnet-18"], digits, CONFIG)
    blueprint = entry.competitor.blueprint
    assert (blueprint.channels, blueprint.resolution, blueprint.classes) == (1, 8, 10)
    assert entry.competitor.kind == "baseline"


def test_a_scaled_member_keeps_its_own_resolution(digits: ImageData, tmp_path: Path) -> None:
    file = tmp_path / "member.json"
    file.write_text(json.dumps(cell(resolution=12, classes=100, channels=3).to_json()))
    ((entry,), _) = find_entries([str(file)], digits, CONFIG)
    assert entry.competitor.label == "member"
    assert entry.competitor.blueprint == cell(resolution=12)
    assert entry.competitor.note == "sees images of 12 pixels"


def test_what_a_run_found_is_sized_as_in_the_run(found: Path, digits: ImageData) -> None:
    ((entry,), _) = find_entries([found], digits, CONFIG)
    blueprint = entry.competitor.blueprint
    assert (blueprint.depth, blueprint.width, blueprint.stem) == (1, 4, "tiny")
    assert blueprint.network == nas.load(found).ranked()[0].trial.architecture
    assert entry.run is not None


def test_networks_that_cannot_take_the_images_are_named(digits: ImageData) -> None:
    with pytest.raises(InvalidInputError, match="timm:levit_128s cannot compete on these images"):
        find_entries(["timm:levit_128s"], digits, CONFIG)


def test_data_without_test_images_are_refused(monkeypatch: pytest.MonkeyPatch, digits: ImageData) -> None:
    import torch

    from nas.comparison import plan

    empty = replace(digits, test_split=digits.test.select(torch.empty(0, dtype=torch.int64)))
    monkeypatch.setattr(plan, "load_data", lambda *names, **options: empty)
    with pytest.raises(InvalidInputError, match="no test images with labels"):
        make_plan(["lenet-5"], PLAIN, CONFIG)


def test_equal_macs_are_those_of_the_first_and_nobody_has_more() -> None:
    plan = make_plan([cell(width=12), "cifar-resnet-20"], replace(PLAIN, equal_macs="first", random=1), CONFIG)
    first, *others = [one.cost.macs for one in plan.competitors]
    assert first == count(cell(width=12)).macs
    assert all(0.5 * first < macs <= first for macs in others)
    assert all(one.blueprint.resolution == 8 for one in plan.competitors)


def test_a_network_that_cannot_be_scaled_is_named() -> None:
    with pytest.raises(InvalidInputError, match="--equal-macs cannot scale cifar-resnet-20"):
        make_plan(["cifar-resnet-20"], replace(PLAIN, equal_macs=1000.0), CONFIG)


def test_a_smaller_network_that_cannot_be_scaled_competes_as_it_is() -> None:
    plan = make_plan([cell(width=12), "lenet-5"], replace(PLAIN, equal_macs="first", random=0), CONFIG)
    assert plan.competitors[1].cost == count(nas.get_blueprint("lenet-5", classes=10, input_shape=(1, 8, 8)))
    assert any(" to 100%" in note for note in plan.notes)


def test_all_smaller_hand_designed_networks_come_along(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.comparison import plan as plan_module

    some = ["resnet-18", "lenet-5", "cifar-plain-20", "cifar-resnet-32", "lenet-5-modern", "cifar-resnet-20"]
    monkeypatch.setattr(plan_module, "names", lambda: some)  # counting all of them takes 12 s
    plan = make_plan(["cifar-resnet-20"], replace(PLAIN, include_smaller=True), CONFIG)
    labels = {one.label for one in plan.competitors}
    assert labels == {"cifar-resnet-20", "cifar-plain-20", "lenet-5", "lenet-5-modern"}
    assert "3 hand-designed networks" in plan.notes[0]


def test_random_architectures_keep_size_and_constraints(found: Path, digits: ImageData) -> None:
    (entries, _) = find_entries([found], digits, CONFIG)
    (entry,) = entries
    assert entry.search is not None
    bound = entry.competitor.cost.macs
    bounded = replace(entry, search=replace(entry.search, constraints=Constraints(max_macs=bound)))
    drawn = draw_random([bounded], each=4, seed=0)
    assert len({one.identity for one in [*drawn, entry.competitor]}) == 5
    for one in drawn:
        assert isinstance(one.blueprint.network, Architecture)
        assert replace(one.blueprint, network=entry.competitor.blueprint.network) == entry.competitor.blueprint
        assert one.cost.macs <= bound
        assert one.group == "random architecture of nasbench201 (4 drawn)"
    assert drawn == draw_random([bounded], each=4, seed=0)
    assert drawn != draw_random([bounded], each=4, seed=1)


def test_one_space_at_two_sizes_gives_two_groups(digits: ImageData) -> None:
    (entries, _) = find_entries([cell(), cell(width=8)], digits, CONFIG)
    assert len({one.group for one in draw_random(entries, each=2, seed=0)}) == 2


def test_hand_designed_networks_have_no_random_ones(digits: ImageData) -> None:
    (entries, _) = find_entries(["lenet-5"], digits, CONFIG)
    assert draw_random(entries, each=3, seed=0) == []


def test_random_search_has_the_settings_and_trials_of_the_run(found: Path, digits: ImageData) -> None:
    (entries, _) = find_entries([found, "lenet-5"], digits, CONFIG)
    (search,) = plan_searches(entries, trials=None, config=CONFIG)
    config = nas.load(found).config
    assert search.config.trials == 2
    for name in ("data", "train_limit", "recipe", "recipe_changes", "constraints", "depth", "width", "objective"):
        assert getattr(search.config, name) == getattr(config, name)
    assert plan_searches(entries, trials=0, config=CONFIG) == []
    assert plan_searches(entries, trials=9, config=CONFIG)[0].config.trials == 9


def test_a_plan_goes_to_json_and_back(found: Path) -> None:
    plan = make_plan([found, "lenet-5"], Terms(random=1, random_search=2), CONFIG, command="nas compare")
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="something else"):
        keep_plan(make_plan(["lenet-5"], PLAIN, CONFIG), tmp_path)


def test_the_cost_is_said_first(digits: ImageData) -> None:
    lines = expected_cost(make_plan(["lenet-5"], PLAIN, CONFIG), digits)
    images = len(digits.train) + len(digits.validation)
    macs = count(nas.get_blueprint("lenet-5", classes=10, input_shape=(1, 8, 8))).macs
    assert lines[0].startswith(f"1 networks on digits, 2 trainings of {images} images")
    assert f"80 network-epochs, about {macs * 80 * images * 3:.2g} MACs" in lines[1]
