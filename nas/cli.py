"""The command line: flags in, one call, an answer out. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys
from typing import Any, Optional

import typer
from rich.console import Console

from nas.errors import InvalidInputError, JournalError, NASError
from nas.report.formatting import printable
from nas.setting_values import parse_value

app = typer.Typer(
    name="nas",
    help="Search image-classifier architectures, scale what was found, compare it with hand-designed nets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def parse_count(text: str) -> int:
    """Return the number in ``1500000``, ``1.5M``, ``200k`` or ``2e6``."""
    factors = {"k": 1e3, "m": 1e6, "g": 1e9}
    factor = factors.get(text[-1:].lower(), 1.0)
    try:
        return round(float(text if factor == 1.0 else text[:-1]) * factor)
    except ValueError:
        raise typer.BadParameter(f"a count is written like 1500000, 1.5M or 200k, got {text!r}.") from None


Count = Optional[int]  # noqa: UP045 - typer takes no X | None in an alias on Python 3.11


def parse_settings(kind: str, pairs: list[str]) -> dict[str, Any]:
    """Return ``name=value`` pairs as a dict; values are numbers, true, false, lists such as [2,4,8], or text."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals and text):
            raise InvalidInputError(f"{kind} takes name=value, got {pair!r}.")
        settings[name] = parse_value(text)
    return settings


def main() -> None:
    """Run the command line; a user's mistake becomes one line on standard error."""
    from nas import commands  # noqa: F401 - registers the commands; torch is loaded only when one runs

    try:
        app()
    except NASError as error:
        line = printable(f"error: {' '.join(str(error).splitlines())}")  # names in it may hold anything
        Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, InvalidInputError | JournalError) else 1)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped", highlight=False)
        sys.exit(1)
    finally:
        # CPython exits as if killed when an interruption once passed through an exec of source text, as module loading
        # does, even where it was caught since; the next exec of source text clears that mark.
        exec("")
