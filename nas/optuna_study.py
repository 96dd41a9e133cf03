"""A search as an Optuna study in a file, for Optuna's plots and optuna-dashboard. Optuna is imported when asked for.

What a trial becomes: ``ok`` is complete, with a value an objective; what was refused untrained is pruned; everything
else failed. Decisions are categorical parameters, and what Optuna has no place for is among the user attributes.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controllers.trial import Objective, Record
from nas.errors import InvalidInputError, MissingDependencyError, StorageError
from nas.report.analysis import epochs_of, objective_value
from nas.run import Run, load
from nas.trial_frame import option_of
from search_spaces.architecture import Decision, Option

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

STUDY = "optuna.log"  # in a run's folder
SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
LONGEST_ERROR = 2000  # characters; SQLite's attributes hold no more than 2,048 in some versions


def export_study(run: Run | str | Path, path: str | Path) -> Path:
    """Write a run as an Optuna study; the study has the name of the run's folder.

    Args:
        run: of any controller, finished or not, or its folder.
        path: the file to write, which is replaced whole: SQLite with one of the suffixes of `SQLITE_SUFFIXES`,
            otherwise Optuna's journal. ``optuna-dashboard PATH`` opens the journal.

    Returns:
        The path.

    Raises:
        MissingDependencyError: Optuna is not installed.
        InvalidInputError: the run's decisions were not kept, or the path is a folder.
        StorageError: the file cannot be written.
    """
    run = run if isinstance(run, Run) else load(run)
    path = Path(path)
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder: give the study's file a name, like {path / STUDY}.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    with _quiet():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)
            _write(run, unfinished)
            unfinished.replace(path)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}. Make room, then try again.") from None
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
    return path


def serve_study(path: Path, *, port: int = 8080, host: str = "localhost", ready: Callable[[str], None]) -> None:
    """Serve optuna-dashboard for a study's file until it is interrupted.

    Args:
        path: what `export_study` wrote.
        port: where to listen; 0 is any free one.
        host: whose connections are taken: by default this machine's only.
        ready: told the address when it answers.

    Raises:
        MissingDependencyError: optuna-dashboard is not installed.
        InvalidInputError: the port cannot be listened at.
    """
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    wsgi = import_dashboard()

    class Silent(WSGIRequestHandler):
        """Writes no line a request."""

        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing."""

    try:
        with make_server(host, port, wsgi(storage_of(path)), handler_class=Silent) as server:
            ready(f"http://{host}:{server.server_port}/dashboard/")
            server.serve_forever()
    except (OSError, OverflowError) as error:
        raise InvalidInputError(f"cannot listen at port {port}: {error}. Choose another with --port.") from None


def import_dashboard() -> Callable[[BaseStorage], Any]:
    """Return what makes optuna-dashboard's application of a storage.

    Raises:
        MissingDependencyError: it is not installed.
    """
    _import_optuna()
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise MissingDependencyError(
            "the dashboard needs optuna-dashboard: `pip install neural-architecture-search[dashboard]`."
        ) from None
    application: Callable[[BaseStorage], Any] = wsgi
    return application


def storage_of(path: Path) -> BaseStorage:
    """Return the storage that a file is, or is to become, by its suffix."""
    optuna = _import_optuna()
    storage: BaseStorage
    if path.suffix.lower() in SQLITE_SUFFIXES:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    else:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    return storage


