"""The trials of a run as a pandas data frame. Pandas is imported when one is made, never before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from controllers.trial import Record
from nas.errors import MissingDependencyError
from nas.report.analysis import epochs_of
from search_spaces.architecture import Decision, Option

if TYPE_CHECKING:
    import pandas as pd

    from nas.run import Run

BEFORE = ("number", "status")  # columns that stand before decisions and metrics
AFTER = ("seconds", "epochs", "worker", "parents", "continues", "reused_from", "time", "error")
# what the metrics of a training are; an empty run has these columns too
USUAL_METRICS = ("val_accuracy", "params", "macs")


def trial_frame(run: Run) -> pd.DataFrame:
    """Return a row a trial, in the order of their numbers; of two results of one trial the later one counts.

    Columns: ``number``; ``status``; a column a decision, holding the option that was taken; a column a metric, with
    its unit in its name, NaN where there is none; ``seconds`` of the evaluation and ``epochs`` of training behind it;
    ``worker``; ``parents``, a tuple of numbers; ``continues`` and ``reused_from``, numbers of other trials or <NA>;
    ``time``, the end of the evaluation (UTC); and ``error``. A decision whose name is that of another column is
    called ``decision_NAME``.

    Args:
        run: finished or not; without results the frame is empty and has its columns.

    Raises:
        MissingDependencyError: pandas is not installed.
    """
    pandas = _import_pandas()
    records = sorted({r.trial.number: r for r in run.records}.values(), key=lambda record: record.trial.number)
    metrics = metric_names(run)
    decisions = decision_columns(run.decisions, taken={*BEFORE, *AFTER, *metrics})
    default = run.config.search_recipe.epochs if _trains(run) else None
    rows = [_row(record, decisions, metrics=metrics, default_epochs=default) for record in records]
    frame = pandas.DataFrame(rows, columns=[*BEFORE, *decisions, *metrics, *AFTER])
    kinds = dict.fromkeys(("continues", "reused_from"), "Int64") | {"number": "int64", "seconds": "float64"}
    frame = frame.astype(kinds | dict.fromkeys(("epochs", *metrics), "float64"))
    times = pandas.to_datetime(frame["time"].astype("float64"), unit="s", utc=True)
    return frame.assign(time=times.dt.as_unit("us"))  # an empty frame's would be of another unit


def metric_names(run: Run) -> list[str]:
    """Return the metrics of a run's results, in the order in which they were met; without any, those to be expected."""
    config = run.config
    asked = [config.objective.metric, *([config.report_metric] if config.report_metric else []), *config.costs]
    usual = USUAL_METRICS if config.table is None else ()
    measured = [name for record in run.records for name in record.measurement.metrics]
    return list(dict.fromkeys(measured or (*asked, *usual)))


def decision_columns(decisions: Sequence[Decision], *, taken: set[str]) -> dict[str, Decision]:
    """Return decisions by the names of their columns, none of which is taken."""
    return {f"decision_{d.name}" if d.name in taken else d.name: d for d in decisions}


def option_of(decision: Decision, choice: int) -> Option | None:
    """Return the option of an index; None where a kept space has changed since and lacks it."""
    return decision.options[choice] if choice < len(decision) else None


def _row(
    record: Record, decisions: Mapping[str, Decision], *, metrics: Sequence[str], default_epochs: int | None
) -> dict[str, Any]:
    trial, measurement = record.trial, record.measurement
    chosen = zip(decisions.items(), trial.architecture.choices, strict=False)
    return {
        "number": trial.number,
        "status": measurement.status,
        **{name: option_of(decision, choice) for (name, decision), choice in chosen},
        **{name: measurement.metrics.get(name) for name in metrics},
        "seconds": measurement.seconds,
        "epochs": epochs_of(record, default=default_epochs) if measurement.ok else None,
        "worker": record.worker,
        "parents": trial.parents,
        "continues": trial.continues,
        "reused_from": record.reused_from,
        "time": record.time,
        "error": measurement.error,
    }


def _trains(run: Run) -> bool:
    return run.config.table is None and run.config.evaluator == "training"


def _import_pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingDependencyError("a data frame of trials needs pandas: `pip install pandas`.") from None
    return pandas
