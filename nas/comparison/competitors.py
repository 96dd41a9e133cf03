"""Who competes: what a user names, as blueprints for the images of this comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from nas.building import Network, get_blueprint, space_of
from nas.config import SearchConfig
from nas.data import ImageData
from nas.errors import InvalidInputError, UnknownNameError
from nas.finalizing import FOLDER, StoredNetwork
from nas.journal import FILE_NAME
from nas.run import Run, load
from nas.scaling.counting import count, why_refused
from nas.training.runs.source import Source, find_source
from search_spaces.architecture import Architecture, Blueprint, Complexity, expect_keys

Kind = Literal["found", "given", "baseline", "random", "random search"]
Entrant = str | Path | Run | StoredNetwork | Blueprint | Architecture


@dataclass(frozen=True, slots=True)
class Competitor:
    """A network that competes.

    Attributes:
        label: what it is called; once in a comparison.
        kind: ``found`` by a search, ``given`` as a blueprint, ``baseline`` by name, ``random`` or ``random search``.
        blueprint: what is trained.
        group: name of the row that it shares with others, such as random architectures; empty for one of its own.
        note: what is to be known of it.
        seeds: at most so many trainings; None for as many as everybody.
        folder: where a user's own space is kept.
    """

    label: str
    kind: Kind
    blueprint: Blueprint
    group: str = ""
    note: str = ""
    seeds: int | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        """Refuse kinds that are none."""
        if self.kind not in get_args(Kind):
            raise UnknownNameError("kind of competitor", str(self.kind), get_args(Kind))

    @property
    def cost(self) -> Complexity:
        """Its parameters and MACs."""
        return count(self.blueprint, self.folder)

    @property
    def identity(self) -> object:
        """What is equal for networks that are the same, however they were drawn."""
        network = self.blueprint.network
        if isinstance(network, str):
            return self.blueprint
        key = space_of(self.blueprint, folder=self.folder).key(network)
        return replace(self.blueprint, network=f"{network.space} {key}")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "label": self.label,
            "kind": self.kind,
            "blueprint": self.blueprint.to_json(),
            "group": self.group,
            "note": self.note,
            "seeds": self.seeds,
            "folder": None if self.folder is None else str(self.folder),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Competitor:
        """Read what `to_json` wrote."""
        expect_keys("competitor", data, {"label", "kind", "blueprint", "group", "note", "seeds", "folder"})
        folder = None if data["folder"] is None else Path(data["folder"])
        return cls(**{**data, "blueprint": Blueprint.from_json(data["blueprint"]), "folder": folder})


@dataclass(frozen=True, slots=True)
class Entry:
    """A competitor, and the search that found it, if one did.

    Attributes:
        competitor: the network.
        search: settings of the search that found it; its folder is `run`, None where only its network was given.
        run: folder of a search that was named as a whole, so that random search is asked for the same.
    """

    competitor: Competitor
    search: SearchConfig | None = None
    run: Path | None = None


def find_entries(entrants: Sequence[Entrant], data: ImageData, config: SearchConfig) -> tuple[list[Entry], list[str]]:
    """Return the competitors that a user named, each network once, and lines on those that were merged.

    Args:
        entrants: what was named.
        data: the images.
        config: the comparison's.

    Raises:
        InvalidInputError: nothing was named, or something that cannot compete; the message says what to do.
    """
    entries: list[Entry] = []
    notes: list[str] = []
    known: dict[object, str] = {}
    for entrant in entrants:
        entry = _enter(entrant, data, config)
        label = _unused(entry.competitor.label, [other.competitor.label for other in entries])
        entry = replace(entry, competitor=replace(entry.competitor, label=label))
        identity = entry.competitor.identity
        if identity in known:
            notes.append(f"{entry.competitor.label} is the same network as {known[identity]}: it is trained once")
            continue
        known[identity] = label
        entries.append(entry)
    if not entries:
        raise InvalidInputError("a comparison needs networks, got none: name runs, blueprints or baselines.")
    return entries, notes


def run_resolution(entrants: Sequence[Entrant], data: str) -> int | None:
    """Return the size of images that the first run among these searched on the same data set at; None for its own."""
    for entrant in entrants:
        path = entrant.folder if isinstance(entrant, Run) else entrant
        if isinstance(path, str | Path) and (Path(path) / FILE_NAME).is_file():
            config = load(path).config
            if config.data == data:
                return config.resolution
    return None


def _enter(entrant: Entrant, data: ImageData, config: SearchConfig) -> Entry:
    if isinstance(entrant, Run):
        entrant = entrant.folder
    if not isinstance(entrant, str | Path | StoredNetwork | Blueprint | Architecture):
        raise InvalidInputError(f"a run, a stored network, a blueprint or a name can compete, got {entrant!r}.")
    path = Path(entrant) if isinstance(entrant, str | Path) else None
    if path is not None and path.is_dir() and not (path / FILE_NAME).exists() and (path / FOLDER).is_dir():
        path = entrant = path / FOLDER  # the folder of a training keeps its network there
    source = find_source(entrant)
    named = path is not None and path.is_dir() and source.search is not None
    search = source.search or _search_of(source)
    label = _label(entrant, source)
    blueprint = _adapt(label, source, search, data, config)
    note = _note(source, search, blueprint, data, unfinished=named and not load(Path(source.text)).final)
    competitor = Competitor(label, _kind(source, search), blueprint, note=note, folder=source.folder)
    _check(competitor)
    return Entry(competitor, search, Path(source.text) if named else None)


def _search_of(source: Source) -> SearchConfig | None:
    """Return the settings of the search that left a stored network; None where none did."""
    if source.folder is None or source.folder.name != FOLDER or not (source.folder.parent / FILE_NAME).is_file():
        return None
    return load(source.folder.parent).config


def _kind(source: Source, search: SearchConfig | None) -> Kind:
    if search is not None:
        return "found"
    inner = source.network.network if isinstance(source.network, Blueprint) else source.network
    return "baseline" if isinstance(inner, str) and not isinstance(source.network, Blueprint) else "given"


def _label(entrant: Entrant, source: Source) -> str:
    if isinstance(source.network, str):
        return source.network
    if isinstance(entrant, Architecture | Blueprint):
        return source.text.removeprefix("an architecture of ")
    path = Path(source.text).resolve()
    name = path.parent.name if path.name == FOLDER else path.stem if path.suffix == ".json" else path.name
    return re.sub(r"\s+", " ", name).strip() or str(path)


def _unused(label: str, taken: Sequence[str]) -> str:
    number = 2
    found = label
    while found in taken:
        found = f"{label} ({number})"
        number += 1
    return found


def _adapt(label: str, source: Source, search: SearchConfig | None, data: ImageData, config: SearchConfig) -> Blueprint:
    """Return the blueprint for these images: classes and channels are theirs, sizes those that were found or given."""
    channels, resolution, _ = data.input_shape
    network: Network = source.network
    given = isinstance(network, Blueprint)
    if isinstance(network, Blueprint) and (search is None or search.data == config.data):
        return replace(network, channels=channels, classes=data.classes, auxiliary=False)
    inner = network.network if isinstance(network, Blueprint) else network
    if search is not None and isinstance(inner, Architecture):
        example = Blueprint(inner, resolution)
        sizes = space_of(example, folder=source.folder).proxy_sizes
        return search.blueprint(
            inner, resolution=resolution, channels=channels, classes=data.classes, proxy_sizes=sizes
        )
    assert not given, label
    return get_blueprint(network, classes=data.classes, input_shape=(channels, resolution, resolution))


def _note(
    source: Source, search: SearchConfig | None, blueprint: Blueprint, data: ImageData, *, unfinished: bool
) -> str:
    notes = []
    if unfinished:
        notes.append("the best of a search that has not ended")
    if search is not None and search.data != data.name:
        notes.append(f"found on {search.data}")
    if isinstance(source.network, Blueprint) and source.folder is not None and search is None:
        stored = (source.folder / "weights.safetensors").exists()
        notes.extend(["trained anew; its stored weights do not compete"] if stored else [])
    if blueprint.resolution != data.input_shape[1]:
        notes.append(f"sees images of {blueprint.resolution} pixels")
    return "; ".join(notes)


def _check(competitor: Competitor) -> None:
    """Refuse a network that cannot take the images.

    Raises:
        InvalidInputError: it cannot; the message names it.
    """
    refusal = why_refused(competitor.blueprint, competitor.folder)
    if refusal:
        raise InvalidInputError(f"{competitor.label} cannot compete on these images: {refusal}")
