"""A search from end to end, as users run it: a network at the end, the same after a kill, one line for a mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nas
from nas.errors import InvalidInputError, JournalError
from nas.journal import FILE_NAME, read_journal
from nas.run import Run

SMALL: dict[str, Any] = {
    "space": "nasnet:blocks=1",
    "trials": 4,
    "train_limit": 100,
    "width": 4,
    "recipe_changes": {"epochs": 1},
    "controller": "random",
}
FLAGS = ["--space", "nasnet:blocks=1", "--trials", "4", "--train-limit", "100", "--width", "4", "--epochs", "1"]
FLAGS += ["--controller", "random"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One small finished search."""
    return nas.search(**SMALL, out=tmp_path_factory.mktemp("runs") / "small")


def story(folder: Path) -> list[Any]:
    """A journal without its times, and without versions and paths, which say nothing of what was found."""
    events = [{"kind": e.kind, **e.data} for e in read_journal(folder).events]
    return [without_times(event) for event in events]


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in ("time", "seconds") and not k.endswith("_s")}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def test_search_leaves_a_trained_network(run: Run) -> None:
    assert len(run.records) == 4
    assert {p.name for p in run.folder.iterdir()} >= {"best", "config.toml", "journal.jsonl"}
    best = run.best
    assert best.architecture == run.ranked()[0].trial.architecture
    assert best.metrics["test_accuracy"] == best.metrics["test_correct"] / best.metrics["test_images"]
    assert best.metrics["test_accuracy"] > 0.5
    assert sum(p.numel() for p in best.network().parameters()) == best.metrics["params"]


def test_new_process_reproduces_the_accuracy_to_the_last_image(run: Run) -> None:
    code = f"""
import nas, torch
torch.set_num_threads(1)
best = nas.load({str(run.folder)!r}).best
test = nas.load_data("digits").test
with torch.inference_mode():
    right = (best.network()(best.preprocess(test.images)).argmax(1) == test.labels).sum().item()
print(right, len(test))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(run.best.metrics["test_correct"]), str(run.best.metrics["test_images"])]


def test_same_seed_same_journal(run: Run, tmp_path: Path) -> None:
    again = nas.search(**SMALL, out=tmp_path / "again")
    assert story(again.folder) == story(run.folder)
    other = nas.search(**{**SMALL, "seed": 1}, out=tmp_path / "other")
    assert story(other.folder)[1:] != story(run.folder)[1:]


def test_settings_file_repeats_the_run(run: Run, tmp_path: Path, cli: Callable[..., Any]) -> None:
    answer = cli("search", "--config", run.folder / "config.toml", "--out", tmp_path / "again")
    assert answer.code == 0, answer.err
    assert story(tmp_path / "again") == story(run.folder)


@pytest.mark.parametrize("delay_s", [0.0, 0.4, 1.5])
def test_killed_and_resumed_writes_the_same_journal(run: Run, tmp_path: Path, delay_s: float) -> None:
    """SIGKILL some time after the first trial was asked for; resumed, the story is the undisturbed one."""
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "nas", "search", *FLAGS, "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not ((folder / FILE_NAME).exists() and (folder / FILE_NAME).read_bytes().count(b"\n") > 1):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = nas.resume(folder)
    assert story(folder) == story(run.folder)
    assert resumed.best.metrics["test_correct"] == run.best.metrics["test_correct"]


def test_killed_while_the_network_is_stored_it_is_stored_again(run: Run, tmp_path: Path) -> None:
    """The journal's last event is written after the network: without it, resuming retrains and gets the same."""
    folder = copied(run, tmp_path)
    lines = (folder / FILE_NAME).read_bytes().splitlines(keepends=True)
    assert b'"final"' in lines[-1]
    (folder / FILE_NAME).write_bytes(b"".join(lines[:-1]))
    (folder / "best" / "weights.safetensors").unlink()
    resumed = nas.resume(folder)
    assert story(folder) == story(run.folder)
    original = run.best.network().state_dict()
    assert all(torch.equal(value, original[name]) for name, value in resumed.best.network().state_dict().items())


def copied(run: Run, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run.folder, tmp_path / "copy"))


def test_finished_run_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    folder = copied(run, tmp_path)
    before = (folder / FILE_NAME).read_bytes()
    nas.resume(folder)
    assert (folder / FILE_NAME).read_bytes() == before


