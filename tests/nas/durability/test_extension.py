"""A finished run that is extended tells what the run tells that was asked for as much from the start."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import nas
from controllers.trial import Objective
from nas.journal import FILE_NAME, read_journal

SHORT, LONG = 14, 34
OPTIONS: dict[str, dict[str, Any]] = {
    "evolution": {"population": 6, "tournament": 3},
    "reinforce": {"minibatch": 4},
    "optuna:tpe": {"n_startup_trials": 5},
}
CONTROLLERS = ["random", "evolution", "local", "predictor", "reinforce", "optuna:tpe"]


def settings(table: Path, controller: str) -> dict[str, Any]:
    """Settings of a search on the table."""
    how: dict[str, Any] = {"objective": Objective("late")}
    if controller == "asha":
        how = {"fidelities": {1: "early", 9: "late"}}
    return {"table": str(table), "controller": controller, "controller_options": OPTIONS.get(controller, {}), **how}


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_an_extended_run_is_the_long_run(controller: str, table: Path, tmp_path: Path, story: Any) -> None:
    nas.search(**settings(table, controller), trials=SHORT, out=tmp_path / "extended")
    longer = nas.resume(tmp_path / "extended", trials=LONG)
    whole = nas.search(**settings(table, controller), trials=LONG, out=tmp_path / "whole")
    for kinds in (("asked", "told"), ("asked",)):
        assert story(tmp_path / "extended", *kinds) == story(tmp_path / "whole", *kinds)
    assert longer.final == whole.final
    assert longer.best.architecture == whole.best.architecture
    assert longer.config == whole.config


def test_an_extended_ladder_begins_the_networks_of_the_long_run(table: Path, tmp_path: Path, story: Any) -> None:
    """The short run trains its best to the end before it is extended, so only what begins is the same."""
    nas.search(**settings(table, "asha"), trials=SHORT, out=tmp_path / "extended")
    short = story(tmp_path / "extended", "asked", "told")
    longer = nas.resume(tmp_path / "extended", trials=LONG)
    whole = nas.search(**settings(table, "asha"), trials=LONG, out=tmp_path / "whole")
    assert story(tmp_path / "extended", "asked", "told")[: len(short)] == short
    begun = [[r.trial.architecture for r in run.records if r.trial.continues is None] for run in (longer, whole)]
    assert begun[0] == begun[1]
    full = [{r.trial.architecture for r in run.records if r.trial.budget == 9} for run in (longer, whole)]
    assert full[0] >= full[1]
    assert longer.best.architecture == whole.best.architecture


def test_an_extension_that_was_killed_goes_on_to_its_new_end(table: Path, tmp_path: Path, story: Any) -> None:
    """Cut at every tenth line behind the old end; `nas resume RUN` needs not be told the number again."""
    nas.search(**settings(table, "evolution"), trials=SHORT, out=tmp_path / "run")
    short = len(read_journal(tmp_path / "run").events)
    nas.resume(tmp_path / "run", trials=LONG)
    lines = (tmp_path / "run" / FILE_NAME).read_bytes().splitlines(keepends=True)
    for kept in range(short + 1, len(lines), 10):
        folder = tmp_path / str(kept)
        shutil.copytree(tmp_path / "run", folder)
        (folder / FILE_NAME).write_bytes(b"".join(lines[:kept]) + b'{"n":')
        assert nas.resume(folder).config.trials == LONG
        assert story(folder) == story(tmp_path / "run")


def test_a_run_that_goes_on_as_it_was_is_told_nothing(table: Path, tmp_path: Path) -> None:
    nas.search(**settings(table, "random"), trials=SHORT, out=tmp_path / "run")
    before = (tmp_path / "run" / FILE_NAME).read_bytes()
    nas.resume(tmp_path / "run", trials=SHORT, device="cpu")
    assert (tmp_path / "run" / FILE_NAME).read_bytes() == before
