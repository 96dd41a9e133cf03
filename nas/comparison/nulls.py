"""What finding nothing would give: random architectures of the same space, and random search with as many trials.

A found network that is no better than these owes its accuracy to the space (Li 2019, Yu 2020, Yang 2020,
https://arxiv.org/abs/1912.12522).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.building import space_of
from nas.comparison.competitors import Competitor, Entry
from nas.config import SearchConfig
from nas.errors import InvalidInputError
from nas.journal import FILE_NAME
from nas.ranking import is_new_network
from nas.run import Run, load
from nas.scaling.counting import count, why_refused
from nas.screening import Constraints
from nas.searching import resume, start
from nas.watching import Watcher
from search_spaces.architecture import Architecture, Blueprint, expect_keys
from search_spaces.local_file import kept_specification
from search_spaces.randomness import derive_generator, derive_seed

SEEDS = 1  # trainings of a random architecture: their spread is over architectures
DRAWS = 300  # for each architecture that is wanted: constraints may leave little of a space
# where a search runs is the comparison's matter; what it searches, the found run's
WHERE = ("executor", "workers", "gpus_per_worker", "address", "threads", "device")


@dataclass(frozen=True, slots=True)
class RandomSearch:
    """A random search to be run before the comparison.

    Attributes:
        label: of its winner in the comparison.
        config: the found run's settings, with random proposals.
        name: of its folder inside the comparison's.
        like: label of the found network, whose size its winner has.
    """

    label: str
    config: SearchConfig
    name: str
    like: str

    def __post_init__(self) -> None:
        """Refuse a folder outside the comparison's: the name may come from somebody else's file."""
        if Path(self.name).name != self.name or self.name in ("", ".."):
            raise InvalidInputError(f"a random search's folder has a plain name, got {self.name!r}.")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"label": self.label, "config": self.config.to_json(), "name": self.name, "like": self.like}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RandomSearch:
        """Read what `to_json` wrote."""
        expect_keys("random search", data, {"label", "config", "name", "like"})
        return cls(data["label"], SearchConfig.from_json(data["config"]), data["name"], data["like"])


def draw_random(entries: Sequence[Entry], *, each: int, seed: int) -> list[Competitor]:
    """Return random architectures of every space and size that competes, which keep the found run's constraints.

    Args:
        entries: the competitors.
        each: how many of each space and size.
        seed: they derive from it.

    Raises:
        InvalidInputError: a number below 0.
    """
    if each < 0:
        raise InvalidInputError(f"--random must be >= 0, got {each}.")
    shapes: dict[Blueprint, Entry] = {}
    for entry in entries:
        network = entry.competitor.blueprint.network
        if isinstance(network, Architecture):
            shapes.setdefault(replace(entry.competitor.blueprint, network=network.space), entry)
    spaces = [shape.network for shape in shapes]
    taken: set[object] = {entry.competitor.identity for entry in entries}
    drawn: list[Competitor] = []
    for number, (shape, entry) in enumerate(shapes.items()):
        like = f", sized as {entry.competitor.label}" if spaces.count(shape.network) > 1 else ""
        drawn += _draw(entry, each, derive_generator(seed, number, "random architectures"), taken, like)
    return drawn


def _draw(entry: Entry, each: int, rng: Any, taken: set[object], like: str) -> list[Competitor]:
    base = entry.competitor
    space = space_of(base.blueprint, folder=base.folder)
    name = space.name.partition("#")[0]
    bounds = entry.search.constraints if entry.search is not None else Constraints()
    found: list[Competitor] = []
    for _ in range(DRAWS * each):
        if len(found) == each:
            break
        blueprint = replace(base.blueprint, network=space.sample(rng))
        label = f"random {name} {len(found) + 1}{like}"
        one = Competitor(label, "random", blueprint, seeds=SEEDS, folder=base.folder)
        if why_refused(blueprint, base.folder) or bounds.broken(count(blueprint, base.folder)):
            continue
        if one.identity not in taken:
            taken.add(one.identity)
            found.append(one)
    group = f"random architecture of {name} ({len(found)} drawn){like}"
    return [replace(one, group=group) for one in found]


def plan_searches(entries: Sequence[Entry], *, trials: int | None, config: SearchConfig) -> list[RandomSearch]:
    """Return the random searches to run: one for every run that competes, with as many trials.

    Args:
        entries: the competitors.
        trials: of each; None for the found run's own, 0 for no random search.
        config: the comparison's, which says where they run.

    Raises:
        InvalidInputError: a number below 0.
    """
    if trials is not None and trials < 0:
        raise InvalidInputError(f"--random-search must be >= 0, got {trials}.")
    runs = [entry for entry in entries if entry.run is not None and entry.search is not None]
    searches = []
    for number, entry in enumerate(runs if trials != 0 else []):
        found = _as_random(entry, trials, config, number)
        name = "random-search" if len(runs) == 1 else f"random-search-{number + 1}"
        found_label = entry.competitor.label
        space = Path(found.space).name.partition("#")[0]
        label = f"random search of {space} ({found.trials} trials){'' if len(runs) == 1 else f' for {found_label}'}"
        searches.append(RandomSearch(label, found, name, found_label))
    return searches


def _as_random(entry: Entry, trials: int | None, config: SearchConfig, number: int) -> SearchConfig:
    assert entry.run is not None
    assert entry.search is not None
    return replace(
        entry.search,
        space=kept_specification(entry.search.space, entry.run),
        controller="random",
        controller_options={},
        prior=None,
        costs=(),
        trials=trials or max(1, _num_trained(load(entry.run))),
        max_seconds=None,
        max_epochs=None,
        # the found search may have begun with random networks of its own seed
        seed=derive_seed(config.seed, number, "random search") % 2**31,
        **{name: getattr(config, name) for name in WHERE},
    )


def carry_out_search(search: RandomSearch, folder: Path, watcher: Watcher, *, where: SearchConfig) -> Run:
    """Run a random search, or go on with it; one that has ended is read. Its winner is trained with the others.

    Args:
        search: what to run.
        folder: the comparison's.
        watcher: told about progress.
        where: executor and device of this session.
    """
    path = folder / search.name
    if not (path / FILE_NAME).exists():
        changes = {name: getattr(where, name) for name in WHERE}
        return start(replace(search.config, **changes), out=path, watcher=watcher, concludes=False)
    run = load(path)
    if _num_trained(run) >= search.config.trials:
        return run
    changes = {name: getattr(where, name) for name in WHERE if name != "threads"}
    return resume(path, watcher=watcher, concludes=False, **changes)


def _num_trained(run: Run) -> int:
    return sum(map(is_new_network, run.records))


def enter_winner(search: RandomSearch, run: Run, entries: Sequence[Competitor]) -> Competitor:
    """Return the winner of a random search as a competitor, sized as the found network of the same run is.

    Args:
        search: what was run.
        run: what it left.
        entries: the competitors, the found network among them.
    """
    ranked = run.ranked()
    if not ranked:
        raise InvalidInputError(f"{run.folder} has no evaluated network: leave random search out, --random-search 0.")
    winner = ranked[0].trial.architecture
    sized = next(entry.blueprint for entry in entries if entry.label == search.like)
    note = f"the best of {run.config.trials} random architectures by {run.config.objective.metric}"
    own = run.folder if (run.folder / "space").is_dir() else None
    return Competitor(search.label, "random search", replace(sized, network=winner), note=note, folder=own)
