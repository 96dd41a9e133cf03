"""Starting a search, and going on with one: settings in, a run's folder out."""

from __future__ import annotations

import platform
import re
import shlex
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from nas.config import SearchConfig
from nas.errors import InvalidInputError, StorageError
from nas.journal import Journal
from nas.run import CHANGED, Run, refuse_scaling, run_from_events
from nas.session import Session
from nas.watching import Watcher
from search_spaces.local_file import is_local, kept_specification, save_source

RESULTS = Path("results")
CONFIG = "config.toml"
# What may change when a run goes on: how much, and where it runs. All else decides what is found.
CHANGEABLE = (
    *("trials", "max_seconds", "max_epochs", "executor", "workers", "gpus_per_worker", "address", "device"),
    *("data_root", "table", "max_failures", "trial_seconds", "trial_memory_bytes", "pin"),
)
# Those that the journal keeps, so that a run that was extended and then killed goes on to its new end.
LASTING = ("trials", "max_seconds", "max_epochs")


def search(*, out: str | Path | None = None, watcher: Watcher | None = None, **settings: Any) -> Run:
    """Search a space and leave the best network, trained, in a folder.

    Args:
        out: the run's folder, which must not hold a run; by default a new one under ``results/``.
        watcher: told about progress.
        **settings: fields of `nas.config.SearchConfig`: space, controller, data, trials, seed and so on.

    Returns:
        The finished run; ``run.best`` is the network.

    Raises:
        NASError: a setting that cannot be, in words that say what to do. Nothing that was measured is lost.
    """
    known = SearchConfig.__dataclass_fields__
    for name in settings:
        if name not in known:
            raise TypeError(f"search() has no argument {name!r}; it takes out, watcher and {', '.join(known)}")
    return start(SearchConfig(**settings), out=out, watcher=watcher)


def start(
    config: SearchConfig, *, out: str | Path | None = None, watcher: Watcher | None = None, concludes: bool = True
) -> Run:
    """Run a new search from settings; see `search`.

    Args:
        config: the settings.
        out: the run's folder.
        watcher: told about progress.
        concludes: whether the best network is trained to the end; where it is not, resuming does so.
    """
    config = replace(config, controller=config.resolved_controller)  # a run says which it was
    folder = Path(out) if out is not None else _new_folder(config)
    config.to_toml()  # what no file can hold is refused before there is a folder
    session = Session.prepare(config, folder, watcher or Watcher(), concludes=concludes)
    header = {
        "config": config.to_json(),
        "versions": versions(),
        **session.problem.identity(),
        "time": time.time(),
    }
    executor = session.make_executor()  # before anything is written: a pool that cannot be leaves no folder
    try:
        journal = Journal.create(folder, header)
    except BaseException:
        executor.close()
        raise
    try:
        _keep_settings(session)
    except BaseException:
        journal.close()
        executor.close()
        raise
    return session.carry_out(journal, (), executor)


def _keep_settings(session: Session) -> None:
    """Write what the journal says already, for people to read and to run again.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder = session.folder
    try:
        save_source(session.problem.screen.space, folder)
        (folder / CONFIG).write_text(session.config.to_toml(), encoding="utf-8")
    except OSError as error:
        again = shlex.join(["nas", "resume", str(folder)])
        raise StorageError(f"cannot write into {folder}: {error.strerror}. Make room, then `{again}`.") from None


def resume(folder: str | Path, *, watcher: Watcher | None = None, concludes: bool = True, **changes: Any) -> Run:
    """Go on with a search exactly where it was, or extend a finished one.

    Args:
        folder: the run's folder.
        watcher: told about progress.
        concludes: whether the best network is trained to the end.
        **changes: new values for `CHANGEABLE` settings, such as ``trials`` and ``workers``; None changes nothing.

    Raises:
        JournalError: no run, a damaged one, one that another process is writing, or one of another version.
        InvalidInputError: a change to a setting that decides what is found, or other data than the run's.
    """
    for name in changes:
        if name not in CHANGEABLE:
            raise InvalidInputError(f"a run goes on with its own {name}; only {', '.join(CHANGEABLE)} may change.")
    path = Path(folder)
    refuse_scaling(path)
    journal, content = Journal.reopen(path)
    try:
        watcher = watcher or Watcher()
        if content.repair:
            watcher.said(content.repair)
        before = run_from_events(path, content.events).config  # what cannot be read is refused before anything is said
        config = _changed(before, changes)
        lasting = {name: getattr(config, name) for name in LASTING if getattr(config, name) != getattr(before, name)}
        config = replace(config, space=kept_specification(config.space, path))  # of a file that may have changed since
        session = Session.prepare(config, path, watcher, concludes=concludes)
        session.problem.check_identity(content.header, folder=path)
        if lasting:
            journal.append(CHANGED, lasting)
        if not (path / CONFIG).exists():  # it was killed as it began
            _keep_settings(session)
    except BaseException:
        journal.close()
        raise
    return session.carry_out(journal, content.events, None)


def _changed(config: SearchConfig, changes: dict[str, Any]) -> SearchConfig:
    """Return a run's settings as it goes on.

    Raises:
        InvalidInputError: a change from the simulated clock to the real one or back, or a table to a run on images.
    """
    changed = config.with_changes(changes)
    if changes.get("executor") == "serial":
        changed = replace(changed, workers=changes.get("workers"))
    if (config.executor == "simulated") != (changed.executor == "simulated"):
        raise InvalidInputError(
            f"a run keeps its clock, real or simulated: it was started with --executor {config.executor}, "
            f"got {changed.executor}."
        )
    if (config.table is None) != (changed.table is None):
        raise InvalidInputError("this run trains its networks and has no table: leave out --table.")
    return changed


def versions() -> dict[str, str]:
    """Return the versions that decide what a run finds."""
    packages = ("torch", "numpy", "optuna", "ray", "neural-architecture-search")
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _new_folder(config: SearchConfig) -> Path:
    """Return the first free name under ``results/``: space-data-controller or table-controller, then a number."""
    space = Path(config.space).name if is_local(config.space) else config.space
    searched = f"{space}-{config.data}" if config.table is None else Path(config.table).stem
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{searched}-{config.controller}").strip("-")
    number = 1
    while (RESULTS / f"{name}-{number}").exists():
        number += 1
    return RESULTS / f"{name}-{number}"


__all__ = ["CHANGEABLE", "Watcher", "resume", "search", "start", "versions"]
