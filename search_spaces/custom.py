"""A space of networks that a user wrote: a class with `decisions` and `build`, or a function that draws its choices.

::

    class Net:
        decisions = {"kernel": [3, 5, 7], "width": [16, 32]}

        def build(self, kernel, width, channels, classes): ...          # returns a torch module

    def net(choose, channels, classes):
        width = choose("width", [16, 32])
        heads = choose("heads", [1, 2, 4]) if choose("attention", [False, True]) else 0
        ...

Arguments are given by name, and only those that are asked for: ``channels``, ``resolution`` and ``classes``; for a
class the chosen options under their decisions' names, or all of them in ``options``; for a function ``choose``.
Where these come from is the business of `search_spaces.local_file`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import lru_cache
from typing import Any, final

from torch import nn

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision, Option
from search_spaces.counting import Sizes, count_network, fill_lazy, without_weights
from search_spaces.drawing import Chooser, discover, make_decision
from search_spaces.errors import InvalidInputError, NASError
from search_spaces.own_code import argument_names, file_of, user_code
from search_spaces.space import SearchSpace

SIZES = ("channels", "resolution", "classes")
# Decisions are looked for at this size. They must not depend on it: a search has one list of them for any data.
DISCOVERY_SIZES = Sizes(channels=3, resolution=32, classes=10)


class Definition(ABC):
    """What a user wrote: the decisions, and a network for the options chosen."""

    label: str  # how error messages call it
    file: str | None  # where it is written
    decisions: tuple[Decision, ...]

    @abstractmethod
    def active(self, options: Mapping[str, Option]) -> frozenset[str]:
        """Return the names of the decisions that the network with these options depends on."""

    @abstractmethod
    def own_key(self, options: Mapping[str, Option]) -> str | None:
        """Return the key that the user's code gives, or None when it gives none."""

    @abstractmethod
    def network(self, options: Mapping[str, Option], sizes: Sizes) -> object:
        """Return what the user's code builds, hopefully a module; whatever the code raises is raised."""


@final
class ClassDefinition(Definition):
    """A class with `decisions`, `build`, and where it knows better, `key(options)`."""

    def __init__(self, label: str, instance: Any) -> None:
        """Read the decisions and look at what `build` asks for.

        Args:
            label: how error messages call it.
            instance: of the user's class.

        Raises:
            InvalidInputError: no decisions, or a `build` that asks for something else or leaves a decision out.
        """
        self.label = label
        self.file = file_of(type(instance))
        self._instance = instance
        with user_code(label, self.file, "when its decisions were asked for"):
            decisions = instance.decisions
        self.decisions = _read_decisions(label, decisions)
        names = [decision.name for decision in self.decisions]
        reserved = [name for name in names if name in (*SIZES, "options")]
        if reserved:
            raise InvalidInputError(
                f"{label}: decision {reserved[0]!r} has a name that `build` gets something else by."
            )
        self._asked = argument_names(
            instance.build, offered=(*SIZES, "options"), choices=names, label=f"{label} build()"
        )
        left_out = [name for name in names if name not in self._asked]
        if left_out and "options" not in self._asked:
            raise InvalidInputError(
                f"{label}: build() does not take decision {left_out[0]!r}: make it an argument, or take `options`, "
                f"the dict of all."
            )

    def active(self, options: Mapping[str, Option]) -> frozenset[str]:
        """Return all names: only the class could know better, and says so by its `key`."""
        return frozenset(options)

    def own_key(self, options: Mapping[str, Option]) -> str | None:
        """Return what the class's `key` gives."""
        key = getattr(self._instance, "key", None)
        return None if key is None else str(key(dict(options)))

    def network(self, options: Mapping[str, Option], sizes: Sizes) -> object:
        """Call `build` with what it asks for."""
        offered = {**options, **asdict(sizes), "options": dict(options)}
        return self._instance.build(**{name: offered[name] for name in self._asked})


@final
class FunctionDefinition(Definition):
    """A function that draws its choices through `choose` while it builds."""

    def __init__(
        self, label: str, function: Callable[..., object], *, decisions: Sequence[Decision] | None = None
    ) -> None:
        """Find the decisions by running the function without weights.

        Args:
            label: how error messages call it.
            function: the user's.
            decisions: what an earlier discovery found; None to discover.

        Raises:
            InvalidInputError: the function asks for something else, fails, never chooses, or chooses in a way that
                makes no space.
        """
        self.label = label
        self.file = file_of(function)
        self._function = function
        self._asked = argument_names(function, offered=("choose", *SIZES), label=f"{label}()")
        self.decisions = tuple(decisions) if decisions is not None else self._discover()
        self._known = {decision.name: decision for decision in self.decisions}

    def _discover(self) -> tuple[Decision, ...]:
        with user_code(self.label, self.file, "when it was called with the first options of all choices"):
            first = Chooser({}, {}, accepts_new=True)
            without_weights(lambda _: self._call(first, DISCOVERY_SIZES))
        with user_code(self.label, self.file, "while its decisions were looked for"):
            decisions = discover(self._draw)
        if not decisions:
            raise InvalidInputError(f'{self.label} never chooses: draw with choose("name", [options]).')
        return decisions

    def active(self, options: Mapping[str, Option]) -> frozenset[str]:
        """Return the names that are drawn when these options are; those before the failure if building fails."""
        chooser = Chooser(options, self._known)
        with user_code(self.label, self.file, f"drawing {dict(options)}"):
            self._draw(chooser)
        return frozenset(chooser.drawn)

    def own_key(self, options: Mapping[str, Option]) -> str | None:
        """Return None: what is drawn says what the network is."""
        return None

    def network(self, options: Mapping[str, Option], sizes: Sizes) -> object:
        """Call the function, which draws the options."""
        return self._call(Chooser(options, self._known), sizes)

    def _draw(self, chooser: Chooser) -> None:
        """Run the function for its draws: some options may make no network, and drew what they drew until then."""
        try:
            without_weights(lambda _: self._call(chooser, DISCOVERY_SIZES))
        except NASError:
            raise
        except Exception:  # said when such a network is built or counted
            return

    def _call(self, chooser: Chooser, sizes: Sizes) -> object:
        offered = {**asdict(sizes), "choose": chooser}
        return self._function(**{name: offered[name] for name in self._asked})