class _Logs:
    """A journal's backend in memory: the file is written in one go, where a lock and a sync a trial take seconds."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the logs from a number on."""
        return iter(self.logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Keep logs, as they will be read."""
        self.logs += json.loads(json.dumps(logs))


def _write(run: Run, path: Path) -> None:
    storages = _import_optuna().storages
    path.touch()  # where that fails, it fails with a reason that can be told
    if path.suffix.lower() in SQLITE_SUFFIXES:
        storage: Any = storage_of(path)
        _fill(storage, run)
        storage.engine.dispose()
        return
    gathered = _Logs()
    _fill(storages.JournalStorage(gathered), run)
    storages.journal.JournalFileBackend(str(path)).append_logs(gathered.logs)


def _fill(storage: BaseStorage, run: Run) -> None:
    objectives = run.config.objectives
    study = _import_optuna().create_study(
        study_name=run.folder.resolve().name,
        storage=storage,
        directions=[objective.direction for objective in objectives],
    )
    study.set_metric_names([_name(objective) for objective in objectives])
    for name, value in _facts(run).items():
        study.set_user_attr(name, value)
    study.add_trials(study_trials(run))


def study_trials(run: Run) -> list[FrozenTrial]:
    """Return the results of a run as Optuna's trials, by number; of two results of one trial the later one counts.

    Raises:
        MissingDependencyError: Optuna is not installed.
        InvalidInputError: the run's decisions were not kept.
    """
    records = sorted({r.trial.number: r for r in run.records}.values(), key=lambda record: record.trial.number)
    decisions = run.decisions
    if records and len(decisions) != len(records[0].trial.architecture.choices):
        raise InvalidInputError(
            f"{run.folder} did not keep the decisions of its space, which a study's parameters are."
        )
    categorical = _import_optuna().distributions.CategoricalDistribution
    with _quiet():
        distributions = {d.name: categorical([_plain(option, d) for option in d.options]) for d in decisions}
        return [_frozen(run, record, decisions, distributions) for record in records]


def _frozen(
    run: Run,
    record: Record,
    decisions: Sequence[Decision],
    distributions: dict[str, CategoricalDistribution],
) -> FrozenTrial:
    optuna = _import_optuna()
    trial, measurement = record.trial, record.measurement
    objectives = run.config.objectives
    values = [v for o in objectives if (v := objective_value(record, o)) is not None]
    complete = measurement.ok and len(values) == len(objectives)
    states = optuna.trial.TrialState
    state = states.COMPLETE if complete else states.PRUNED if measurement.status == "infeasible" else states.FAIL
    epochs = epochs_of(record, default=None)
    steps = {int(epochs): values[0]} if complete and len(objectives) == 1 and epochs is not None else {}
    params = {
        d.name: _plain(option, d)
        for d, choice in zip(decisions, trial.architecture.choices, strict=True)
        if (option := option_of(d, choice)) is not None
    }
    end = record.time or float(run.header.get("time", 0.0))
    taken = 0.0 if record.reused_from is not None else measurement.seconds
    frozen: FrozenTrial = optuna.trial.FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=state,
        value=None,
        values=values if complete else None,
        datetime_start=datetime.fromtimestamp(end - taken),  # Optuna's are local and without a zone
        datetime_complete=datetime.fromtimestamp(end),
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs=_attributes(record),
        system_attrs={},
        intermediate_values=steps,
    )
    return frozen


def _attributes(record: Record) -> dict[str, Any]:
    trial, measurement = record.trial, record.measurement
    attributes = {
        "trial": trial.number,
        "status": measurement.status,
        **measurement.metrics,
        "error": measurement.error[-LONGEST_ERROR:],
        "worker": record.worker,
        "budget_epochs": trial.budget,
        "parents": list(trial.parents),
        "continues": trial.continues,
        "reused_from": record.reused_from,
    }
    return {name: value for name, value in attributes.items() if value not in (None, "", [])}


def _facts(run: Run) -> dict[str, Any]:
    config = run.config
    return {
        "space": config.space if config.table is None else config.table,
        "controller": config.resolved_controller,
        "data": config.data if config.table is None else "",
        "seed": config.seed,
        "versions": run.header.get("versions", {}),
        "final": run.final,
    }


def _name(objective: Objective) -> str:
    return objective.metric if objective.target is None else f"{objective.metric} weighed by {objective.cost}"


def _plain(option: Option, decision: Decision) -> Option:
    """Return an option as Optuna tells options apart: by ``==``, so that 1, 1.0 and True are one to it."""
    alike = sum(option == other for other in decision.options) > 1
    return f"{option} ({type(option).__name__})" if alike else option


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingDependencyError("an Optuna study needs Optuna: `pip install optuna`.") from None
    return optuna


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log lines and its warnings of experimental parts from the user, inside this block only."""
    logging = _import_optuna().logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
