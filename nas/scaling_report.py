"""From a scaling's folder to what its page shows: reads files only."""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.errors import InvalidInputError
from nas.journal import FILE_NAME, is_being_written
from nas.report.analysis import Spent, failure_groups, metric_of, spent
from nas.report.scaling_summary import ScalingSummary, Trainings
from nas.report.summary import RunStatus, RunSummary
from nas.run import Run, load
from nas.scaling.family import FIGURE, MEMBERS, TABLE
from nas.scaling.grid import Point, TrainedPoint
from nas.scaling.laws import Coefficients, Factors
from nas.scaling.members import Accuracy, Member
from search_spaces.architecture import Blueprint, Complexity

COMMAND = "command.txt"  # the command that scales, for whoever wants to go on with it or to repeat it
TRAININGS = ("grid", "ablation")
Json = dict[str, Any]


def keep_command(folder: Path, arguments: Sequence[str]) -> None:
    """Keep the command line of a scaling in its folder, with the folder as its --out; nothing where there is none.

    Args:
        folder: the scaling's.
        arguments: words of the command behind ``nas``.
    """
    words = [*arguments]
    if not any(word == "--out" or word.startswith("--out=") for word in words):
        words += ["--out", str(folder)]
    if folder.is_dir():
        with suppress(OSError):  # a full disk costs the page a line, not the user the family
            (folder / COMMAND).write_text(shlex.join(["nas", *words]) + "\n")


def summarize_scaling(folder: Path) -> ScalingSummary:
    """Return what the page of a scaling shows.

    Raises:
        JournalError: a training's journal is damaged.
        InvalidInputError: the family's table cannot be read.
    """
    table = _read_table(folder / TABLE)
    runs = {name: load(folder / name) for name in TRAININGS if (folder / name / FILE_NAME).exists()}
    goes_on = any(is_being_written(folder / name) for name in runs)
    status: RunStatus = "running" if goes_on else "finished" if table else "interrupted"
    files = {name: folder / MEMBERS / f"{name}.json" for name in (m["name"] for m in table.get("members", []))}
    return ScalingSummary(
        name=folder.resolve().name,
        network=table.get("name") or folder.resolve().name,
        status=status,
        coefficients=Coefficients.from_json(table["coefficients"]) if table else None,
        base=_member(table["base"]) if table else None,
        members=[_member(member) for member in table.get("members", [])],
        grid=_points(table, runs, "grid"),
        ablation=_points(table, runs, "ablation"),
        trainings=_trainings(list(runs.values())),
        settings=_settings(runs),
        files=_files(folder),
        commands=_commands(folder, files, runs),
        versions=next((run.header["versions"] for run in runs.values()), {}),
        member_files={name: str(path) for name, path in files.items() if path.exists()},
        notes=[*table.get("notes", []), *_how_on(folder, status)],
    )


def _how_on(folder: Path, status: RunStatus) -> list[str]:
    if status != "interrupted":
        return []
    return [f"To go on, repeat the nas scale command with --out {folder}: what is trained is not trained again"]


def _read_table(path: Path) -> Json:
    try:
        table = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}. Repeat the command with the same --out.") from None
    if not isinstance(table, dict) or not {"name", "coefficients", "base", "members"} <= table.keys():
        raise InvalidInputError(f"{path} holds no family: repeat the command with the same --out.")
    return table


def _member(data: Json) -> Member:
    intended = Factors(**{name: value for name, value in data["intended"].items() if name != "macs"})
    return Member(
        data["name"],
        data["law"],
        data["phi"],
        Blueprint.from_json(data["blueprint"]),
        intended,
        Factors(**data["realised"]),
        data["intended"]["macs"],
        data["layers"],
        data["params"],
        data["macs"],
        data["memory_bytes"],
        data["latency_ms"],
        _accuracy(data),
        data["budgets"],
        data["used"],
    )


def _accuracy(data: Json | None) -> Accuracy | None:
    if not data or data["val_accuracy"] is None:
        return None
    return Accuracy(data["val_accuracy"], data["val_accuracy_std"], data["seeds"])


def _points(table: Json, runs: dict[str, Run], kind: str) -> list[TrainedPoint]:
    """Return the points with their results: of the family's table, or of the journal while there is none."""
    if table.get(kind):
        return [
            TrainedPoint(_point(entry), Complexity(entry["params"], entry["macs"]), _accuracy(entry["accuracy"]))
            for entry in table[kind]
        ]
    return _points_so_far(runs[kind]) if kind in runs else []


