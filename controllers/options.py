"""Reading a controller's options, as they come from a file or the command line, into its options class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from search_spaces.errors import InvalidInputError, UnknownNameError

OptionsT = TypeVar("OptionsT")
_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def read_options(options_class: type[OptionsT], *, controller: str, given: Mapping[str, Any]) -> OptionsT:
    """Return the options with the given fields changed from their defaults.

    Args:
        options_class: a dataclass whose fields have defaults; a value must be of its default's type.
        controller: whose options these are, for the messages.
        given: values by field name.

    Raises:
        UnknownNameError: a name that is not a field.
        InvalidInputError: a value of another type, or refused by the class.
    """
    defaults = {field.name: field.default for field in fields(options_class)}  # type: ignore[arg-type]
    for name, value in given.items():
        if name not in defaults:
            raise UnknownNameError(f"option of controller {controller!r}", name, defaults)
        kind = type(defaults[name])
        accepted = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or isinstance(value, bool) != (kind is bool):
            raise InvalidInputError(
                f"option {name!r} of controller {controller!r} must be {_KINDS[kind]}, got {value!r}."
            )
    return options_class(**given)
