"""From a run's folder to its page: reads files only, so it works at any time and on any machine."""

from __future__ import annotations

import shlex
from pathlib import Path

from nas.building import DEFAULT_SIZES, stem_for
from nas.errors import StorageError
from nas.finalizing import FOLDER
from nas.journal import is_being_written
from nas.report.analysis import top_records
from nas.report.figure_sections import NUM_SHOWN
from nas.report.page import write_report
from nas.report.summary import RunSettings, RunStatus, RunSummary
from nas.run import Run
from search_spaces.graph import Cell
from search_spaces.nasnet import CellSpace
from search_spaces.registry import get_space

PAGE = "report.html"


def write_run_report(run: Run) -> Path:
    """Write ``report.html`` into a run's folder and return its path.

    Raises:
        StorageError: it cannot be written.
    """
    path = run.folder / PAGE
    try:
        write_report(summarize(run), path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}. Make room, then `nas report {run.folder}`."
        ) from None
    return path


def summarize(run: Run) -> RunSummary:
    """Return what a report shows of a run."""
    config = run.config
    status: RunStatus = "running" if is_being_written(run.folder) else "finished" if run.final else "interrupted"
    return RunSummary(
        name=run.folder.resolve().name,
        status=status,
        settings=_settings(run),
        objective=config.objective,
        records=run.records,
        cells=_cells(run),
        decisions=get_space(config.space).decisions,
        final=run.final,
        files=_files(run),
        commands=_commands(run),
        versions=run.header.get("versions", {}),
        seconds=_wall_seconds(run),
        epochs=config.search_recipe.epochs,
    )


def _settings(run: Run) -> RunSettings:
    config = run.config
    shape = run.header.get("data", {}).get("input_shape", [0, 0, 0])
    stem = config.stem or stem_for(shape[1])
    depth, width = DEFAULT_SIZES[stem]
    others = {"network size": f"N = {config.depth or depth}, F = {config.width or width}, {stem} stem"}
    others |= {name: f"{value:,}" for name, value in config.constraints.to_json().items() if value is not None}
    return RunSettings(
        space=config.space,
        controller=config.controller,
        data=config.data,
        recipe=f"{config.recipe}, {config.search_recipe.epochs} epochs; the winner by {config.final_recipe}",
        executor=config.executor,
        trials=config.trials,
        workers=config.workers or (1 if config.executor == "serial" else None),
        seed=config.seed,
        others=others,
    )


def _cells(run: Run) -> dict[int, dict[str, Cell]]:
    space = get_space(run.config.space)
    if not isinstance(space, CellSpace):
        return {}
    shown = top_records(run.records, objective=run.config.objective, count=NUM_SHOWN)
    return {record.trial.number: space.cells(record.trial.architecture) for record in shown}


def _files(run: Run) -> dict[str, str]:
    files = {
        FOLDER: "the best network: what it is, its weights, what it scored, how to load it",
        "config.toml": "every setting, to run it again",
        "journal.jsonl": "every trial and its result",
    }
    return {str(run.folder / name): text for name, text in files.items() if (run.folder / name).exists()}


def _commands(run: Run) -> dict[str, str]:
    folder = shlex.quote(str(run.folder))
    return {
        "Run it again": f"nas search --config {shlex.quote(str(run.folder / 'config.toml'))} --out results/again",
        "Extend it" if run.final else "Go on with it": f"nas resume {folder}"
        + (f" --trials {2 * run.config.trials}" if run.final else ""),
    }


def _wall_seconds(run: Run) -> float | None:
    """Seconds from the start to the last record; time in which the run lay still is in it."""
    times = [record.time for record in run.records]
    start = run.header.get("time")
    return max(times) - start if times and start else None
