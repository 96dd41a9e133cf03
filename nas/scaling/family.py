"""From a network to a family of larger or smaller ones: coefficients, members, and the files that they become."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.building import space_of
from nas.config import SearchConfig
from nas.errors import InvalidInputError, StorageError, UnknownNameError
from nas.scaling.bases import Source, find_base
from nas.scaling.budgets import Budgets
from nas.scaling.dimensions import Scaler, make_scaler
from nas.scaling.grid import TrainedPoint
from nas.scaling.laws import LAWS, PUBLISHED, Coefficients, Law, make_law, parse_coefficients
from nas.scaling.members import Line, Member, check_phis
from nas.scaling.solver import check_reachable
from nas.scaling.training import Training, choose, train_ablation, train_grid
from nas.watching import Watcher
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.local_file import save_source

RESULTS = Path("results")
TABLE = "scaling.json"
MEMBERS = "members"
FIGURE = "ablation.svg"
BOTH = "both"
DEFAULT_PHIS = (1.0, 2.0, 3.0)
Budget = float | Sequence[float]


@dataclass(frozen=True, slots=True)
class Family:
    """What scaling a network gave.

    Attributes:
        name: of the base.
        base: the network that was scaled, as the member at phi = 0.
        coefficients: of the compound law.
        members: in the order in which they were asked for.
        grid, ablation: what was trained for it; empty where nothing was.
        notes: what is to be known of it, in lines.
        folder: where its files lie; None where none were written.
    """

    name: str
    base: Member
    coefficients: Coefficients
    members: tuple[Member, ...]
    grid: tuple[TrainedPoint, ...] = ()
    ablation: tuple[TrainedPoint, ...] = ()
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "name": self.name,
            "coefficients": self.coefficients.to_json(),
            "base": self.base.to_json(),
            "members": [member.to_json() for member in self.members],
            "grid": [point.to_json() for point in self.grid],
            "ablation": [point.to_json() for point in self.ablation],
            "notes": list(self.notes),
            "folder": None if self.folder is None else str(self.folder),
        }

    def file_of(self, member: Member) -> Path | None:
        """Return a member's blueprint file; None where none was written."""
        return None if self.folder is None else self.folder / MEMBERS / f"{member.name}.json"