def test_finished_run_can_be_extended(run: Run, tmp_path: Path) -> None:
    folder = copied(run, tmp_path)
    longer = nas.resume(folder, trials=6)
    assert [record.trial.number for record in longer.records] == list(range(6))
    assert longer.records[:4] == run.records
    whole = nas.search(**{**SMALL, "trials": 6}, out=tmp_path / "whole")
    assert [r.measurement.metrics["val_accuracy"] for r in longer.records] == [
        r.measurement.metrics["val_accuracy"] for r in whole.records
    ]


def test_settings_that_decide_what_is_found_do_not_change_on_resume(run: Run) -> None:
    with pytest.raises(InvalidInputError, match="goes on with its own seed"):
        nas.resume(run.folder, seed=3)


def test_other_images_under_the_same_name_are_noticed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(run, tmp_path)
    monkeypatch.setattr("nas.image_problem.load_data", lambda *a, **k: nas.load_data("digits", train_limit=90))
    with pytest.raises(InvalidInputError, match="contents differ"):
        nas.resume(folder)


def test_weights_that_are_damaged_or_anothers_say_so(run: Run, tmp_path: Path) -> None:
    from safetensors.torch import load, save

    folder = copied(run, tmp_path)
    weights = folder / "best" / "weights.safetensors"
    whole = weights.read_bytes()
    tensors = load(whole)
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(nas.NASError, match="cannot read the weights"):
        nas.load(folder).best.network()
    weights.write_bytes(save({**tensors, "classifier.weight": torch.zeros(3, 3)}))
    with pytest.raises(nas.NASError, match=r"another network: classifier\.weight is \(.*\) and should be \("):
        nas.load(folder).best.network()


# ---------------------------------------------------------------------------------------- the command line


