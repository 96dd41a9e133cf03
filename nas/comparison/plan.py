"""The plan of a comparison: who competes, how each is trained, and what it will cost. It is kept in the folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nas.baselines.registry import names
from nas.building import get_blueprint, space_of
from nas.comparison.competitors import Competitor, Entrant, Entry, find_entries, run_resolution
from nas.comparison.nulls import RandomSearch, draw_random, plan_searches
from nas.config import SearchConfig
from nas.data import ImageData, load_data
from nas.errors import InvalidInputError, StorageError
from nas.progress import short_count
from nas.scaling.budgets import Budgets
from nas.scaling.counting import why_refused
from nas.scaling.dimensions import make_scaler
from nas.scaling.laws import make_law
from nas.scaling.solver import solve
from nas.scaling.training import TRANSIENT
from search_spaces.architecture import Architecture, Blueprint, expect_keys
from search_spaces.local_file import save_source

FILE = "compare.json"  # in the folder of a comparison, and in no search's
FORMAT = 1
FIRST = "first"  # as the budget of MACs: those of the first competitor
SPACES = "spaces"
UNFINISHED = f".{FILE}.tmp"  # and spaces are what a comparison leaves that was killed as it began
BACKWARD = 2  # a backward pass costs about twice the multiply-accumulates of a forward one


@dataclass(frozen=True, slots=True)
class Terms:
    """What a comparison is to be like, beside its networks.

    Attributes:
        seeds: trainings of each network.
        budget_s: seconds of training each; None for the recipe's epochs.
        equal_macs: multiply-accumulates that all are scaled to, or ``first``; None to leave sizes as they are.
        random: random architectures of every space that competes.
        random_search: trials of random search; None for those of the run, 0 for none.
        include_smaller: whether hand-designed networks of no more MACs than the first competitor are added.
        measure: whether latency is measured.
    """

    seeds: int = 3
    budget_s: float | None = None
    equal_macs: float | str | None = None
    random: int = 3
    random_search: int | None = None
    include_smaller: bool = False
    measure: bool = True

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        if self.seeds < 1:
            raise InvalidInputError(f"--seeds must be at least 1, got {self.seeds}.")
        if self.budget_s is not None and not self.budget_s > 0:
            raise InvalidInputError(f"--budget-seconds must be larger than 0, got {self.budget_s}.")
        macs = self.equal_macs
        if macs is not None and macs != FIRST and (isinstance(macs, str) or not macs > 0):
            raise InvalidInputError(f"--equal-macs takes a count like 20M, or {FIRST!r}, got {macs!r}.")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a comparison is, before its random searches have winners.

    Attributes:
        config: data, recipe, seed and executor, as of a search.
        terms: see `Terms`.
        competitors: all but the winners of random searches.
        searches: to be run first.
        notes: what is to be known, in lines.
        command: by which it is repeated; empty where it was started from Python.
    """

    config: SearchConfig
    terms: Terms
    competitors: tuple[Competitor, ...]
    searches: tuple[RandomSearch, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    command: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        terms = {name: getattr(self.terms, name) for name in Terms.__dataclass_fields__}
        return {
            "format": FORMAT,
            "config": self.config.to_json(),
            "terms": terms,
            "competitors": [one.to_json() for one in self.competitors],
            "searches": [one.to_json() for one in self.searches],
            "notes": list(self.notes),
            "command": self.command,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """Read what `to_json` wrote."""
        expect_keys("comparison", data, {"format", "config", "terms", "competitors", "searches", "notes", "command"})
        return cls(
            SearchConfig.from_json(data["config"]),
            Terms(**data["terms"]),
            tuple(Competitor.from_json(one) for one in data["competitors"]),
            tuple(RandomSearch.from_json(one) for one in data["searches"]),
            tuple(data["notes"]),
            data["command"],
        )


def make_plan(entrants: Sequence[Entrant], terms: Terms, config: SearchConfig, *, command: str = "") -> Plan:
    """Find the networks, size them, and add what they are to be measured against.

    Args:
        entrants: what the user named.
        terms: see `Terms`.
        config: data, recipe, seed and executor.
        command: by which the comparison is repeated.

    Raises:
        NASError: a name, a size or a data set that cannot be, in words that say what to do.
    """
    if config.resolution is None:
        config = replace(config, resolution=run_resolution(entrants, config.data))
    data = load_images(config)
    entries, notes = find_entries(entrants, data, config)
    if terms.include_smaller:
        entries, found = _with_smaller(entries, data)
        notes += found
    drawn = [Entry(one) for one in draw_random(entries, each=terms.random, seed=config.seed)]
    searches = plan_searches(entries, trials=terms.random_search, config=config)
    competitors = [entry.competitor for entry in (*entries, *drawn)]
    if terms.equal_macs is not None:
        competitors, found = _scaled(competitors, terms.equal_macs)
        notes += found
    if terms.seeds == 1:
        notes.append("one training each: no spread over trainings can be given, and none is tested for")
    return Plan(config, terms, tuple(competitors), tuple(searches), tuple(notes), command)


def load_images(config: SearchConfig) -> ImageData:
    """Return all three splits.

    Raises:
        InvalidInputError: there are no test images to compare on.
    """
    data = load_data(
        config.data,
        root=config.data_root,
        download=config.download,
        resolution=config.resolution,
        train_limit=config.train_limit,
    )
    if not len(data.test):
        raise InvalidInputError(f"{data.name} has no test images with labels, and those decide a comparison.")
    return data


def _with_smaller(entries: list[Entry], data: ImageData) -> tuple[list[Entry], list[str]]:
    """Return the entries with every hand-designed network of no more MACs than the first, and a line on them."""
    first = entries[0].competitor
    macs = first.cost.macs
    known = {entry.competitor.identity for entry in entries}
    added, refused = [], []
    for name in names():
        blueprint = get_blueprint(name, classes=data.classes, input_shape=data.input_shape)
        competitor = Competitor(name, "baseline", blueprint)
        if why_refused(blueprint):
            refused.append(name)
        elif competitor.cost.macs <= macs and blueprint not in known:
            added.append(Entry(competitor))
    bound = f"no more MACs than {first.label} ({short_count(macs)})"
    notes = [f"{len(added)} hand-designed networks of {bound} were added: {_listed(added)}"]
    if refused:
        notes.append(f"left out, since they cannot take images of {data.input_shape[1]} pixels: {', '.join(refused)}")
    return [*entries, *added], notes


def _listed(entries: Sequence[Entry]) -> str:
    return ", ".join(entry.competitor.label for entry in entries) or "none"


def _scaled(competitors: Sequence[Competitor], wanted: float | str) -> tuple[list[Competitor], list[str]]:
    """Return the competitors at one budget of MACs, by depth and width: all see the images that they saw before.

    What cannot be scaled competes as it is, if it has no more.
    """
    first = competitors[0]
    budget = float(first.cost.macs if isinstance(wanted, str) else wanted)
    scaled, used = [], []
    for one in competitors:
        blueprint = one.blueprint if one is first and isinstance(wanted, str) else _at_macs(one, budget)
        found = replace(one, blueprint=blueprint)
        scaled.append(found)
        used.append(found.cost.macs / budget)
    source = f"those of {first.label}" if isinstance(wanted, str) else "as asked for"
    spread = f"they use {min(used):.0%} to {max(used):.0%} of it"
    return scaled, [f"scaled in depth and width to {short_count(budget)} MACs, {source}; {spread}"]


def _at_macs(competitor: Competitor, budget: float) -> Blueprint:
    try:
        scaler = make_scaler(competitor.blueprint, competitor.folder)
        missing = tuple(dict.fromkeys((*scaler.missing, "resolution")))
        scaler = replace(scaler, missing=missing)
        return solve(scaler, make_law("compound"), Budgets(macs=budget)).blueprint
    except InvalidInputError as error:
        if competitor.cost.macs <= budget:  # as it is, it has no advantage
            return competitor.blueprint
        raise InvalidInputError(f"--equal-macs cannot scale {competitor.label}: {error}") from None


def scaled_alike(competitor: Competitor, plan: Plan) -> Competitor:
    """Return a competitor that came later at the budget of MACs that the others were scaled to, if they were."""
    wanted = plan.terms.equal_macs
    if wanted is None:
        return competitor
    budget = float(plan.competitors[0].cost.macs if isinstance(wanted, str) else wanted)
    return replace(competitor, blueprint=_at_macs(competitor, budget))


def expected_cost(plan: Plan, data: ImageData) -> list[str]:
    """Return lines on what the comparison will cost, before anything is trained.

    Args:
        plan: the comparison's.
        data: its images.
    """
    competitors, terms, recipe = plan.competitors, plan.terms, plan.config.search_recipe
    trainings = sum(min(one.seeds or terms.seeds, terms.seeds) for one in competitors)
    trainings += len(plan.searches) * terms.seeds
    networks = len(competitors) + len(plan.searches)
    images = len(data.train) + len(data.validation)
    how = f"by recipe {recipe.name!r}"
    head = f"{networks} networks on {data.name}, {trainings} trainings"
    lines = [f"{head} of {images:,} images; {len(data.test):,} test images are looked at once, at the end"]
    if terms.budget_s is not None:
        lines.append(f"{terms.budget_s:g} seconds of training each, {how}: {trainings * terms.budget_s:,.0f} s in all")
    else:
        macs = sum(
            one.cost.macs * min(one.seeds or terms.seeds, terms.seeds) * recipe.epochs * images * (1 + BACKWARD)
            for one in competitors
        )
        lines.append(
            f"{recipe.epochs} epoch{'' if recipe.epochs == 1 else 's'} each {how}: "
            f"{trainings * recipe.epochs:,} network-epochs, about "
            f"{macs:.2g} MACs forward and backward"
        )
    for search in plan.searches:
        epochs = search.config.search_recipe.epochs
        lines.append(f"before that, {search.label}: {search.config.trials} networks of {epochs} epochs")
    for one in competitors:
        cost = one.cost
        note = f" ({one.note})" if one.note else ""
        lines.append(f"  {one.label}: {short_count(cost.params)} parameters, {short_count(cost.macs)} MACs{note}")
    return [*lines, *plan.notes]


def is_comparison(folder: Path) -> bool:
    """Return whether a folder holds a comparison."""
    return (folder / FILE).is_file()


def read_plan(folder: Path) -> Plan:
    """Read the plan in a comparison's folder.

    Raises:
        InvalidInputError: there is none, or it cannot be read.
    """
    try:
        return Plan.from_json(json.loads((folder / FILE).read_text()))
    except FileNotFoundError:
        raise InvalidInputError(f"{folder} holds no comparison: it has no {FILE}.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"{folder / FILE} cannot be read: {error}.") from None


def keep_plan(plan: Plan, folder: Path) -> Plan:
    """Write the plan into its folder, with copies of users' own spaces, and return it as it was written.

    Raises:
        InvalidInputError: the folder holds another comparison.
        StorageError: it cannot be written.
    """
    if is_comparison(folder):
        _check_same(read_plan(folder), plan, folder)
    elif folder.is_dir() and any(path.name not in (SPACES, UNFINISHED) for path in folder.iterdir()):
        raise InvalidInputError(f"{folder} holds something else: give another --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plan = replace(plan, competitors=tuple(own_copy(one, folder) for one in plan.competitors))
        unfinished = folder / UNFINISHED
        unfinished.write_text(json.dumps(plan.to_json(), indent=2) + "\n")
        unfinished.replace(folder / FILE)
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror}. Make room, then compare again.") from None
    return plan


def own_copy(competitor: Competitor, folder: Path) -> Competitor:
    """Return a competitor whose own space is read from a copy in this folder; others need no folder."""
    if not isinstance(competitor.blueprint.network, Architecture):
        return replace(competitor, folder=None)
    space = space_of(competitor.blueprint, folder=competitor.folder)
    copy = (folder / SPACES / space.name.rpartition("#")[2]).absolute()
    return replace(competitor, folder=copy if save_source(space, copy) is not None else None)


def _check_same(before: Plan, now: Plan, folder: Path) -> None:
    if now.terms.seeds < before.terms.seeds:
        raise InvalidInputError(
            f"{folder} holds {before.terms.seeds} seeds a network, got --seeds {now.terms.seeds}: give as many, or "
            "more."
        )
    mine, theirs = _lasting(now), _lasting(before)
    for name, value in mine.items():
        if value != theirs[name]:
            raise InvalidInputError(
                f"{folder} holds a comparison with other {name}: give the same command, or another --out."
            )


def _lasting(plan: Plan) -> dict[str, Any]:
    """Return what may not change when a comparison goes on, by what it is called."""
    data = plan.to_json()
    config = {name: value for name, value in data["config"].items() if name not in TRANSIENT}
    terms = {name: value for name, value in data["terms"].items() if name not in ("seeds", "measure")}
    networks = [{**one, "folder": None} for one in data["competitors"]]
    searches = [(one["label"], one["config"]["seed"], one["config"]["trials"]) for one in data["searches"]]
    return {"settings": config, "terms": terms, "networks": networks, "random searches": searches}