def scale(
    network: Source,
    *,
    budgets: Mapping[str, Budget] | None = None,
    phi: Iterable[float] | None = None,
    coefficients: Coefficients | str | Sequence[float] | None = None,
    law: str = "compound",
    data: str | None = None,
    seeds: int = 3,
    spacing: float = 0.05,
    ablation: bool | None = None,
    ablation_phis: Sequence[float] = (1.0,),
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    depth: float | None = None,
    width: float | None = None,
    measure: bool = False,
    out: str | Path | None = None,
    watcher: Watcher | None = None,
    **settings: Any,
) -> Family:
    """Scale a network to budgets, or by steps of a law; with `data`, after a search for the law's coefficients.

    Args:
        network: a run or its best network, a blueprint or its file, an architecture, or a name.
        budgets: ``macs``, ``params``, ``memory`` (peak bytes of a forward pass of one image) and ``latency_ms``; one
            number each, or as many as there are members. A member meets all of its budgets.
        phi: steps of the law, negative for smaller networks; 1 to 3 where no budgets are given.
        coefficients: of depth, width and resolution, which are searched for otherwise.
        law: ``compound``; ``fast``, the members of fast compound scaling at the same MACs; or ``both``.
        data: train the grid on this data set. Without it and without coefficients, the published ones are taken.
        seeds: trainings of each point.
        spacing: of the grid.
        ablation: whether single dimensions are trained beside the law; by default if the grid is.
        ablation_phis: at which steps.
        input_shape: (channels, height, width) of the base's images; by default those of the data, or its own.
        classes: of the base; by default those of the data, or its own.
        depth: of the base: N of a cell network, a multiplier of others' repeats; by default its own.
        width: of the base: F of a cell network, a multiplier of others' filters; by default its own.
        measure: whether the members' latency is measured.
        out: folder for journals and members; a stopped training there is gone on with. By default a new one under
            ``results/`` where something is trained, and none otherwise.
        watcher: told about progress.
        **settings: fields of `nas.config.SearchConfig` for the training: recipe, recipe_changes, train_limit, seed,
            executor, workers and so on; ``device`` is also where latency is measured.

    Raises:
        InvalidInputError: a network, a budget or coefficients that cannot be; the message says what to do.
        NASError: the training failed, or a file cannot be written.
    """
    config = _config(data, settings)
    _check_law(law)
    sizes = {"input_shape": input_shape, "classes": classes, "depth": depth, "width": width}
    name, base, own_space = find_base(network, config if data else None, sizes)
    scaler = make_scaler(base, own_space)
    asked = spread_budgets(budgets or {})
    phis = [float(step) for step in (phi if phi is not None else () if asked else DEFAULT_PHIS)]
    check_phis([*phis, *ablation_phis])
    for budget in asked:
        check_reachable(scaler, budget)
    given = None if coefficients is None else _read_coefficients(coefficients)
    trains = data is not None and (given is None or bool(ablation))
    folder = Path(out) if out is not None else new_folder(name) if trains else None
    training = Training(config, seeds, spacing, tuple(ablation_phis), watcher or Watcher())
    law_found, grid = _coefficients(scaler, given, training if data else None, folder)
    ablated: tuple[TrainedPoint, ...] = ()
    if trains and folder is not None and ablation is not False:
        ablated = train_ablation(scaler, law_found, training, folder=folder / "ablation")
    maker = _Maker(scaler, law_found, name, measure, config.device)
    trained = (*ablated, *grid)
    members = [_with_accuracy(scaler, member, trained) for member in maker.members(law, phis=phis, budgets=asked)]
    base_member = _with_accuracy(scaler, maker.line("compound").at(0.0), trained)
    notes = [*_notes(scaler, law_found, searched=bool(grid), given=given is not None), *_doubles(ablated)]
    family = Family(name, base_member, law_found, tuple(members), grid, ablated, tuple(notes), folder)
    if folder is not None:
        write_family(family, folder, own_space=own_space)
    return family


def _config(data: str | None, settings: dict[str, Any]) -> SearchConfig:
    for name in settings:
        if name not in SearchConfig.__dataclass_fields__:
            raise TypeError(f"scale() has no argument {name!r}.")
    return SearchConfig(**({**settings, "data": data} if data else settings))


def _check_law(law: str) -> None:
    if law not in (*LAWS, BOTH):
        raise UnknownNameError("scaling law", law, (*LAWS, BOTH))


def _read_coefficients(given: Coefficients | str | Sequence[float]) -> Coefficients:
    if isinstance(given, Coefficients):
        return given
    return parse_coefficients(given if isinstance(given, str) else ",".join(map(str, given)))


def spread_budgets(budgets: Mapping[str, Budget]) -> list[Budgets]:
    """Return one set of budgets a member; a kind that is stated once holds for all.

    Raises:
        UnknownNameError: a budget of something else.
        InvalidInputError: kinds that are stated for different numbers of members.
    """
    known = list(Budgets.__dataclass_fields__)
    lists: dict[str, list[float]] = {}
    for name, value in budgets.items():
        if name not in known:
            raise UnknownNameError("budget", name, known)
        lists[name] = [float(value)] if isinstance(value, int | float) else [float(one) for one in value]
    lists = {name: values for name, values in lists.items() if values}
    count = max((len(values) for values in lists.values()), default=0)
    for name, values in lists.items():
        if len(values) not in (1, count):
            raise InvalidInputError(
                f"budgets contradict each other: {count} members are asked for by one kind, and {len(values)} by "
                f"{name}. State each kind once, or once a member."
            )
    return [Budgets(**{n: v[i] if len(v) > 1 else v[0] for n, v in lists.items()}) for i in range(count)]


