"""Comparisons from end to end: everything is trained once, tested once, and told."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import nas
import nas.commands.compare  # registers the command
from nas.comparison import testing
from nas.comparison.comparing import compare, resume_comparison
from nas.comparison.results import Comparison, read_comparison
from nas.errors import InvalidInputError, NASError, UnknownNameError
from nas.journal import read_journal
from nas.watching import Watcher
from tests.nas.comparison.conftest import QUICK


def carry_out(networks: list[Any], folder: Path, **changes: Any) -> Comparison:
    return compare(networks, out=folder, **{**QUICK, "seeds": 2, **changes})


def kinds(folder: Path) -> list[str]:
    return [event.kind for event in read_journal(folder).events]


def test_two_baselines_side_by_side(tmp_path: Path) -> None:
    result = carry_out(["lenet-5", "lenet-5-modern"], tmp_path / "c", measure=True)
    assert {row.label for row in result.rows} == {"lenet-5", "lenet-5-modern"}
    best, other = result.rows
    assert result.best is best
    assert best.difference is None
    assert other.difference is not None
    assert best.top1 is not None
    assert other.top1 is not None
    assert best.top1.mean >= other.top1.mean
    assert other.difference.accuracy == pytest.approx(other.top1.mean - best.top1.mean)
    for row in result.rows:
        assert len(row.accuracies) == 2
        assert row.costs is not None
        assert row.costs.latency_64_ms is not None
        assert row.params == nas.complexity(row.blueprint).params if row.blueprint else False
    assert sorted(path.name for path in (tmp_path / "c" / "weights").iterdir()) == [
        f"{i}.safetensors" for i in range(4)
    ]


@pytest.mark.parametrize("views", [{}, {"flip_test": True}, {"test_crops": 10}])
def test_weights_in_the_folder_score_what_the_table_says(tmp_path: Path, views: dict[str, Any]) -> None:
    """Measured as the recipe says, by mirror images or ten crops."""
    from nas.comparison.training import read_network
    from nas.data import load_data
    from nas.data.image_data import merge_train_validation
    from nas.training.measuring import measure_accuracy

    changes = {"epochs": 3, "learning_rate": 0.02, **views}
    result = carry_out(["lenet-5-modern"], tmp_path / "c", seeds=1, recipe_changes=changes)
    (row,) = result.rows
    assert row.blueprint is not None
    data = merge_train_validation(load_data("digits", train_limit=100))
    network = read_network(row.blueprint, tmp_path / "c" / "weights" / "0.safetensors", None)
    asked = {"mirrored": "flip_test" in views, "crops": views.get("test_crops", 1)}
    assert measure_accuracy(network, data, data.test, **asked).share == row.accuracies[0]
    assert ("Each test image" in (tmp_path / "c" / "report.html").read_text()) == bool(views)


def test_memory_that_ends_halves_the_parts_of_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that takes 10 images at once; the batch, and so what is compared, stays; the table says so."""
    from nas.training.step import TrainingStep

    loss = TrainingStep._loss

    def small_card(training: TrainingStep, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if len(images) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return loss(training, images, labels)

    expected = carry_out(["lenet-5"], tmp_path / "large", recipe_changes={"epochs": 2, "batch_size": 32})
    monkeypatch.setattr(TrainingStep, "_loss", small_card)
    result = carry_out(["lenet-5"], tmp_path / "small", recipe_changes={"epochs": 2, "batch_size": 32})
    assert result.rows[0].note == "its batches were computed in up to 4 parts, for the memory there was"
    assert not result.rows[0].failures
    assert result.rows[0].accuracies == pytest.approx(expected.rows[0].accuracies, abs=0.01)


def test_test_images_are_looked_at_once_behind_all_trainings(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    carry_out(["lenet-5", "lenet-5-modern"], folder)
    events = kinds(folder)
    assert events.count("tested") == 4
    assert max(i for i, kind in enumerate(events) if kind == "told") < events.index("tested")


def test_again_nothing_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "c"
    before = carry_out(["lenet-5", "lenet-5-modern"], folder)
    events = kinds(folder)
    monkeypatch.setattr(testing, "look_at_test", None)  # whoever calls it fails
    again = carry_out(["lenet-5", "lenet-5-modern"], folder)
    assert kinds(folder) == events
    assert again.rows == before.rows


def test_a_stopped_comparison_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = carry_out(["lenet-5", "lenet-5-modern"], tmp_path / "whole")

    def stop(progress: Any, record: Any) -> None:
        if progress.evaluated == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(["lenet-5", "lenet-5-modern"], tmp_path / "c", watcher=Watcher(progressed=stop))
    assert "tested" not in kinds(tmp_path / "c")
    assert "1 trainings are missing" in " ".join(read_comparison(tmp_path / "c").notes)
    resumed = resume_comparison(tmp_path / "c")
    assert [row.accuracies for row in resumed.rows] == [row.accuracies for row in whole.rows]
    assert kinds(tmp_path / "c").count("told") == 4


def test_more_seeds_are_added_to_those_there_are(tmp_path: Path) -> None:
    before = carry_out(["lenet-5"], tmp_path / "c", seeds=1)
    assert before.rows[0].top1 is not None
    assert before.rows[0].top1.std is None
    assert any("no spread" in note for note in before.notes)
    after = carry_out(["lenet-5"], tmp_path / "c", seeds=3)
    assert after.rows[0].accuracies[:1] == before.rows[0].accuracies
    assert kinds(tmp_path / "c").count("tested") == 3
    with pytest.raises(InvalidInputError, match="3 seeds a network, got --seeds 2"):
        carry_out(["lenet-5"], tmp_path / "c", seeds=2)


def test_another_comparison_is_refused_in_the_same_folder(tmp_path: Path) -> None:
    carry_out(["lenet-5"], tmp_path / "c", seeds=1)
    with pytest.raises(InvalidInputError, match="other networks"):
        carry_out(["lenet-5-modern"], tmp_path / "c", seeds=1)
    with pytest.raises(InvalidInputError, match="other settings"):
        carry_out(["lenet-5"], tmp_path / "c", seeds=1, seed=5)


def test_failures_are_told_and_do_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.comparison import training
    from nas.errors import DivergedError

    real = training.build_for_training

    def fail(point: Any, data: Any, **arguments: Any) -> Any:
        if point.label == "lenet-5-modern":
            raise DivergedError("the training loss became nan")
        return real(point, data, **arguments)

    monkeypatch.setattr(training, "build_for_training", fail)
    result = carry_out(["lenet-5", "lenet-5-modern"], tmp_path / "c")
    failed = result.rows[-1]
    assert failed.label == "lenet-5-modern"
    assert failed.top1 is None
    assert failed.failures == tuple(f"seed {i}: diverged: the training loss became nan" for i in range(2))
    assert result.best.label == "lenet-5"
    assert "became nan" in (tmp_path / "c" / "report.html").read_text()


def test_a_comparison_in_which_all_failed_has_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.comparison import training

    monkeypatch.setattr(training, "build_for_training", None)
    result = carry_out(["lenet-5"], tmp_path / "c")
    assert result.rows[0].failures
    with pytest.raises(NASError, match="no network"):
        _ = result.best
    assert "No network could be trained" in (tmp_path / "c" / "report.html").read_text()


def test_a_run_meets_random_architectures_and_random_search(found: Path, tmp_path: Path) -> None:
    result = carry_out([found, "lenet-5"], tmp_path / "c", random=2, random_search=None)
    labels = {row.label: row for row in result.rows}
    assert labels["found"].kind == "found"
    group = labels["random architecture of nasbench201 (2 drawn)"]
    assert group.networks == 2
    assert len(group.accuracies) == 2
    search = nas.load(tmp_path / "c" / "random-search")
    assert search.config.controller == "random"
    assert search.config.trials == 2
    assert search.config.seed != nas.load(found).config.seed
    winner = next(row for row in result.rows if row.kind == "random search")
    assert winner.blueprint is not None
    assert winner.blueprint.network == search.ranked()[0].trial.architecture
    assert labels["found"].blueprint is not None
    assert winner.blueprint.width == labels["found"].blueprint.width == 4
    assert result.spent.searched_epochs == 2


def test_a_comparison_that_was_stopped_in_its_random_search_goes_on(found: Path, tmp_path: Path) -> None:
    def stop(progress: Any, record: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out([found], tmp_path / "c", seeds=1, random_search=2, watcher=Watcher(progressed=stop))
    assert len(nas.load(tmp_path / "c" / "random-search").records) == 1
    result = resume_comparison(tmp_path / "c", executor="serial")
    assert "found" in {row.label for row in result.rows}
    assert len(nas.load(tmp_path / "c" / "random-search").records) == 2
    with pytest.raises(InvalidInputError, match="its own trials"):
        resume_comparison(tmp_path / "c", trials=5)


def test_a_users_own_space_competes_from_the_copy(found_in_own_space: Path, tmp_path: Path) -> None:
    result = carry_out([found_in_own_space], tmp_path / "c", seeds=1, random=2)
    assert [row.networks for row in sorted(result.rows, key=lambda row: row.networks)] == [1, 2]
    moved = (tmp_path / "c").rename(tmp_path / "moved")
    assert read_comparison(moved).rows == result.rows


def test_a_budget_of_seconds_decides_the_epochs(tmp_path: Path) -> None:
    result = carry_out(["lenet-5"], tmp_path / "c", seeds=1, budget_seconds=0.5)
    assert result.rows[0].epochs is not None
    assert result.rows[0].epochs > 1  # the recipe's own number
    assert result.rows[0].train_s is not None
    assert result.rows[0].train_s < 5


def test_equal_seeds_mean_equal_trainings(tmp_path: Path) -> None:
    alone = carry_out(["lenet-5"], tmp_path / "a")
    beside = carry_out(["lenet-5-modern", "lenet-5"], tmp_path / "b")
    assert alone.rows[0].accuracies == next(row for row in beside.rows if row.label == "lenet-5").accuracies


@pytest.mark.parametrize(
    ("networks", "changes", "error", "words"),
    [
        (["lenet-5"], {"seeds": 0}, InvalidInputError, "--seeds must be at least 1, got 0"),
        (["lenet-6"], {}, UnknownNameError, "Did you mean 'lenet-5'"),
        ([], {}, InvalidInputError, "got none"),
        ("lenet-5", {}, InvalidInputError, "a list"),
        (["nowhere/run"], {}, InvalidInputError, "no file or folder"),
        (["lenet-5"], {"data": "digitz"}, UnknownNameError, "digits"),
        (["lenet-5"], {"recipe": "quik"}, UnknownNameError, "quick"),
        (["lenet-5"], {"budget_seconds": 0}, InvalidInputError, "larger than 0"),
        (["lenet-5"], {"equal_macs": "all"}, InvalidInputError, "count like 20M"),
        (["lenet-5"], {"random": -1}, InvalidInputError, ">= 0"),
        (["lenet-5"], {"executor": "simulated"}, NASError, "simulated"),
    ],
)
def test_mistakes_are_said_before_anything_is_written(
    networks: Any, changes: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        carry_out(networks, tmp_path / "c", **changes)
    assert not (tmp_path / "c").exists()


def test_files_hold_what_the_rows_hold(tmp_path: Path) -> None:
    result = carry_out(["lenet-5", "lenet-5-modern"], tmp_path / "c")
    rows = list(csv.DictReader((tmp_path / "c" / "results.csv").read_text().splitlines()))
    assert [float(row["top1"]) for row in rows] == [row.top1.mean for row in result.rows if row.top1]
    stored = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert stored == json.loads(json.dumps(result.to_json()))
    assert (tmp_path / "c" / "accuracy-macs.svg").read_text().startswith("<?xml")


def test_the_command_prints_a_table_and_json(cli: Callable[..., Any], tmp_path: Path) -> None:
    arguments = ["compare", "lenet-5", "lenet-5-modern", "--epochs", "1", "--train-limit", "100", "--seeds", "1"]
    arguments += ["--no-measure", "--out", str(tmp_path / "c")]
    answer = cli(*arguments, "--sort", "macs")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split()[:2] == ["network", "top-1"]
    assert lines[1].startswith("lenet-5 ")
    assert "2/2 trained" in answer.err
    again = cli(*arguments, "--json")
    assert {row["label"] for row in json.loads(again.out)["rows"]} == {"lenet-5", "lenet-5-modern"}


def test_the_command_refuses_an_unknown_column(cli: Callable[..., Any], tmp_path: Path) -> None:
    answer = cli("compare", "lenet-5", "--sort", "mac", "--out", str(tmp_path / "c"))
    assert answer.code == 2
    assert "Did you mean 'macs'" in answer.err


def test_sorting_by_a_column_puts_the_cheaper_first(tmp_path: Path) -> None:
    result = carry_out(["lenet-5-modern", "lenet-5"], tmp_path / "c", seeds=1)
    assert result.table("params").splitlines()[1].startswith("lenet-5 ")
    with pytest.raises(UnknownNameError):
        result.table("weight")


def test_a_stored_network_is_trained_anew(found: Path, tmp_path: Path) -> None:
    best = nas.load(found).best
    given = replace(best.blueprint, auxiliary=False)
    result = carry_out([best], tmp_path / "c", seeds=1)
    assert result.rows[0].blueprint == given


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_ray_gives_what_one_process_gives(tmp_path: Path) -> None:
    serial = carry_out(["lenet-5", "lenet-5-modern"], tmp_path / "s")
    ray = carry_out(["lenet-5", "lenet-5-modern"], tmp_path / "r", executor="ray", workers=2)
    assert [row.accuracies for row in ray.rows] == [row.accuracies for row in serial.rows]