def _point(data: Json) -> Point:
    coefficients = Coefficients.from_json(data["coefficients"]) if data["coefficients"] else None
    return Point(data["label"], Blueprint.from_json(data["blueprint"]), data["law"], coefficients)


def _points_so_far(run: Run) -> list[TrainedPoint]:
    """Return the points of a training that goes on; what is not trained yet has no cost."""
    found: dict[Blueprint, list[Json]] = {}
    points = [_point(entry) for entry in run.header["points"]]
    for record in run.records:
        if record.measurement.ok and record.reused_from is None:
            blueprint = points[record.trial.architecture.choices[0]].blueprint
            found.setdefault(blueprint, []).append(dict(record.measurement.metrics))
    trained = []
    for point in points:
        results = found.get(point.blueprint, [])
        values = [result["val_accuracy"] for result in results]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        accuracy = Accuracy(statistics.fmean(values), spread, len(values)) if values else None
        cost = results[0] if results else {}
        counted = Complexity(int(cost.get("params", 0)), int(cost.get("macs", 0)))
        trained.append(TrainedPoint(point, counted, accuracy))
    return trained


def _trainings(runs: Sequence[Run]) -> Trainings:
    costs = [_cost(run) for run in runs]
    epochs = [cost.network_epochs for cost in costs if cost.network_epochs is not None]
    macs = [cost.trained_macs for cost in costs if cost.trained_macs is not None]
    return Trainings(
        planned=sum(run.config.trials for run in runs),
        done=sum(record.reused_from is None for run in runs for record in run.records),
        worker_s=sum(cost.worker_s for cost in costs),
        seconds=sum(_wall_seconds(run) for run in runs) if runs else None,
        network_epochs=sum(epochs) if len(epochs) == len(costs) and costs else None,
        trained_macs=sum(macs) if len(macs) == len(costs) and costs else None,
        failures=failure_groups([record for run in runs for record in run.records]),
    )


def _cost(run: Run) -> Spent:
    images = run.header.get("data", {}).get("images", {}).get("train")
    counted = images if any(metric_of(record, "macs") is not None for record in run.records) else None
    epochs = run.config.search_recipe.epochs
    return spent(RunSummary(run.folder.name, records=run.records, epochs=epochs, train_images=counted))


def _wall_seconds(run: Run) -> float:
    start = run.header.get("time")
    return max((record.time for record in run.records), default=start) - start if start else 0.0


def _settings(runs: dict[str, Run]) -> dict[str, str]:
    run = next(iter(runs.values()), None)
    if run is None:
        return {}
    config, recipe = run.config, run.config.search_recipe
    changes = ", ".join(f"{name}={value}" for name, value in config.recipe_changes.items() if name != "epochs")
    settings = {
        "Data set": config.data,
        "Train limit": "" if config.train_limit is None else f"{config.train_limit:,} images",
        "Base images": "" if config.resolution is None else f"{config.resolution} pixels",
        "Recipe": f"{recipe.name}, {recipe.epochs} epoch{'' if recipe.epochs == 1 else 's'}"
        + (f", {changes}" if changes else ""),
        "Seeds a point": str(run.header["seeds"]),
        "Seed": str(config.seed),
        "Executor": config.executor,
        "Workers": str(config.workers or ""),
        **{f"Points of the {name}": str(len(one.header["points"])) for name, one in runs.items()},
    }
    return {term: value for term, value in settings.items() if value}


def _files(folder: Path) -> dict[str, str]:
    files = {
        MEMBERS: "every member's blueprint, for nas train and nas.build",
        TABLE: "all numbers of this page",
        FIGURE: "the ablation's figure",
        **{f"{name}/{FILE_NAME}": f"every training of the {name} and its result" for name in TRAININGS},
    }
    return {str(folder / name): what for name, what in files.items() if (folder / name).exists()}


def _commands(folder: Path, members: dict[str, Path], runs: dict[str, Run]) -> dict[str, str]:
    commands = {}
    with suppress(OSError):
        commands["Repeat it, or go on where it was"] = (folder / COMMAND).read_text().strip()
    last = next((path for path in reversed(members.values()) if path.exists()), None)
    if last is not None:
        data = f" --data {shlex.quote(next(iter(runs.values())).config.data)}" if runs else ""
        commands["Train a member to the end"] = f"nas train {shlex.quote(str(last))}{data}"
    return commands