@final
class CustomSpace(SearchSpace):
    """The networks of a user's definition.

    Of a blueprint only channels, resolution and classes are given to the user's code: depth, width, stem and the
    auxiliary head belong to cell networks. All counts and keys are kept, since each runs the user's code.
    """

    def __init__(self, name: str, definition: Definition) -> None:
        """Take over the definition's decisions."""
        super().__init__(name, definition.decisions)
        self._definition = definition
        self._canonical = lru_cache(maxsize=100_000)(self._find_canonical)
        self._count = lru_cache(maxsize=100_000)(self._count_network)

    def key(self, architecture: Architecture) -> str:
        """Return the user's key, or else the choices, with those that the network does not draw at their first."""
        options = self.options(architecture)
        with user_code(f"{self._definition.label} key()", self._definition.file, f"for {options}"):
            own = self._definition.own_key(options)
        return own if own is not None else "-".join(map(str, self._canonical(architecture.choices)))

    def build(self, blueprint: Blueprint) -> nn.Module:
        """Return the module that the user's code builds, after a run without weights showed that it fits.

        Raises:
            InvalidInputError: in one line, what the user's code raised, or that what it built is no module that takes
                (2, channels, resolution, resolution) images and gives (2, classes) logits.
        """
        choices, sizes = self._read(blueprint)
        self._count(choices, sizes)
        with self._user_code(choices, sizes):
            network = self._network(choices, sizes)
            fill_lazy(network, sizes)
        return network

    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Return parameters and MACs, counted in a run without weights; see `count_network`."""
        return self._count(*self._read(blueprint))

    def _read(self, blueprint: Blueprint) -> tuple[tuple[int, ...], Sizes]:
        if not isinstance(blueprint.network, Architecture):
            raise InvalidInputError(
                f"space {self.name!r} builds its architectures, got the name {blueprint.network!r}."
            )
        self.validate(blueprint.network)
        return self._canonical(blueprint.network.choices), Sizes.of(blueprint)

    def _find_canonical(self, choices: tuple[int, ...]) -> tuple[int, ...]:
        active = self._definition.active(self._options(choices))
        pairs = zip(self.decisions, choices, strict=True)
        return tuple([choice if decision.name in active else 0 for decision, choice in pairs])

    def _count_network(self, choices: tuple[int, ...], sizes: Sizes) -> Complexity:
        with self._user_code(choices, sizes):
            return count_network(lambda: self._network(choices, sizes), sizes)

    def _network(self, choices: tuple[int, ...], sizes: Sizes) -> nn.Module:
        network = self._definition.network(self._options(choices), sizes)
        if not isinstance(network, nn.Module):
            raise InvalidInputError(f"must return a torch module, got {type(network).__name__}: return the network.")
        return network

    def _options(self, choices: tuple[int, ...]) -> dict[str, Option]:
        return self.options(Architecture(self.name, choices))

    def _user_code(self, choices: tuple[int, ...], sizes: Sizes) -> AbstractContextManager[None]:
        images = (sizes.channels, sizes.resolution, sizes.resolution)
        doing = f"as {self._options(choices)} for {images} images and {sizes.classes} classes"
        return user_code(self._definition.label, self._definition.file, doing)


def _read_decisions(label: str, decisions: object) -> tuple[Decision, ...]:
    """Return the decisions that a class lists: name -> options, or `Decision` values."""
    if isinstance(decisions, Mapping):
        with user_code(label, None, "reading its decisions"):
            read = tuple([make_decision(name, options) for name, options in decisions.items()])
    elif isinstance(decisions, list | tuple) and all(isinstance(one, Decision) for one in decisions):
        with user_code(label, None, "reading its decisions"):
            read = tuple([make_decision(one.name, one.options) for one in decisions])
    else:
        raise InvalidInputError(
            f'{label}: decisions are a dict like {{"width": [16, 32]}}, or a list of Decision, got {decisions!r}.'
        )
    if not read:
        raise InvalidInputError(f'{label} has no decisions: list some, like {{"width": [16, 32]}}.')
    return read
