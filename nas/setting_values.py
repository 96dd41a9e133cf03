"""Values of settings as people type them: on the command line, and behind a controller's name."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any


def parse_value(text: str) -> Any:
    """Return a number, a truth value (``true``), a list in square brackets as JSON has it, or else the word itself."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        with suppress(ValueError):
            return json.loads(text)
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
