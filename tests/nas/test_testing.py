"""`nas test`: stored networks and their ensemble on test images, and one line for what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import nas
import nas.commands.test  # registers the command
import nas.testing
from nas.data import Split
from nas.errors import InvalidInputError, NASError
from nas.finalizing import StoredNetwork, load_stored, store_network
from nas.training.runs.run import TrainedRun


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[TrainedRun]:
    """Two small trainings, on images of two sizes."""
    folder = tmp_path_factory.mktemp("runs")
    settings: dict[str, Any] = {"data": "digits", "train_limit": 300, "recipe_changes": {"epochs": 2}}
    return [
        nas.train("lenet-5-modern", **settings, out=folder / "first"),
        nas.train("lenet-5-modern", **settings, seed=1, resolution=16, out=folder / "second"),
    ]


def by_hand(stored: StoredNetwork) -> torch.Tensor:
    test = nas.load_data("digits", resolution=stored.blueprint.resolution).test
    with torch.inference_mode():
        logits: torch.Tensor = stored.network()(stored.preprocess(test.images))
    return logits


def test_each_scores_what_its_training_wrote_and_all_the_mean_of_their_probabilities(runs: list[TrainedRun]) -> None:
    found = nas.testing.test([run.folder for run in runs], data="digits")
    for one, run in zip(found.networks, runs, strict=True):
        assert one.measured.correct == run.metrics["test_correct"]
        assert one.measured.share == run.metrics["test_accuracy"]
        assert one.measured.loss == pytest.approx(run.metrics["test_loss"], rel=1e-5)
    labels = nas.load_data("digits").test.labels
    mean = torch.stack([by_hand(run.best).softmax(1) for run in runs]).mean(0)
    assert found.ensemble is not None
    assert found.ensemble.measured.correct == int((mean.argmax(1) == labels).sum())
    assert found.ensemble.measured.loss == pytest.approx(
        torch.nn.functional.nll_loss(mean.log(), labels).item(), rel=1e-5
    )


def test_a_network_is_given_in_any_form(runs: list[TrainedRun]) -> None:
    first = runs[0]
    forms: list[Any] = [first, first.folder, str(first.folder), first.folder / "best", first.best]
    found = [nas.testing.test(form, data="digits") for form in forms]
    assert len({one.networks[0].measured for one in found}) == 1
    assert all(one.ensemble is None for one in found)


def test_the_command_prints_a_table_and_json(runs: list[TrainedRun], cli: Any) -> None:
    folders = [run.folder for run in runs]
    answer = cli("test", *folders, "--data", "digits")
    assert answer.code == 0, answer.err
    header, *rows = answer.out.splitlines()
    assert header.split()[:5] == ["network", "test", "accuracy", "on", "digits"]
    for row, run in zip(rows, runs, strict=False):
        correct, images = run.metrics["test_correct"], run.metrics["test_images"]
        assert row.split()[1:4] == [f"{correct / images:.2%}", f"{correct:.0f}", f"{images:.0f}"]
    assert rows[2].startswith("ensemble of 2 ")
    data = json.loads(cli("test", *folders, "--data", "digits", "--crops", 10, "--json").out)
    assert data == nas.testing.test(folders, data="digits", crops=10).to_json()
    assert data["crops"] == 10
    assert len(data["networks"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "--data", "digits"), "there is no folder nowhere"),
        ((".", "--data", "digits"), "holds no stored network"),
        (("FIRST", "--data", "digit"), "Did you mean 'digits'"),
        (("FIRST", "--data", "digits", "--crops", 5), "crops is 1 or 10, got 5"),
        (("FIRST", "--data", "digits", "--device", "gpu"), "device is cpu, cuda"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: tuple[Any, ...],
    message: str,
    runs: list[TrainedRun],
    tmp_path: Path,
    cli: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("test", *(runs[0].folder if text == "FIRST" else text for text in arguments))
    assert answer.code == 2
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_other_images_and_classes_are_refused(runs: list[TrainedRun]) -> None:
    data, stored = nas.load_data("digits"), runs[0].best
    with pytest.raises(
        InvalidInputError, match=r"tells apart 10 classes \(0, 1, 2, ...\); digits has 10 .*\(c0, c1, c2"
    ):
        nas.testing.test(stored, data=replace(data, class_names=tuple(f"c{i}" for i in range(10))))
    with pytest.raises(InvalidInputError, match="takes images of 8 pixels, those of digits have 16"):
        nas.testing.test(stored, data=nas.load_data("digits", resolution=16))
    colour = Split(data.test.images[:20].repeat(1, 3, 1, 1), data.test.labels[:20])
    coloured = replace(data, train=colour, validation=colour, test_split=colour)
    with pytest.raises(InvalidInputError, match="takes images of 1 channels, those of digits have 3"):
        nas.testing.test(stored, data=coloured)


def test_without_test_images_there_is_nothing_to_measure(runs: list[TrainedRun]) -> None:
    data = nas.load_data("digits")
    with pytest.raises(InvalidInputError, match="has no test images"):
        nas.testing.test(runs[0], data=replace(data, test_split=data.test.select(torch.arange(0))))
    with pytest.raises(InvalidInputError, match="held back from a search"):
        nas.testing.test(runs[0], data=data.for_search())
    with pytest.raises(InvalidInputError, match="at least one"):
        nas.testing.test([], data=data)


def test_logits_for_more_classes_than_there_are_names_count_in_the_softmax(tmp_path: Path) -> None:
    """A network made for 12 classes, and one for 10, together."""
    runs = []
    for i, classes in enumerate((12, 10)):
        blueprint = nas.get_blueprint("lenet-5-modern", classes=classes, input_shape=(1, 8, 8))
        torch.manual_seed(i)
        network = nas.build(blueprint)
        metrics = {"test_accuracy": 0.0, "test_correct": 0, "test_images": 1, "params": 1, "macs": 1}
        names = tuple(str(digit) for digit in range(10))
        stored = StoredNetwork(tmp_path / str(i) / "best", blueprint, (0.5,), (0.5,), names, metrics)
        store_network(stored, network)
        runs.append(load_stored(stored.folder))
    found = nas.testing.test(runs, data="digits")
    mean = torch.stack([by_hand(one).softmax(1)[:, :10] for one in runs]).mean(0)
    assert found.ensemble is not None
    assert found.ensemble.measured.correct == int((mean.argmax(1) == nas.load_data("digits").test.labels).sum())


def test_weights_that_cannot_be_read_are_told_of(runs: list[TrainedRun], tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    for name in ("architecture.json", "metrics.json"):
        (tmp_path / "best" / name).write_text((runs[0].folder / "best" / name).read_text())
    with pytest.raises(NASError, match="cannot read the weights"):
        nas.testing.test(tmp_path, data="digits")
