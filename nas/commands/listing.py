"""`nas list`: what can be named in the other commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.cli import app

Rows = list[tuple[str, ...]]  # the first one holds the column names


class Listed(StrEnum):
    """What `nas list` can list."""

    spaces = "spaces"
    operations = "operations"
    cells = "cells"
    baselines = "baselines"
    controllers = "controllers"
    datasets = "datasets"
    recipes = "recipes"
    scores = "scores"


@app.command("list")
def list_(kind: Annotated[Listed, typer.Argument(help="What to list.")]) -> None:
    """List what can be named in the other commands.

    Example: nas list controllers
    """
    headers, *rows = _LISTINGS[kind]()
    terminal = Console().is_terminal
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=not terminal)  # a pipe gets whole lines, however long
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False, width=None if terminal else 1000).print(table)


def _spaces() -> Rows:
    from search_spaces.registry import SPACES, get_space

    spaces = [get_space(name) for name in SPACES]
    rows = [(space.name, str(len(space.decisions)), f"{space.size:.1e}") for space in spaces]
    return [("space", "decisions", "points"), *rows]


def _operations() -> Rows:
    from search_spaces.operations import OPERATION_SETS

    return [("set", "operations"), *((name, " ".join(names)) for name, names in OPERATION_SETS.items())]


def _cells() -> Rows:
    from search_spaces.genotypes import CELLS

    return [("cell", "space that holds it", "from"), *((c.name, c.space, c.source) for c in CELLS.values())]


def _baselines() -> Rows:
    from nas.baselines import baselines
    from nas.baselines.counts import known_counts

    rows: Rows = [("network", "year", "input", "parameters", "MACs", "top-1 error", "top-5 error", "paper")]
    for baseline in baselines().values():
        cost = known_counts()[baseline.name]
        errors = _errors(baseline.top1_error, baseline.top5_error)
        size = f"{baseline.channels}x{baseline.resolution}x{baseline.resolution}"
        counts = (f"{cost.params:,}", f"{cost.macs:,}")
        rows.append((baseline.name, str(baseline.year), size, *counts, *errors, baseline.paper))
    return [*rows, *_published_cell_networks()]


def _errors(*errors: float | None) -> list[str]:
    return [f"{error:g} %" if error is not None else "-" for error in errors]


def _published_cell_networks() -> Rows:
    from nas.building import complexity
    from search_spaces.genotypes import CELLS, NETWORKS, published_blueprint

    rows: Rows = []
    for name, network in NETWORKS.items():
        cost = complexity(published_blueprint(name))
        size = f"3x{network.resolution}x{network.resolution}"
        counts = (f"{cost.params:,}", f"{cost.macs:,}")
        source = CELLS[network.cells].source
        rows.append(
            (
                name,
                *re.findall(r"\d{4}", source)[:1],
                size,
                *counts,
                *_errors(network.top1_error, network.top5_error),
                source,
            )
        )
    return rows


def _controllers() -> Rows:
    from controllers.registry import CONTROLLERS

    return [("controller", "what it does"), *((name, kind.description) for name, kind in CONTROLLERS.items())]


def _datasets() -> Rows:
    from nas.data import DATASETS

    rows: Rows = [("data set", "image", "classes", "images", "licence")]
    for dataset in DATASETS.values():
        shape = "x".join(map(str, dataset.shape)) if dataset.shape else "any"
        rows.append((dataset.name, shape, str(dataset.classes or "any"), dataset.images, dataset.licence))
    return rows


def _recipes() -> Rows:
    from nas.training.recipe import RECIPES, SOURCES

    shown = ("name", "epochs", "batch_size", "optimizer", "learning_rate", "schedule")
    head = ("recipe", "epochs", "batch", "optimizer", "rate", "schedule")
    rows: Rows = [(*head, "and, where it is not the default", "from")]
    for recipe in RECIPES.values():
        changed = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name not in shown}
        defaults = {field.name: field.default for field in fields(recipe)}
        settings = [f"{name}={_short(value)}" for name, value in changed.items() if value != defaults[name]]
        rows.append((*(_short(getattr(recipe, name)) for name in shown), ", ".join(settings), SOURCES[recipe.name]))
    return rows


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_short, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _scores() -> Rows:
    from nas.evaluators.training_free import TRAINING_FREE

    return [("score", "what it is"), *((score.name, score.description) for score in TRAINING_FREE.values())]


_LISTINGS: dict[Listed, Callable[[], Rows]] = {
    Listed.spaces: _spaces,
    Listed.operations: _operations,
    Listed.cells: _cells,
    Listed.baselines: _baselines,
    Listed.controllers: _controllers,
    Listed.datasets: _datasets,
    Listed.recipes: _recipes,
    Listed.scores: _scores,
}
