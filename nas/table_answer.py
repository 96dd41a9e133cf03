"""The answer of a search on a table: the chosen row, in a folder, with how good it is among all."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from controllers.trial import Measurement, Objective
from nas.config import SearchConfig
from nas.errors import InvalidInputError, StorageError
from nas.evaluators.table import Table
from nas.finalizing import FOLDER
from search_spaces.architecture import Architecture, Option

KIND = "row of a table"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ChosenRow:
    """The row that won.

    Attributes:
        folder: where this is written down.
        table: file of the table.
        row: number of the row, from 0.
        architecture: its choices.
        options: the option of every decision, by name.
        metrics: its columns that the search named; ``table_optimum``, the best value of the objective in the
            table, ``distance_from_optimum``, >= 0, and ``rank``, 1 for the best row.
    """

    folder: Path
    table: str
    row: int
    architecture: Architecture
    options: dict[str, Option]
    metrics: dict[str, float]

    def network(self) -> NoReturn:
        """Refuse: a table holds measurements, not networks.

        Raises:
            InvalidInputError: always.
        """
        raise InvalidInputError(
            f"row {self.row} of {self.table} is a measurement, there is no network to build: "
            "search a space that builds some, such as --space nasnet."
        )


def table_standing(table: Table, architecture: Architecture, *, objective: Objective) -> dict[str, float]:
    """Return how a row stands among all rows of a table.

    Returns:
        ``table_optimum`` in the objective's own sign, ``distance_from_optimum`` >= 0, and ``rank``, 1 for the best:
        one more than the rows that are better. Nothing for a row without the objective's metrics.
    """
    scores = _scores(table, objective)
    score, best = float(scores[table.space.row(architecture)]), float(np.nanmax(scores))
    if not np.isfinite(score):
        return {}
    sign = 1.0 if objective.direction == "maximize" else -1.0
    return {
        "table_optimum": sign * best,
        "distance_from_optimum": best - score,
        "rank": 1.0 + float(np.count_nonzero(scores > score)),
    }


def _scores(table: Table, objective: Objective) -> npt.NDArray[np.float64]:
    """Return (rows,) scores, larger better; NaN for rows without one."""
    names = [objective.metric, *([objective.cost] if objective.target is not None else [])]
    values = np.column_stack([table.column(name) for name in names])
    scores = np.full(len(values), np.nan)
    for row in np.flatnonzero(np.isfinite(values).all(axis=1)).tolist():
        score = objective.score(Measurement("ok", dict(zip(names, values[row].tolist(), strict=True))))
        scores[row] = np.nan if score is None else score
    return scores


def store_chosen(
    table: Table, architecture: Architecture, *, config: SearchConfig, metrics: dict[str, float], folder: Path
) -> ChosenRow:
    """Write ``best/`` of a run: what was chosen, its numbers, and a word on what there is not.

    Args:
        table: where the row stands.
        architecture: its choices.
        config: the run's settings.
        metrics: what is known of it.
        folder: the run's folder; ``best/`` in it is replaced, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    options = table.space.options(architecture)
    row = table.space.row(architecture)
    chosen = ChosenRow(folder / FOLDER, str(config.table), row, architecture, options, metrics)
    aside = folder / f".{FOLDER}-being-written"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        (aside / "architecture.json").write_text(json.dumps(_description(chosen), indent=2) + "\n")
        (aside / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        (aside / "README.md").write_text(_readme(chosen, config))
        shutil.rmtree(chosen.folder, ignore_errors=True)
        aside.rename(chosen.folder)
    except OSError as error:
        raise StorageError(
            f"cannot store the chosen row in {chosen.folder}: {error.strerror}. The search itself is kept: "
            f"make room, then `{shlex.join(['nas', 'resume', str(folder)])}`."
        ) from None
    return chosen


def load_chosen(folder: Path) -> ChosenRow:
    """Read a chosen row.

    Raises:
        InvalidInputError: the folder holds none, or its files cannot be read.
    """
    try:
        description = json.loads((folder / "architecture.json").read_text())
        if (description["kind"], description["format"]) != (KIND, FORMAT):
            raise InvalidInputError(f"{folder} holds no {KIND} in format {FORMAT}, which this version reads.")
        return ChosenRow(
            folder,
            description["table"],
            description["row"],
            Architecture.from_json(description["architecture"]),
            description["options"],
            json.loads((folder / "metrics.json").read_text()),
        )
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InvalidInputError(f"the chosen row in {folder} cannot be read: {error}.") from None


def _description(chosen: ChosenRow) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": KIND,
        "table": chosen.table,
        "row": chosen.row,
        "architecture": chosen.architecture.to_json(),
        "options": chosen.options,
    }


def _readme(chosen: ChosenRow, config: SearchConfig) -> str:
    metrics = chosen.metrics
    options = ", ".join(f"{name} = {option}" for name, option in chosen.options.items())
    names = [*(objective.metric for objective in config.objectives), config.report_metric]
    numbers = [f"- {name}: {metrics[name]:.6g}" for name in dict.fromkeys(names) if name in metrics]
    if "rank" in metrics:
        numbers += [
            f"- rank {metrics['rank']:.0f} of the rows by the search's objective",
            f"- {metrics['distance_from_optimum']:.6g} from the table's optimum, {metrics['table_optimum']:.6g}",
        ]
    return f"""# The best row of this search

Row {chosen.row} of `{chosen.table}`: {options}.

{chr(10).join(numbers)}

A table holds measurements, not networks: there is nothing to build and there are no weights here.

- `architecture.json`: the row and its choices
- `metrics.json`: its numbers
"""
