"""The grid and the ablation: every point trained with every seed, nothing twice, and the choice as stated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from torchvision.ops import SqueezeExcitation

import nas
from controllers.trial import Measurement, Record, Trial
from nas.building import count_architecture
from nas.config import SearchConfig
from nas.data import load_data
from nas.errors import InvalidInputError, NASError
from nas.evaluators.training_evaluator import build_seeded
from nas.journal import read_journal
from nas.parts import Parts
from nas.scaling import grid as grid_module
from nas.scaling.dimensions import Scaler, make_scaler
from nas.scaling.grid import Enumeration, Point, PointSpace, TrainedPoint, summarize
from nas.scaling.laws import PUBLISHED, SINGLE, Coefficients
from nas.scaling.members import Accuracy
from nas.scaling.training import BAND, Training, ablation_points, choose, grid_points, train_grid, train_points
from nas.training.recipe import get_recipe
from nas.watching import Watcher
from search_spaces.architecture import Complexity


def scaler() -> Scaler:
    return make_scaler(nas.get_blueprint("darts-v2", input_shape=(1, 12, 12), classes=10, depth=2, width=8))


def points(count: int = 3) -> list[Point]:
    base = scaler().base
    return [Point(f"F {8 + i}", replace(base, width=8 + i)) for i in range(count)]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make trainings instant; return the widths that were trained, in order."""
    widths: list[int] = []

    def evaluate(self: grid_module.PointEvaluator, trial: Trial) -> Measurement:
        blueprint = self.space.point(trial.architecture).blueprint
        widths.append(int(blueprint.width or 0))
        return Measurement("ok", {"val_accuracy": 0.5 + 0.01 * widths[-1] + 0.001 * (trial.number % 2)}, seconds=1.0)

    monkeypatch.setattr(grid_module.PointEvaluator, "evaluate", evaluate)
    return widths


def test_all_points_come_seed_by_seed_and_then_nothing() -> None:
    space = PointSpace(points(2), seeds=2)
    controller = Enumeration(space, seed=5)
    assert [trial.architecture.choices for trial in controller.ask(9)] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert controller.ask() == []


def test_points_are_networks_of_a_space() -> None:
    space = PointSpace(points(), seeds=1)
    architecture = space.architecture((1, 0))
    blueprint = replace(space.points[1].blueprint, network=architecture)
    assert space.complexity(blueprint) == nas.complexity(space.points[1].blueprint)
    assert sum(p.numel() for p in space.build(blueprint).parameters()) == space.complexity(blueprint).params


def test_a_point_s_parts_are_put_in_once_and_those_that_look_at_images_see_them() -> None:
    parts = Parts(attention="se", initialization="lsuv")
    blueprint = nas.get_blueprint("resnet-18", input_shape=(1, 8, 8), classes=10, width=0.125, parts=parts)
    space, data = PointSpace([Point("with parts", blueprint)], seeds=1), load_data("digits").for_search()
    point = replace(blueprint, network=space.architecture((0, 0)))
    network = build_seeded(space, point, data=data, recipe=get_recipe("proxy"), seed=0)
    assert sum(isinstance(module, SqueezeExcitation) for module in network.modules()) == 8  # basic blocks
    assert count_architecture(space, point) == nas.complexity(blueprint)
    given: list[float] = []
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_hook(lambda layer, images, output: given.append(float(output.detach().var())))
    network.eval()(data.normalise(data.train.images[: get_recipe("proxy").batch_size]))
    assert given == [pytest.approx(1, abs=0.1)]


def test_points_that_round_to_one_network_are_trained_once(trained: list[int], tmp_path: Path) -> None:
    twins = [*points(2), Point("again F 8", points(1)[0].blueprint)]
    results = train_points(twins, Training(seeds=2), folder=tmp_path / "g", title="twins")
    assert sorted(trained) == [8, 8, 9, 9]
    assert results[2].accuracy == results[0].accuracy
    assert [point.accuracy.seeds for point in results if point.accuracy] == [2, 2, 2]


def test_a_stopped_training_goes_on_and_repeats_nothing(trained: list[int], tmp_path: Path) -> None:
    def stop(progress: object, record: Record | None) -> None:
        if len(trained) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_points(points(), Training(seeds=3, watcher=Watcher(progressed=stop)), folder=tmp_path, title="stopped")
    assert len(trained) == 4
    results = train_points(points(), Training(seeds=3), folder=tmp_path, title="stopped")
    assert sorted(trained) == [8] * 3 + [9] * 3 + [10] * 3
    assert all(point.accuracy and point.accuracy.seeds == 3 for point in results)
    told = [event.data["trial"]["number"] for event in read_journal(tmp_path).events if event.kind == "told"]
    assert told == list(range(9))


def test_more_seeds_are_added_and_fewer_refused(trained: list[int], tmp_path: Path) -> None:
    train_points(points(), Training(seeds=1), folder=tmp_path, title="seeds")
    results = train_points(points(), Training(seeds=2), folder=tmp_path, title="seeds")
    assert len(trained) == 6
    assert results[0].accuracy is not None
    assert results[0].accuracy.seeds == 2


