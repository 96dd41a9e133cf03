"""Whether the values of a dataclass of settings are of the kinds that its annotations say.

Settings come from files that people write, so this is checked where they are made, before anything is computed.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from nas.errors import InvalidInputError
from search_spaces.checks import is_finite, shown

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "a table of settings",
    tuple: "a list",
}


def check_types(settings: Any, *, leave: Collection[str] = ()) -> None:
    """Refuse a value that is not of the kind its field is annotated with.

    Args:
        settings: of a dataclass; a list stands for a tuple, a whole number for a number. Numbers are finite, and a
            dict holds what JSON can, since settings are kept in journals.
        leave: fields that are checked elsewhere.

    Raises:
        InvalidInputError: naming the field, the kind, and what was received.
    """
    for name, annotation in _annotations(type(settings)).items():
        value = getattr(settings, name)
        if name not in leave and not _fits(value, annotation):
            raise InvalidInputError(f"--{name.replace('_', '-')} must be {_words(annotation)}, got {shown(value)}.")


def _annotations(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {name: hints[name] for name in getattr(kind, "__dataclass_fields__", {})}


def _fits(value: object, annotation: Any) -> bool:
    kind, inner = get_origin(annotation) or annotation, get_args(annotation)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is Literal:  # whoever takes the name says which names there are
        return isinstance(value, type(inner[0]))
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return is_finite(value)
    if kind is tuple:
        return isinstance(value, list | tuple) and all(_fits(one, inner[0]) for one in value)
    if kind is dict:
        return isinstance(value, dict) and _is_plain(value) and all(_fits(one, inner[1]) for one in value.values())
    return kind is Any or isinstance(value, kind)


def _is_plain(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _words(annotation: Any) -> str:
    kind, inner = get_origin(annotation) or annotation, get_args(annotation)
    if kind in (Union, UnionType):
        return " or ".join(_words(one) for one in inner if one is not NoneType)
    if kind is Literal:
        return _words(type(inner[0]))
    return _WORDS.get(kind, f"a {getattr(kind, '__name__', kind)}")
