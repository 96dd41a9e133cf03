"""The values that describe what can be built: decisions, architectures, blueprints and their complexity.

They are frozen, checked when made, equal when they mean the same, and go to JSON and back. Nothing here
builds a network or knows how one is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, cast, get_args

from search_spaces.checks import check_list, check_text, check_whole, is_finite, shown
from search_spaces.errors import InvalidInputError, UnknownNameError

Option = str | int | float | bool
Stem = Literal["tiny", "cifar", "imagenet"]
STEMS: tuple[str, ...] = get_args(Stem)
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Decision:
    """One categorical choice: a name and the options to choose from, in a fixed order."""

    name: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        """Refuse a decision that leaves nothing to choose."""
        if not self.name:
            raise InvalidInputError("a decision needs a name, got an empty string: name it.")
        if not self.options:
            raise InvalidInputError(f"decision {self.name!r} needs at least one option, got none: add one.")
        if len({(type(option), option) for option in self.options}) != len(self.options):
            raise InvalidInputError(
                f"options of decision {self.name!r} must differ, got {list(self.options)}: remove the doubles."
            )

    def __len__(self) -> int:
        """Return the number of options."""
        return len(self.options)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A point of a search space: the space's name and one option index per decision."""

    space: str
    choices: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a space without a name, and indices that no decision can have."""
        check_text("the space of an architecture", self.space)
        # without a loop in Python: models ask about thousands of architectures a proposal
        if self.choices and (set(map(type, self.choices)) != {int} or min(self.choices) < 0):
            raise InvalidInputError(f"choices must be option indices >= 0, got {shown(self.choices)}.")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"format": FORMAT_VERSION, "space": self.space, "choices": list(self.choices)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: a key is missing, unknown, or the format is another one.
        """
        expect_keys("architecture", data, {"format", "space", "choices"})
        return cls(space=data["space"], choices=tuple(check_list("the choices of an architecture", data["choices"])))


@dataclass(frozen=True, slots=True)
class Complexity:
    """What a network costs, counted from shapes.

    Attributes:
        params: trainable parameters, normalisation scale and shift included, running statistics not.
        macs: multiply-accumulates of convolutions and linear layers for one image, padding taps counted.
    """

    params: int
    macs: int

    def __add__(self, other: Complexity) -> Complexity:
        """Return the cost of both parts together."""
        return Complexity(self.params + other.params, self.macs + other.macs)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What can be built and trained: a network at a size, for a kind of image and a number of classes.

    Attributes:
        network: an architecture of a search space, or the name of a baseline or published network.
        resolution: input height and width in pixels.
        channels: input channels.
        classes: number of classes, the length of the logits.
        stem: how images enter a cell network: ``tiny`` (8 to 32 pixels), ``cifar`` or ``imagenet``.
        depth: N, normal cells a stage, of a cell network; a multiplier of stage repeats for others;
            None for the network's own.
        width: F, filters of the first stage, of a cell network; a multiplier of channels for others;
            None for the network's own.
        auxiliary: whether to add the auxiliary classifier that some recipes train with. It is dropped
            after training and never counted by ``complexity``.
        parts: names and values of what is exchanged in the network once it is built, such as its activation functions,
            in the order of the names; see `nas.parts`. Spaces know nothing of it.
    """

    network: Architecture | str
    resolution: int
    channels: int = 3
    classes: int = 10
    stem: Stem = "cifar"
    depth: float | None = None
    width: float | None = None
    auxiliary: bool = False
    parts: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        """Refuse sizes that no network can have."""
        for field in ("resolution", "channels", "classes"):
            check_whole(field, getattr(self, field), least=1)
        for field in ("depth", "width"):
            value = getattr(self, field)
            if value is not None and not (is_finite(value) and value > 0):
                raise InvalidInputError(f"{field} must be a number larger than 0, got {shown(value)}.")
        if self.stem not in STEMS:
            raise UnknownNameError("stem", str(self.stem), STEMS)
        if not isinstance(self.auxiliary, bool):
            raise InvalidInputError(f"auxiliary must be true or false, got {shown(self.auxiliary)}.")
        for name, value in self.parts:
            if not isinstance(value, str | bool) and not is_finite(value):
                raise InvalidInputError(f"part {name!r} must be text, a number, true or false, got {shown(value)}.")
        object.__setattr__(self, "parts", tuple(sorted((name, value) for name, value in self.parts)))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        network = self.network if isinstance(self.network, str) else self.network.to_json()
        fields = {name: getattr(self, name) for name in _BLUEPRINT_FIELDS}
        fields |= {"parts": dict(self.parts)} if self.parts else {}
        return {"format": FORMAT_VERSION, "network": network, **fields}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: a key is missing, unknown, or the format is another one.
        """
        parts = data.get("parts", {}) if isinstance(data, dict) else {}
        if not isinstance(parts, dict):
            raise InvalidInputError(f"the parts of a blueprint must be a JSON object, got {shown(parts)}.")
        expect_keys("blueprint", data, {"format", "network", *_BLUEPRINT_FIELDS, *(["parts"] if parts else [])})
        network = data["network"]
        if not isinstance(network, str):
            network = Architecture.from_json(network)
        values = {name: data[name] for name in _BLUEPRINT_FIELDS}
        return cls(network=network, parts=tuple(sorted(parts.items())), **values)


_BLUEPRINT_FIELDS = ("resolution", "channels", "classes", "stem", "depth", "width", "auxiliary")


def expect_keys(kind: str, data: object, keys: set[str]) -> dict[str, Any]:
    """Return `data` if it is a dict with exactly these keys and our format version.

    Args:
        kind: what is being read, for the message.
        data: parsed JSON.
        keys: the keys it must have; "format", when among them, must equal `FORMAT_VERSION`.

    Raises:
        InvalidInputError: otherwise, naming the first difference.
    """
    if not isinstance(data, dict):
        raise InvalidInputError(f"a {kind} must be a JSON object, got {type(data).__name__}.")
    missing = sorted(keys - data.keys())
    unknown = sorted(name if name.isprintable() else repr(name) for name in map(str, data.keys() - keys))
    if missing or unknown:
        raise InvalidInputError(
            f"a {kind} must have the keys {', '.join(sorted(keys))}; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}."
        )
    if "format" in keys and data["format"] != FORMAT_VERSION:
        raise InvalidInputError(
            f"{kind} format {shown(data['format'])} is not readable here: this version reads format {FORMAT_VERSION}."
        )
    return cast(dict[str, Any], data)
