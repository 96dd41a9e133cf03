"""Lines of Python broken as a formatter breaks them: what fits stays on one line, then one bracket at a time."""

from __future__ import annotations

import re

LINE_LENGTH = 120
_LOOP = re.compile(r" for _ in range\(\d+\)$")
_OPENING, _CLOSING = "([{", ")]}"


def format_line(text: str, indent: int = 0, *, suffix: str = "") -> list[str]:
    """Return one statement as lines of at most 120 characters, as far as its brackets allow.

    Args:
        text: the statement on one line.
        indent: spaces before it.
        suffix: what follows it, such as a comma.
    """
    space = " " * indent
    if len(space) + len(text) + len(suffix) <= LINE_LENGTH or not text.endswith(tuple(_CLOSING)):
        return [f"{space}{text}{suffix}"]
    start = _last_bracket(text)
    inside = text[start + 1 : -1]
    parts = split_arguments(inside)
    head, tail = f"{space}{text[: start + 1]}", f"{space}{text[-1]}{suffix}"
    if loop := _LOOP.search(inside):
        if indent + 4 + len(inside) <= LINE_LENGTH:
            return [head, f"{space}    {inside}", tail]
        element = format_line(inside[: loop.start()], indent + 4)
        return [head, *element, f"{space}    {loop[0].strip()}", tail]
    body = f"{space}    {', '.join(parts)}"
    if len(body) <= LINE_LENGTH and len(parts) > 1:
        return [head, body, tail]
    if len(parts) == 1:  # a comma is added between several only
        return [head, *format_line(parts[0], indent + 4), tail]
    return [head, *(line for part in parts for line in format_line(part, indent + 4, suffix=",")), tail]


def split_arguments(text: str) -> list[str]:
    """Return what commas outside brackets and quotes separate."""
    parts, depth, start, quoted = [], 0, 0, False
    for i, character in enumerate(text):
        quoted ^= character == '"'
        if quoted:
            continue
        depth += (character in _OPENING) - (character in _CLOSING)
        if character == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [*parts, text[start:].strip()] if text[start:].strip() else parts


def _last_bracket(text: str) -> int:
    """Return where the bracket that the text's last character closes was opened."""
    depth = 0
    for i in range(len(text) - 1, -1, -1):
        depth += (text[i] in _CLOSING) - (text[i] in _OPENING)
        if depth == 0:
            return i
    raise AssertionError(f"unbalanced brackets in {text}")
