"""Settings as TOML, which the standard library reads and does not write."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from nas.errors import InvalidInputError

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(settings: Mapping[str, Any]) -> str:
    """Return settings as a TOML document in ASCII: plain values first, then a table for each dict.

    Args:
        settings: text, numbers, booleans, lists and dicts of these by name; None and empty dicts are left out.

    Raises:
        InvalidInputError: a text that no file can hold, such as a file name that is not Unicode.
    """
    lines, tables = [], []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            entries = [f"{_key(key)} = {_value(entry)}" for key, entry in value.items() if entry is not None]
            tables += [f"\n[{_key(name)}]", *entries] if entries else []
        elif value is not None:
            lines.append(f"{_key(name)} = {_value(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _key(name: object) -> str:
    text = str(name)
    return text if _BARE.fullmatch(text) else _string(text)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {_value(entry)}" for name, entry in value.items() if entry is not None)
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    raise InvalidInputError(f"a setting must be text, a number, true or false, or a list of these, got {value!r}.")


def _string(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInputError(f"a setting must be Unicode text, got {text!r}: rename the file that it names.")
    plain = (c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(plain)}"'
