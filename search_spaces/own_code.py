"""Calling code that a user wrote: which arguments it asks for, and its failures in one line."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from search_spaces.errors import InvalidInputError, NASError

LONGEST_MESSAGE = 300  # characters


def argument_names(
    function: Callable[..., object], *, offered: Sequence[str], choices: Sequence[str] = (), label: str
) -> tuple[str, ...]:
    """Return the names of the arguments that a function asks for.

    Args:
        function: what will be called, with keyword arguments.
        offered: names of what it can ask for.
        choices: more of them, which ``**name`` takes in as well.
        label: how error messages call the function.

    Raises:
        InvalidInputError: the function needs an argument that is not there, or one that cannot be given by name.
    """
    names = (*offered, *choices)
    asked: list[str] = []
    takes_any = False
    for parameter in inspect.signature(function).parameters.values():
        takes_any |= parameter.kind is parameter.VAR_KEYWORD
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if parameter.name in names and parameter.kind is not parameter.POSITIONAL_ONLY:
            asked.append(parameter.name)
        elif parameter.default is parameter.empty:
            raise InvalidInputError(
                f"{label} asks for {parameter.name!r}; it can ask, by name, for {', '.join(names)}: "
                f"rename the argument or give it a default."
            )
    if takes_any:
        asked += [name for name in choices if name not in asked]
    return tuple(asked)


@contextmanager
def user_code(label: str, file: str | None, doing: str) -> Iterator[None]:
    """Turn what goes wrong inside the block into one line that names the user's code.

    Out of memory stays what it is: that is no mistake in the code.

    Args:
        label: how the line calls the code.
        file: where it is written, to find the line number; None when unknown.
        doing: what it was called for, as the end of a sentence.

    Raises:
        InvalidInputError: the block raised something.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except NASError as error:
        raise InvalidInputError(f"{label}: {error}") from error
    except Exception as error:  # code of others may raise anything
        raise InvalidInputError(f"{label} raised {describe_error(error, file)} {doing}.") from error


def describe_error(error: BaseException, file: str | None) -> str:
    """Return an exception in one line, with the number of the last line of `file` that it passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines, text = [error.lineno], error.msg
    else:
        text = " ".join(str(error).split())
    text = text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"
    line = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{line}"


def file_of(code: object) -> str | None:
    """Return the file that a class or function was read from, as tracebacks name it."""
    module = sys.modules.get(getattr(code, "__module__", ""))
    return getattr(module, "__file__", None)
