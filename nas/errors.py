"""Errors of the running side; the base classes live with the lowest layer and are re-exported here."""

from __future__ import annotations

from search_spaces.errors import InvalidInputError, MissingDependencyError, NASError, UnknownNameError


class JournalError(NASError):
    """A journal cannot be read, written or trusted; the message says where and what to do."""


class StorageError(NASError):
    """Something could not be written: a full disk, a lost mount. What was written before is kept."""


class DiskFullError(StorageError):
    """There is no room on a disk, or in what its user may take of it: writing can be tried again later."""


class DivergedError(NASError):
    """Training produced a loss that is not a finite number."""


__all__ = [
    "DiskFullError",
    "DivergedError",
    "InvalidInputError",
    "JournalError",
    "MissingDependencyError",
    "NASError",
    "StorageError",
    "UnknownNameError",
]
