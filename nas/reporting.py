"""From a run's folder to its page: reads files only, so it works at any time and on any machine."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas.building import stem_for
from nas.comparison.page import render_page as render_comparison
from nas.comparison.plan import FILE as COMPARISON_FILE
from nas.comparison.results import read_comparison
from nas.config import SearchConfig
from nas.config_rules import TRAINING
from nas.errors import JournalError, StorageError
from nas.finalizing import FOLDER, TRAINING_FILE
from nas.journal import FILE_NAME, is_being_written, read_journal
from nas.report.analysis import simulated_seconds, top_records
from nas.report.figure_sections import NUM_SHOWN
from nas.report.frame import write_page
from nas.report.page import render_report
from nas.report.scaling_page import render_scaling
from nas.report.summary import RunSettings, RunStatus, RunSummary
from nas.report.training_page import render_training
from nas.run import SCALING_FILES, Run, load
from nas.scaling_report import summarize_scaling
from nas.training.runs.run import load_trained
from nas.training_report import summarize_training
from search_spaces.architecture import Stem
from search_spaces.graph import Cell
from search_spaces.local_file import is_local
from search_spaces.nasnet import CellSpace
from search_spaces.registry import get_space

PAGE = "report.html"


Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PageKind:
    """A kind of folder that has a page.

    Attributes:
        marks: files of which a folder of this kind has one.
        render: gives the page's text; tells what is worth knowing of the folder besides.
    """

    marks: tuple[str, ...]
    render: Callable[[Path, Say], str]


def _render_search(folder: Path, say: Say) -> str:
    return render_report(summarize(load(folder)))


def _render_training(folder: Path, say: Say) -> str:
    if repair := load_trained(folder).repair:
        say(repair)
    return render_training(summarize_training(folder))


def _tell_of_damage(folder: Path, say: Say) -> None:
    """Say which journals in a folder have a damaged end, of which the page then knows nothing."""
    for path in [folder / name for name in (FILE_NAME, *SCALING_FILES)]:
        if path.name == FILE_NAME and path.exists() and (repair := read_journal(path.parent).repair):
            say(repair)


# the first kind that fits is taken
PAGES: dict[str, PageKind] = {
    "training": PageKind((TRAINING_FILE,), _render_training),
    "comparison": PageKind((COMPARISON_FILE,), lambda folder, say: render_comparison(read_comparison(folder))),
    "search": PageKind((FILE_NAME,), _render_search),
    "scaling": PageKind(SCALING_FILES, lambda folder, say: render_scaling(summarize_scaling(folder))),
}


def write_folder_report(folder: Path, say: Say = lambda text: None) -> Path:
    """Write ``report.html`` into a folder, by the kind of what it holds, and return its path.

    Args:
        folder: of a search, a training or another kind in `PAGES`.
        say: told what is worth knowing besides, in lines.

    Raises:
        JournalError: the folder is of no kind that has a page, or what it holds is damaged.
        StorageError: the page cannot be written.
    """
    for kind in PAGES.values():
        if any((folder / mark).exists() for mark in kind.marks):
            _tell_of_damage(folder, say)
            return _write(kind.render(folder, say), folder)
    *others, last = PAGES
    raise JournalError(
        f"{folder} is no run: it holds neither a {', a '.join(others)} nor a {last}. Give a folder that `nas search`, "
        "`nas train`, `nas scale` or `nas compare` made."
    )


def write_run_report(run: Run) -> Path:
    """Write ``report.html`` into a search's folder and return its path.

    Raises:
        StorageError: it cannot be written.
    """
    return _write(render_report(summarize(run)), run.folder)


def _write(page: str, folder: Path) -> Path:
    path = folder / PAGE
    try:
        write_page(page, path)
    except OSError as error:
        again = shlex.join(["nas", "report", str(folder)])
        raise StorageError(f"cannot write {path}: {error.strerror}. Make room, then `{again}`.") from None
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
        decisions=run.decisions,
        final=run.final,
        answer="test_accuracy" if config.table is None else config.report_metric or config.objective.metric,
        files=_files(run),
        commands=_commands(run),
        versions=run.header.get("versions", {}),
        seconds=_wall_seconds(run),
        simulated_s=simulated_seconds(run.records),
        epochs=config.search_recipe.epochs if _trains(config) else None,
        train_images=run.header.get("data", {}).get("images", {}).get("train") if _trains(config) else None,
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
        controller=config.resolved_controller,
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
    lengths = config.training_lengths
    trained = f"{config.recipe}, {' or '.join(map(str, lengths))} epoch{'' if lengths == [1] else 's'}"
    how = trained if _trains(config) else "none, scored untrained"
    return f"{how}; the winner by {config.final_recipe}"


def _network_words(run: Run) -> dict[str, str]:
    config = run.config
    shape = run.header.get("data", {}).get("input_shape", [0, 0, 0])
    stem = config.stem or stem_for(shape[1])
    words = {} if run.is_grid or is_local(config.space) else {"network size": _size_words(config, stem)}
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


def _cells(run: Run) -> dict[int, dict[str, Cell]]:
    if run.config.table is not None or run.is_grid or is_local(run.config.space):
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
    if run.is_grid:  # the scaling's own page says how it goes on
        return {}
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