def _coefficients(
    scaler: Scaler, given: Coefficients | None, training: Training | None, folder: Path | None
) -> tuple[Coefficients, tuple[TrainedPoint, ...]]:
    """Return the coefficients that were given, found on the grid, or published; and the grid."""
    if given is not None:
        return given, ()
    if training is None or folder is None:
        return PUBLISHED, ()
    grid = train_grid(scaler, training, folder=folder / "grid")
    chosen = choose(grid).point.coefficients
    assert chosen is not None
    return chosen, grid


@dataclass(frozen=True, slots=True)
class _Maker:
    """Takes members from the laws."""

    scaler: Scaler
    coefficients: Coefficients
    name: str
    measure: bool
    device: str

    def line(self, law: str) -> Line:
        held: Law = make_law(law, self.coefficients).holding(self.scaler.missing)
        return Line(self.scaler, held, self.name, self.measure, self.device)

    def members(self, law: str, *, phis: Sequence[float], budgets: Sequence[Budgets]) -> list[Member]:
        """Return members at steps and budgets; fast ones have the MACs of the compound ones, or the same budgets."""
        laws = LAWS if law == BOTH else (law,)
        compound = self.line("compound")
        steps = [compound.at(step) for step in phis]
        found: list[Member] = []
        for one in laws:
            line = self.line(one)
            found += steps if one == "compound" else [line.matching(step) for step in steps]
            found += [line.within(budget) for budget in budgets]
        return found


def _with_accuracy(scaler: Scaler, member: Member, points: Iterable[TrainedPoint]) -> Member:
    """Return a member with its accuracy: of several trainings that of most seeds, and the first of equals."""
    network = scaler.outline(member.blueprint)
    trained = [one.accuracy for one in points if one.accuracy and scaler.outline(one.point.blueprint) == network]
    return replace(member, accuracy=max(trained, key=lambda found: found.seeds)) if trained else member


def _notes(scaler: Scaler, found: Coefficients, *, searched: bool, given: bool) -> list[str]:
    notes = [f"it has no {name} to be scaled: held at 1" for name in scaler.missing]
    if not (searched or given):
        notes.append(
            f"coefficients {found} are EfficientNet-B0's, as published: --data trains a grid to find this network's own"
        )
    return notes


def _doubles(ablation: Iterable[TrainedPoint]) -> list[str]:
    """Return a line for every point of the ablation that rounding made the same network as one before it."""
    first: dict[Blueprint, str] = {}
    lines = []
    for trained in ablation:
        label = trained.point.label
        same = first.setdefault(trained.point.blueprint, label)
        if same != label:
            lines.append(f"{label} rounds to the network of {same}: they are one point of the ablation")
    return lines


def write_family(family: Family, folder: Path, *, own_space: Path | None = None) -> None:
    """Write every member's blueprint, the table as JSON, and the ablation's figure.

    Args:
        family: what to write.
        folder: where to.
        own_space: where a user's own space was kept; it is kept beside the members as well.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        (folder / MEMBERS).mkdir(parents=True, exist_ok=True)
        for member in family.members:
            path = folder / MEMBERS / f"{member.name}.json"
            path.write_text(json.dumps(member.blueprint.to_json(), indent=2) + "\n")
        _keep_source(family.base.blueprint, own_space, folder / MEMBERS)
        (folder / TABLE).write_text(json.dumps(family.to_json(), indent=2) + "\n")
        if family.ablation:
            from nas.report.figures import save_figure
            from nas.scaling.chart import draw_ablation

            save_figure(draw_ablation(family.ablation), folder / FIGURE)
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror}. Make room, then scale again.") from None


def _keep_source(blueprint: Blueprint, own_space: Path | None, folder: Path) -> None:
    if isinstance(blueprint.network, Architecture):
        save_source(space_of(blueprint, folder=own_space), folder)


def new_folder(name: str) -> Path:
    """Return the first free name under ``results/``."""
    number = 1
    while (RESULTS / f"scale-{name}-{number}").exists():
        number += 1
    return RESULTS / f"scale-{name}-{number}"
