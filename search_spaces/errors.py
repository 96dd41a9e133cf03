"""Errors of this project: each message gives the rule, what was received, and what to do.

They live in the lowest layer so that every package can raise them; ``nas.errors`` re-exports them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NASError(Exception):
    """Base of every error that a user can cause; the command line prints it as one line."""


class InvalidInputError(NASError, ValueError):
    """A value breaks a stated rule."""


class MissingDependencyError(NASError, ImportError):
    """A feature needs a package that is not installed; the message says which and how to get it."""


class UnknownNameError(InvalidInputError):
    """A name is not among the known ones; the message lists them and the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Compose the message.

        Args:
            kind: what is being named, in the singular ("controller").
            name: the unknown name as received.
            known: every accepted name.
        """
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")
        self.name = name
        self.known = names
