"""Comparing networks: from what a user names to rows, and the files that they become."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.comparison.competitors import Competitor, Entrant
from nas.comparison.figures import draw_figures
from nas.comparison.nulls import carry_out_search, enter_winner
from nas.comparison.page import PAGE, render_page
from nas.comparison.plan import (
    Plan,
    Terms,
    expected_cost,
    keep_plan,
    load_images,
    make_plan,
    own_copy,
    read_plan,
    scaled_alike,
)
from nas.comparison.results import Comparison, read_comparison
from nas.comparison.tables import csv_text
from nas.comparison.testing import costs_of, measure_tests, profile_all, tested_of
from nas.comparison.training import ComparisonProblem, carry_out_trainings, check_device
from nas.config import SearchConfig
from nas.errors import InvalidInputError, StorageError
from nas.report.figures import save_figure
from nas.report.frame import write_page
from nas.scaling.training import TRANSIENT, open_journal
from nas.watching import Watcher

RESULTS = Path("results")
TABLE, SPREADSHEET = "comparison.json", "results.csv"
RECIPE = "quick"
FINAL = "final"


def compare(
    networks: Sequence[Entrant],
    *,
    data: str = "digits",
    seeds: int = 3,
    budget_seconds: float | None = None,
    equal_macs: float | str | None = None,
    random: int = 3,
    random_search: int | None = None,
    include_smaller: bool = False,
    measure: bool = True,
    out: str | Path | None = None,
    watcher: Watcher | None = None,
    command: str = "",
    **settings: Any,
) -> Comparison:
    """Train networks alike, with several seeds, and say which is better and whether that could be chance.

    A trained network competes as what it is, not by its weights: all are trained anew, on training and validation
    images, and looked at on the test images once, at the end. Where an architecture of a space competes, random
    architectures of that space do too; where a run does, so does a random search of as many trials.

    Args:
        networks: runs, stored networks, blueprints, architectures, folders and files of these, or names.
        data: on what images.
        seeds: trainings of each network.
        budget_seconds: of training each; the recipe's epochs are then as many as fit.
        equal_macs: scale all in depth and width to so many multiply-accumulates, or to those of the ``first``.
        random: random architectures of each space that competes.
        random_search: its trials; None for those of the run that competes, 0 for none.
        include_smaller: add every hand-designed network of no more MACs than the first competitor.
        measure: whether latency is measured.
        out: the comparison's folder; one that was stopped there is gone on with. By default a new one.
        watcher: told about progress.
        command: how this is repeated, for the page.
        **settings: fields of `nas.config.SearchConfig`: recipe ("quick" unless said), recipe_changes, resolution,
            train_limit, data_root, seed, executor, workers, device and so on.

    Raises:
        NASError: a network, a number or a data set that cannot be, in words that say what to do.
    """
    for name in settings:
        if name not in SearchConfig.__dataclass_fields__:
            raise TypeError(f"compare() has no argument {name!r}.")
    if isinstance(networks, str | Path):
        raise InvalidInputError(f"networks are a list, got {networks!r}: put it into one.")
    config = SearchConfig(**{"recipe": RECIPE, **settings, "data": data})
    check_device(config)
    terms = Terms(seeds, budget_seconds, equal_macs, random, random_search, include_smaller, measure)
    plan = make_plan(networks, terms, config, command=command)
    folder = Path(out) if out is not None else new_folder(plan)
    return carry_out(plan, folder, watcher or Watcher())


def resume_comparison(folder: str | Path, *, watcher: Watcher | None = None, **changes: Any) -> Comparison:
    """Go on with a comparison where it was; where it runs may change.

    Args:
        folder: the comparison's.
        watcher: told about progress.
        **changes: new values for executor, workers, device and so on; None changes nothing.

    Raises:
        InvalidInputError: no comparison, or a change to what decides its results.
    """
    plan = read_plan(Path(folder))
    for name, value in changes.items():
        if value is not None and (name not in TRANSIENT or name in ("trials", "max_seconds")):
            raise InvalidInputError(f"{folder} is a comparison, which goes on with its own {name}: leave it out.")
    config = plan.config.with_changes(changes)
    if changes.get("executor") == "serial":
        config = replace(config, workers=changes.get("workers"))
    check_device(config)
    return carry_out(replace(plan, config=config), Path(folder), watcher or Watcher())


def carry_out(plan: Plan, folder: Path, watcher: Watcher) -> Comparison:
    """Search at random, train, test, profile and write; whatever is there already is left as it is."""
    data = load_images(plan.config)
    for line in expected_cost(plan, data):
        watcher.said(line)
    plan = keep_plan(plan, folder)
    competitors = _with_winners(plan, folder, watcher)
    problem = ComparisonProblem.of(plan, competitors)
    watcher.prepared(folder, problem.config, problem.describe())
    journal, events = open_journal(folder, problem, watcher)
    try:
        records = carry_out_trainings(problem, journal, events, folder=folder, watcher=watcher)
        known = tested_of(events)
        tests = measure_tests(problem, records, journal, known=known, folder=folder, watcher=watcher)
        costs = costs_of(events)
        config, measure = plan.config, plan.terms.measure
        profile_all(competitors, journal, known=costs, where=config, measure=measure, watcher=watcher)
        if len(tests) > len(known) or not any(event.kind == FINAL for event in events):
            journal.append(FINAL, {"tested": len(tests)})
    finally:
        journal.close()
    comparison = read_comparison(folder)
    write_comparison(comparison)
    return comparison


def _with_winners(plan: Plan, folder: Path, watcher: Watcher) -> tuple[Competitor, ...]:
    """Return all competitors, the winners of random searches too; one that competes already is not trained twice."""
    competitors = list(plan.competitors)
    for search in plan.searches:
        run = carry_out_search(search, folder, watcher, where=plan.config)
        winner = own_copy(scaled_alike(enter_winner(search, run, plan.competitors), plan), folder)
        twin = next((one for one in competitors if one.identity == winner.identity and one.kind != "random"), None)
        if twin is None:
            competitors.append(winner)
        else:
            watcher.said(f"the winner of the {search.label} is {twin.label} itself")
    return tuple(competitors)


def write_comparison(comparison: Comparison) -> Path:
    """Write the table as JSON and CSV, the figures and the page; return the page's path.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder = comparison.folder
    try:
        (folder / TABLE).write_text(json.dumps(comparison.to_json(), indent=2) + "\n")
        (folder / SPREADSHEET).write_text(csv_text(comparison.rows))
        for name, figure in draw_figures(comparison.rows).items():
            save_figure(figure, folder / f"{name}.svg")
        write_page(render_page(comparison), folder / PAGE)
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror}. Make room, then compare again.") from None
    return folder / PAGE


def new_folder(plan: Plan) -> Path:
    """Return the first free name under ``results/``."""
    first, data = (_plain(name)[:60] for name in (plan.competitors[0].label, plan.config.data))
    number = 1
    while (RESULTS / f"compare-{first}-{data}-{number}").exists():
        number += 1
    return RESULTS / f"compare-{first}-{data}-{number}"


def _plain(name: str) -> str:
    """Return what of a name can be part of a folder's."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
