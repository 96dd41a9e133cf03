"""Errors of this project: each message gives the rule, what was received, and what to do.

They live in the lowest layer so that every package can raise them; ``nas.errors`` re-exports them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 60  # more names than these are counted instead of listed, and several near ones named
NEAREST = 4


class NASError(Exception):
    """Base of every error that a user can cause; the command line prints it as one line."""


class InvalidInputError(NASError, ValueError):
    """A value breaks a stated rule."""


class MissingDependencyError(NASError, ImportError):
    """A feature needs a package that is not installed; the message says which and how to get it."""


class UnknownNameError(InvalidInputError):
    """A name is not among the known ones; the message names the nearest, and lists them unless they are many."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Compose the message.

        Args:
            kind: what is being named, in the singular ("controller").
            name: the unknown name as received.
            known: every accepted name.
        """
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=1 if len(names) <= LISTED else NEAREST, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
        listed = f"Known: {', '.join(names)}." if len(names) <= LISTED else f"{len(names)} are known."
        super().__init__(f"unknown {kind} {name!r}.{hint} {listed}")
        self.name = name
        self.known = names
