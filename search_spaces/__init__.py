"""What can be built: decisions, architectures, cells as graphs, and the torch modules they become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.lazy import lazy_attributes

if TYPE_CHECKING:
    from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
    from search_spaces.drawing import Choose
    from search_spaces.errors import InvalidInputError, NASError, UnknownNameError
    from search_spaces.graph import Block, Cell, Edge
    from search_spaces.nasnet import CellSpace, CellSpaceOptions
    from search_spaces.registry import SPACES, as_space, get_space
    from search_spaces.space import SearchSpace

_HOMES = {
    "SPACES": "search_spaces.registry",
    "Architecture": "search_spaces.architecture",
    "Block": "search_spaces.graph",
    "Blueprint": "search_spaces.architecture",
    "Cell": "search_spaces.graph",
    "CellSpace": "search_spaces.nasnet",
    "CellSpaceOptions": "search_spaces.nasnet",
    "Choose": "search_spaces.drawing",
    "Complexity": "search_spaces.architecture",
    "Decision": "search_spaces.architecture",
    "Edge": "search_spaces.graph",
    "InvalidInputError": "search_spaces.errors",
    "NASError": "search_spaces.errors",
    "SearchSpace": "search_spaces.space",
    "UnknownNameError": "search_spaces.errors",
    "as_space": "search_spaces.registry",
    "get_space": "search_spaces.registry",
}

__all__ = [
    "SPACES",
    "Architecture",
    "Block",
    "Blueprint",
    "Cell",
    "CellSpace",
    "CellSpaceOptions",
    "Choose",
    "Complexity",
    "Decision",
    "Edge",
    "InvalidInputError",
    "NASError",
    "SearchSpace",
    "UnknownNameError",
    "as_space",
    "get_space",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
