"""From a run's folder to its page: reads files only, so it works at any time and on any machine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nas.building import stem_for
from nas.config import SearchConfig
from nas.config_rules import TRAINING
from nas.errors import StorageError
from nas.finalizing import FOLDER
from nas.journal import is_being_written
from nas.report.analysis import simulated_seconds, top_records
from nas.report.figure_sections import NUM_SHOWN
from nas.report.page import write_report
from nas.report.summary import RunSettings, RunStatus, RunSummary
from nas.run import Run
from search_spaces.architecture import Decision, Stem
from search_spaces.graph import Cell
from search_spaces.local_file import is_local, kept_decisions
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
        costs=config.costs,
        records=run.records,
        cells=_cells(run),
        decisions=_decisions(run),
        final=run.final,
        answer="test_accuracy" if config.table is None else config.report_metric or config.objective.metric,
        files=_files(run),
        commands=_commands(run),
        versions=run.header.get("versions", {}),
        seconds=_wall_seconds(run),
        simulated_s=simulated_seconds(run.records),
        epochs=config.search_recipe.epochs if _trains(config) else None,
    )


def _trains(config: SearchConfig) -> bool:
    return config.table is None and config.evaluator == TRAINING


def _settings(run: Run) -> RunSettings:
    config = run.config
    others = _table_words(run) if config.table is not None else _network_words(run)
    if config.prior is not None:
        others["prior"] = config.prior
    return RunSettings(
        space=config.space if config.table is None else Path(config.table).name,
        controller=config.controller,
        data=config.data if config.table is None else "",
        recipe=_recipe_words(config),
        executor=config.executor,
        trials=config.trials,
        workers=config.workers or (None if config.executor == "ray" else 1),
        seed=config.seed,
        others=others,
    )


def _recipe_words(config: SearchConfig) -> str:
    if config.table is not None:
        return ""
    how = f"{config.recipe}, {config.search_recipe.epochs} epochs" if _trains(config) else "none, scored untrained"
    return f"{how}; the winner by {config.final_recipe}"


def _network_words(run: Run) -> dict[str, str]:
    config = run.config
    shape = run.header.get("data", {}).get("input_shape", [0, 0, 0])
    stem = config.stem or stem_for(shape[1])
    words = {} if is_local(config.space) else {"network size": _size_words(config, stem)}
    words |= {} if _trains(config) else {"evaluator": config.evaluator}
    return words | {name: f"{value:,}" for name, value in config.constraints.to_json().items() if value is not None}


def _size_words(config: SearchConfig, stem: Stem) -> str:
    depth, width = get_space(config.space).proxy_sizes[stem]
    return f"depth {config.depth or depth:g}, width {config.width or width:g}, {stem} stem"


def _table_words(run: Run) -> dict[str, str]:
    config, table = run.config, run.header.get("table", {})
    words = {"table": f"{config.table}, {table.get('rows', 0):,} rows"}
    words |= {f"after {epochs} epochs": column for epochs, column in config.fidelities.items()}
    duration = config.seconds_metric
    return words | (
        {"a training takes": f"{duration:g} s" if isinstance(duration, int | float) else duration} if duration else {}
    )


def _decisions(run: Run) -> Sequence[Decision]:
    """Return those of the space; a table's are in the journal, and a user's own are kept, so no code of theirs runs."""
    if run.config.table is None and is_local(run.config.space):
        return kept_decisions(run.folder) or ()
    if run.config.table is None:
        return get_space(run.config.space).decisions
    return [Decision(entry["name"], tuple(entry["options"])) for entry in run.header["table"]["decisions"]]


def _cells(run: Run) -> dict[int, dict[str, Cell]]:
    if run.config.table is not None or is_local(run.config.space):
        return {}
    space = get_space(run.config.space)
    if not isinstance(space, CellSpace):
        return {}
    shown = top_records(run.records, objective=run.config.objective, count=NUM_SHOWN)
    return {record.trial.number: space.cells(record.trial.architecture) for record in shown}


def _files(run: Run) -> dict[str, str]:
    best = "the best network: what it is, its weights, what it scored, how to load it"
    files = {
        FOLDER: best if run.config.table is None else "the chosen row: its choices and its numbers",
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
