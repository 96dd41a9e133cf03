"""The spaces by name. A specification is a name, and after a colon what differs: ``nasnet:blocks=3``.

A user's own space needs no entry here: it is named by its file, ``my_net.py:Net``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.local_file import FileSpace, is_local, local_space, space_of_code
from search_spaces.mbconv import mbconv_space
from search_spaces.nasbench201 import nasbench201_space
from search_spaces.nasnet import NAMED_OPTIONS, cell_space
from search_spaces.space import SearchSpace
from search_spaces.table import TableSpace

SPACES: dict[str, Callable[[str], SearchSpace]] = {
    **dict.fromkeys(NAMED_OPTIONS, cell_space),
    "nasbench201": nasbench201_space,
    "mbconv": mbconv_space,
}


def get_space(specification: str) -> SearchSpace:
    """Return the space of a specification; equal specifications give equal spaces.

    A specification with ``.py`` names a file, which is run; see `search_spaces.local_file`.

    Raises:
        UnknownNameError: no such space; the message lists the known ones.
        InvalidInputError: a setting that cannot be read, or a file that makes no space.
    """
    if is_local(specification):
        return local_space(specification)
    name = specification.partition(":")[0]
    if name not in SPACES:
        raise UnknownNameError("space", name, SPACES)
    return SPACES[name](specification)


def as_space(space: Any) -> SearchSpace:
    """Return the space that is meant by a specification, a space, or a user's class or function.

    Raises:
        UnknownNameError, InvalidInputError: as `get_space`, or an object that could not be found again from its name.
    """
    if isinstance(space, str):
        return get_space(space)
    if not isinstance(space, SearchSpace):
        return space_of_code(space)
    if isinstance(space, FileSpace | TableSpace):
        return space
    if get_space(space.name).decisions != space.decisions:
        raise InvalidInputError(
            f"{space.name!r} names another space than the one given: give its class, or FILE.py:NAME."
        )
    return space
