"""What can be built: decisions, architectures, cells as graphs, and the torch modules they become."""

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision
from search_spaces.errors import InvalidInputError, NASError, UnknownNameError
from search_spaces.graph import Block, Cell, Edge
from search_spaces.nasnet import CellSpace, CellSpaceOptions
from search_spaces.registry import SPACES, get_space
from search_spaces.space import SearchSpace

__all__ = [
    "SPACES",
    "Architecture",
    "Block",
    "Blueprint",
    "Cell",
    "CellSpace",
    "CellSpaceOptions",
    "Complexity",
    "Decision",
    "Edge",
    "InvalidInputError",
    "NASError",
    "SearchSpace",
    "UnknownNameError",
    "get_space",
]
