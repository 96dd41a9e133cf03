"""The page of a training: answer, curves, epochs, cost, commands; safe whatever the data hold."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.report.training_page import EpochLine, TrainingSummary, render_training
from nas.training.recipe import get_recipe
from nas.training.runs.log import TrainingLog
from nas.training.runs.run import load_trained
from nas.training_report import summarize_training, training_command

HOSTILE = "<script>alert(1)</script>\"'&$x_{\x1b[31m"


def line(number: int, accuracy: float | None = 0.9, loss: float | None = 0.5) -> EpochLine:
    return EpochLine(number, 1.0 / number, accuracy, loss, 0.1, 2.0)


def test_the_page_answers_in_order(training_page: str, training_folder: Path) -> None:
    accuracy = load_trained(training_folder).metrics["test_accuracy"]
    assert f"<h1>nasnet-a-mobile reaches {accuracy:.2%} test accuracy</h1>" in training_page
    titles = ["Learning curves", "Network", "All epochs", "What was spent", "Repeat it"]
    places = [training_page.index(f">{title}</h2>") for title in titles]
    assert places == sorted(places)
    assert training_page.count("<svg") == 5  # loss, accuracy, rate, two cells


def test_every_epoch_has_its_row_and_its_rate(training_page: str, training_folder: Path) -> None:
    recipe, run = get_recipe("quick").with_changes({"epochs": 3}), load_trained(training_folder)
    assert training_page.count('<th scope="row"') == 3
    for i, entry in enumerate(run.epochs):
        assert f'<td class="n">{entry["train_loss"]:.4f}</td>' in training_page
        assert f'<td class="n">{recipe.rate_at((i + 0.5) / 3):.4g}</td>' in training_page


def test_what_was_spent_is_added_up() -> None:
    """Two epochs of 50 images at 3M MACs are 300M, and 4 s."""
    metrics = {"test_accuracy": 0.5, "macs": 3e6, "params": 1e3}
    summary = TrainingSummary("t", "net", "digits", "finished", 2, (line(1), line(2)), metrics, train_images=50)
    page = render_training(summary)
    assert "<dd>300M<small>forward passes</small></dd>" in page
    assert "<dd>4.0 s<small>25 images a second</small></dd>" in page


def test_the_best_epoch_is_the_first_of_equals() -> None:
    epochs = (line(1, 0.5), line(2, 0.9), line(3, 0.9), line(4, None))
    summary = TrainingSummary("t", "net", "digits", "interrupted", 5, epochs)
    assert summary.best == epochs[1]
    page = render_training(summary)
    assert "<h1>net is at 90.00% validation accuracy</h1>" in page
    assert page.count('<tr class="best"><th scope="row" class="n">2<') == 1


@pytest.mark.parametrize("epochs", [(), (line(1, None, None),), (line(1),)])
def test_a_training_that_has_just_begun_has_a_page(epochs: tuple[EpochLine, ...]) -> None:
    page = render_training(TrainingSummary("t", "net", "digits", "running", 5, epochs))
    assert f"{len(epochs)} of 5 epochs on digits." in page
    assert page.count("<svg") == (0 if not epochs else 2 if epochs[0].val_accuracy is None else 3)


def test_text_from_data_stays_text() -> None:
    hostile = {HOSTILE: HOSTILE}
    summary = TrainingSummary(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        "finished",
        1,
        (line(1),),
        {HOSTILE: 0.5},
        hostile,
        {},
        hostile,
        hostile,
        hostile,
        notes=[HOSTILE],
    )
    page = render_training(summary)
    assert page.count("<script") == 1
    assert "\x1b" not in page


def test_the_command_trains_the_same_again(
    training_folder: Path, tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = summarize_training(training_folder).commands["Run it again"]
    nas, *words = shlex.split(command)
    assert nas == "nas"
    assert cli(*words).code == 0
    again, before = load_trained(tmp_path / "results" / "again"), load_trained(training_folder)
    assert again.metrics == before.metrics
    assert [entry["train_loss"] for entry in again.epochs] == [entry["train_loss"] for entry in before.epochs]


def test_a_network_without_a_name_is_named_by_its_folder(training_folder: Path) -> None:
    run = load_trained(training_folder)
    unnamed = replace(run, config=replace(run.config, network="an architecture of nasnet"))
    assert shlex.split(training_command(unnamed))[2] == str(training_folder / "best")
    assert training_command(replace(unnamed, folder=Path("nowhere"))) == ""


def test_the_status_follows_the_folder(training_folder: Path, tmp_path: Path) -> None:
    entries = (training_folder / "training.jsonl").read_text().splitlines()
    (tmp_path / "training.jsonl").write_text("\n".join(entries[:3]) + "\n")
    summary = summarize_training(tmp_path)
    assert (summary.status, len(summary.epochs)) == ("interrupted", 2)
    assert summary.commands["Go on with it"] == f"nas train {tmp_path}"
    log = TrainingLog.reopen(tmp_path, epochs=2)
    assert summarize_training(tmp_path).status == "running"
    log.close()
    assert summarize_training(training_folder).status == "finished"