@pytest.mark.parametrize(
    ("training", "others", "message"),
    [
        (Training(seeds=1), points(2), "other points"),
        (Training(SearchConfig(recipe="quick"), seeds=1), points(), "another recipe"),
        (Training(SearchConfig(seed=1), seeds=1), points(), "another recipe, seed"),
    ],
)
def test_another_training_is_refused(
    trained: list[int], tmp_path: Path, training: Training, others: list[Point], message: str
) -> None:
    train_points(points(), Training(seeds=1), folder=tmp_path, title="first")
    with pytest.raises(InvalidInputError, match=message):
        train_points(others, training, folder=tmp_path, title="second")


def test_mean_and_spread_are_of_the_seeds() -> None:
    space = PointSpace(points(1), seeds=3)
    records = [
        Record(Trial(i, space.architecture((0, i))), Measurement("ok", {"val_accuracy": value}))
        for i, value in enumerate((0.5, 0.6, 0.7))
    ]
    (point,) = summarize(space, records)
    assert point.accuracy == Accuracy(pytest.approx(0.6), pytest.approx(np.std([0.5, 0.6, 0.7], ddof=1)), 3)


def test_failed_trainings_leave_no_accuracy() -> None:
    space = PointSpace(points(1), seeds=1)
    (point,) = summarize(space, [Record(Trial(0, space.architecture((0, 0))), Measurement("diverged"))])
    assert point.accuracy is None


def trained_point(coefficients: Coefficients, mean: float, macs: int) -> TrainedPoint:
    point = Point(str(coefficients), scaler().base, "grid", coefficients)
    return TrainedPoint(point, Complexity(1, macs), Accuracy(mean, 0.0, 3))


def test_the_best_mean_is_chosen_then_the_fewest_macs_then_the_published_triple() -> None:
    depth, width = SINGLE["depth"], SINGLE["width"]
    assert choose([trained_point(depth, 0.9, 5), trained_point(width, 0.8, 1)]).point.coefficients == depth
    assert choose([trained_point(depth, 0.9, 5), trained_point(width, 0.9, 1)]).point.coefficients == width
    assert choose([trained_point(depth, 0.9, 5), trained_point(PUBLISHED, 0.9, 5)]).point.coefficients == PUBLISHED
    with pytest.raises(NASError, match="no point"):
        choose([])


def test_points_have_about_twice_the_macs_of_the_base() -> None:
    found = grid_points(scaler(), spacing=0.05)
    base = nas.complexity(scaler().base).macs
    assert len(found) > 10
    assert all(BAND[0] <= nas.complexity(point.blueprint).macs / base <= BAND[1] for point in found)


def test_multipliers_that_round_to_one_network_are_one_network() -> None:
    """16 filters times 1.05 are 16, and 3 repeats times 1.05 are 4, as they are times 1.3."""
    resnet = make_scaler(nas.get_blueprint("cifar-resnet-20", input_shape=(1, 28, 28), classes=10))
    found = {str(point.coefficients): point.blueprint for point in grid_points(resnet, spacing=0.05)}
    assert found["1.05,1.05,1.3"] == found["1.2,1,1.3"]
    assert found["1.05,1.05,1.3"] != found["1.1,1.1,1.2"]
    costs = {(blueprint.resolution, nas.complexity(blueprint)) for blueprint in found.values()}
    assert len(costs) == len(set(found.values())) < len(found) / 2


def test_a_base_too_small_for_a_grid_is_refused() -> None:
    tiny = make_scaler(nas.get_blueprint("lenet-5", input_shape=(1, 28, 28)))
    with pytest.raises(InvalidInputError, match=r"after rounding|keeps the constraint"):
        grid_points(tiny, spacing=0.5)


def test_the_ablation_compares_at_the_macs_of_depth_alone() -> None:
    found = {point.law: point.blueprint for point in ablation_points(scaler(), PUBLISHED, phis=[1.0])}
    assert set(found) == {"base", "depth", "width", "resolution", "compound", "fast"}
    base, level = found["base"], nas.complexity(found["depth"]).macs
    assert (found["depth"].width, found["depth"].resolution) == (base.width, base.resolution)
    assert (found["width"].depth, found["width"].resolution) == (base.depth, base.resolution)
    assert (found["resolution"].depth, found["resolution"].width) == (base.depth, base.width)
    assert all(
        nas.complexity(blueprint).macs == pytest.approx(level, rel=0.15)
        for law, blueprint in found.items()
        if law != "base"
    )


def test_a_point_is_trained_at_its_own_resolution(tmp_path: Path) -> None:
    """One real training of a point, twice with the same seed: the same accuracy."""
    larger = replace(scaler().base, resolution=10, depth=1, width=4)
    config = SearchConfig(train_limit=40, recipe_changes={"epochs": 1})
    results = [
        train_points([Point("one", larger)], Training(config, seeds=1), folder=tmp_path / name, title="one")
        for name in "ab"
    ]
    assert results[0] == results[1]
    header = json.loads((tmp_path / "a" / "journal.jsonl").read_text().splitlines()[0])
    assert header["data"]["data"]["name"] == "digits"


def test_a_grid_is_trained_and_chosen_from(trained: list[int], tmp_path: Path) -> None:
    found = train_grid(scaler(), Training(seeds=1, spacing=0.1), folder=tmp_path)
    best = choose(found)
    assert best.point.blueprint.width == max(point.point.blueprint.width or 0 for point in found)
