"""Controllers as a comparison is asked for them: names, each with options in brackets behind it.

`evolution(population=50,tournament=5),local` names two. A value is a number, true, false or a list in square
brackets, or else a word, as on the command line. What the options mean is the controllers' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.errors import InvalidInputError
from nas.setting_values import parse_value

_SPEC = re.compile(r"\s*([^()\s]+)\s*(?:\((.*)\))?\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ControllerSpec:
    """A controller's name and options, and the text that asked for them, which is what results are named by."""

    text: str
    name: str
    options: Mapping[str, Any]


def split_controllers(text: str) -> list[str]:
    """Return the parts of a text between its commas, those inside brackets left alone; empty parts are dropped.

    Raises:
        InvalidInputError: brackets without their partners.
    """
    return [part.strip() for part in _split(text) if part.strip()]


def read_controllers(texts: Sequence[str]) -> list[ControllerSpec]:
    """Return what each text asks for.

    Raises:
        InvalidInputError: no text, one that cannot be read, or two that ask for the same.
    """
    if not texts:
        raise InvalidInputError("a comparison needs at least one controller, got none: name one.")
    specs: list[ControllerSpec] = []
    for text in texts:
        spec = read_controller(text)
        if any((spec.name, spec.options) == (other.name, other.options) for other in specs):
            raise InvalidInputError(f"controllers are compared by name, got {text!r} twice: name it once.")
        specs.append(spec)
    return specs


def read_controller(text: str) -> ControllerSpec:
    """Return what a text such as ``evolution(population=50)`` asks for.

    Raises:
        InvalidInputError: brackets or options that cannot be read.
    """
    found = _SPEC.fullmatch(text)
    if found is None:
        raise InvalidInputError(f"a controller is NAME or NAME(option=value,...), got {text!r}.")
    options: dict[str, Any] = {}
    for part in split_controllers(found[2] or ""):
        option, equals, value = part.partition("=")
        if not (equals and option.strip() and value.strip()):
            raise InvalidInputError(f"an option of a controller is option=value, got {part!r} in {text!r}.")
        if option.strip() in options:
            raise InvalidInputError(f"an option has one value, got {option.strip()!r} twice in {text!r}.")
        options[option.strip()] = parse_value(value.strip())
    return ControllerSpec(text.strip(), found[1], options)


def _split(text: str) -> Iterator[str]:
    depth = start = 0
    for i, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if depth < 0:
            break
        if letter == "," and depth == 0:
            yield text[start:i]
            start = i + 1
    if depth:
        raise InvalidInputError(f"brackets of controllers and their options come in pairs, got {text!r}.")
    yield text[start:]
