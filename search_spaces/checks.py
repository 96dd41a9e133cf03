"""What a single value must be, said once: values come from files too, and a file may hold anything."""

from __future__ import annotations

import math
from typing import Any

from search_spaces.errors import InvalidInputError

_SHOWN = 80  # characters of a wrong value that a message repeats


def check_whole(what: str, value: object, *, least: int | None = None) -> None:
    """Refuse what is no whole number, or one below `least`.

    Raises:
        InvalidInputError: naming what it is.
    """
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        raise InvalidInputError(
            f"{what} must be a whole number{'' if least is None else f' >= {least}'}, got {shown(value)}."
        )


def check_number(what: str, value: object) -> None:
    """Refuse what is no finite number.

    Raises:
        InvalidInputError: naming what it is.
    """
    if not is_finite(value):
        raise InvalidInputError(f"{what} must be a finite number, got {shown(value)}.")


def check_text(what: str, value: object) -> None:
    """Refuse what is no text.

    Raises:
        InvalidInputError: naming what it is.
    """
    if not isinstance(value, str):
        raise InvalidInputError(f"{what} must be text, got {shown(value)}.")


def check_list(what: str, value: Any) -> list[Any]:
    """Return a list of JSON, or a tuple, as a list.

    Raises:
        InvalidInputError: it is neither.
    """
    if not isinstance(value, list | tuple):
        raise InvalidInputError(f"{what} must be a list, got {shown(value)}.")
    return list(value)


def is_finite(value: object) -> bool:
    """Return whether a value is a number that arithmetic can go on with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every other
        return False


def shown(value: object) -> str:
    """Return a value as a message repeats it: on one line, and not without end."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