def test_command_prints_where_everything_lies(tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = tmp_path / "run"
    answer = cli("search", *FLAGS, "--max-params", "1M", "--out", folder)
    assert answer.code == 0, answer.err
    assert f"the page:    {folder / 'report.html'}" in answer.out
    assert "<!doctype html" in (folder / "report.html").read_text()[:200].lower()
    assert len((answer.out + answer.err).splitlines()) <= 24  # at most a screenful
    assert "best network: test accuracy" in answer.out


@pytest.mark.parametrize("delay_s", [0.0, 0.3])
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(run: Run, tmp_path: Path, delay_s: float) -> None:
    folder = tmp_path / "stopped"
    command = [sys.executable, "-m", "nas", "search", *FLAGS, "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not ((folder / FILE_NAME).exists() and b'"asked"' in (folder / FILE_NAME).read_bytes()):
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, out + err
    assert f"nas resume {folder}" in err
    assert "Traceback" not in err
    nas.resume(folder)
    assert story(folder) == story(run.folder)


MISTAKES = {
    "space": (["search", "--space", "nasnt"], "Did you mean 'nasnet'"),
    "operation": (["search", "--space", "nasnet:operations=sep_conv_3x4"], "unknown operation"),
    "controller": (["search", "--controller", "evolutoin"], "Did you mean 'evolution'"),
    "controller option": (["search", "--controller", "evolution", "--controller-set", "populatoin=5"], "population"),
    "dataset": (["search", "--data", "digit"], "Did you mean 'digits'"),
    "recipe": (["search", "--recipe", "quik"], "Did you mean 'quick'"),
    "recipe field": (["search", "--recipe-set", "learning_rat=1"], "Did you mean 'learning_rate'"),
    "executor": (["search", "--executor", "dask"], "Known: processes, ray, serial"),
    "trials": (["search", "--trials", "0"], "--trials must be at least 1"),
    "seed": (["search", "--seed", "-1"], "--seed must be >= 0"),
    "device": (["search", "--device", "gpu"], "--device is cpu, cuda"),
    "workers": (["search", "--workers", "2"], "use --executor processes or ray"),
    "too many workers": (["search", "--executor", "ray", "--workers", "4000"], "use at most"),
    "constraint": (["search", "--max-params", "10"], "they have"),
    "count": (["search", "--max-params", "many"], "a count is written like"),
    "settings file": (["search", "--config", "missing.toml"], "cannot read settings from missing.toml"),
    "no run": (["resume", "nowhere"], "nowhere is no run"),
    "no run to report": (["report", "nowhere"], "nowhere is no run"),
    "nothing to show": (["show", "nasnet-z"], "nasnet-a"),
    "missing files": (["search", "--data", "mnist", "--data-root", "nowhere"], "--download"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_exit_code_2(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, message = MISTAKES[mistake]
    answer = cli(*arguments, *(["--out", "run"] if arguments[0] == "search" else []))
    assert answer.code == 2, answer.out + answer.err
    assert message in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
    assert list(tmp_path.iterdir()) == []  # nothing was started, so nothing is left behind


def test_existing_run_is_refused_and_kept(run: Run, cli: Callable[..., Any]) -> None:
    before = (run.folder / FILE_NAME).read_bytes()
    answer = cli("search", *FLAGS, "--out", run.folder)
    assert answer.code == 2
    assert "already holds a run" in answer.err
    assert (run.folder / FILE_NAME).read_bytes() == before


def test_damaged_journal_is_refused_in_one_line(run: Run, tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = copied(run, tmp_path)
    lines = (folder / FILE_NAME).read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"told", b"tolt")
    (folder / FILE_NAME).write_bytes(b"".join(lines))
    for command in ("resume", "report", "show"):
        answer = cli(command, folder)
        assert answer.code == 2
        assert "line 3 of" in answer.err
        assert len(answer.err.strip().splitlines()) == 1
    with pytest.raises(JournalError, match="line 3"):
        nas.load(folder)


def test_torn_journal_is_repaired_with_a_message(run: Run, tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = copied(run, tmp_path)
    whole = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).write_bytes(whole[:-30])
    answer = cli("resume", folder)
    assert answer.code == 0, answer.err
    assert "was torn or damaged and is dropped" in answer.err
    assert story(folder) == story(run.folder)


def test_full_disk_fails_with_code_1_and_nothing_is_lost(tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk: the third journal write fails; resumed, the run ends."""
    folder = tmp_path / "run"
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000));"
        f"sys.argv = ['nas', 'search', *{FLAGS!r}, '--out', {str(folder)!r}];"
        "from nas.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "make room, then `nas resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(nas.resume(folder).records) == 4


def test_list_and_show_and_help(tmp_path: Path, run: Run, cli: Callable[..., Any]) -> None:
    for kind, expected in {
        "spaces": "nasnet",
        "controllers": "evolution",
        "baselines": "563,638,816",
        "cells": "amoebanet-a",
        "operations": "sep_conv_7x7",
        "datasets": "fashion-mnist",
        "recipes": "quick",
    }.items():
        answer = cli("list", kind)
        assert answer.code == 0, answer.err
        assert expected in answer.out
    for name, file in (("nasnet-a", "a.svg"), ("darts-v2-cifar", "b.png"), (run.folder, "c.pdf")):
        assert cli("show", name, "--out", tmp_path / file).code == 0
        assert (tmp_path / file).stat().st_size > 1000
    for command in ("search", "resume", "report", "show", "list"):
        answer = cli(command, "--help")
        assert answer.code == 0
        assert "Example: nas" in answer.out


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
def test_two_ray_workers_find_a_network_and_resume(tmp_path: Path, run: Run) -> None:
    found = nas.search(**{**SMALL, "trials": 6, "executor": "ray", "workers": 2}, out=tmp_path / "ray")
    assert sorted(r.trial.number for r in found.records) == list(range(6))
    assert {r.worker for r in found.records} == {"ray-0", "ray-1"}
    by_number = {r.trial.number: r.measurement.metrics["val_accuracy"] for r in found.records}
    serial = {r.trial.number: r.measurement.metrics["val_accuracy"] for r in run.records}
    assert {number: by_number[number] for number in serial} == serial  # a trial's result depends on its seed only
    lines = (found.folder / FILE_NAME).read_bytes().splitlines(keepends=True)
    (found.folder / FILE_NAME).write_bytes(b"".join(lines[:6]))
    resumed = nas.resume(found.folder, executor="serial")
    assert sorted(r.trial.number for r in resumed.records) == list(range(6))


def test_settings_survive_toml(run: Run) -> None:
    config = nas.SearchConfig(
        space="nasnet:blocks=2",
        controller_options={"population": 7},
        max_seconds=1.5,
        data_root='C:\\odd "path"',
        recipe_changes={"epochs": 3, "augment": False},
    )
    path = run.folder / "odd.toml"
    path.write_text(config.to_toml())
    assert nas.SearchConfig.from_toml(path) == config


def test_environment_names_the_versions(run: Run) -> None:
    assert run.header["versions"]["torch"] == torch.__version__.split("+")[0]
    assert run.header["versions"]["numpy"] == np.__version__
    assert json.loads((run.folder / "best" / "architecture.json").read_text())["blueprint"]["width"] == 4
    assert os.access(run.folder / "best" / "weights.safetensors", os.R_OK)
