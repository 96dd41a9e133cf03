"""The spaces by name. A specification is a name, and after a colon what differs: ``nasnet:blocks=3``."""

from __future__ import annotations

from collections.abc import Callable

from search_spaces.errors import UnknownNameError
from search_spaces.nasbench201 import nasbench201_space
from search_spaces.nasnet import NAMED_OPTIONS, cell_space
from search_spaces.space import SearchSpace

SPACES: dict[str, Callable[[str], SearchSpace]] = {
    **dict.fromkeys(NAMED_OPTIONS, cell_space),
    "nasbench201": nasbench201_space,
}


def get_space(specification: str) -> SearchSpace:
    """Return the space of a specification; equal specifications give equal spaces.

    Raises:
        UnknownNameError: no such space; the message lists the known ones.
        InvalidInputError: a setting that cannot be read.
    """
    name = specification.partition(":")[0]
    if name not in SPACES:
        raise UnknownNameError("space", name, SPACES)
    return SPACES[name](specification)
