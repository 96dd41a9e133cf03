"""Published cells, as points of our spaces, and the published networks built from them.

States: 0 is the output of the cell before the previous one, 1 of the previous cell, 2 + i of block i. NASNet-A
and AmoebaNet follow their released code, which concatenates states that the papers' figures do not, and numbers
the AmoebaNet inputs the other way round than the figures. NASNet-B and -C exist in no released code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from search_spaces.architecture import Architecture, Blueprint, Stem
from search_spaces.errors import UnknownNameError
from search_spaces.graph import Block, Cell, Edge
from search_spaces.nasnet import CellSpace, cell_space


@dataclass(frozen=True, slots=True)
class PublishedCells:
    """A normal and a reduction cell, where they come from, and the space that holds them."""

    name: str
    source: str
    space: str
    normal: Cell
    reduction: Cell


@dataclass(frozen=True, slots=True)
class PublishedNetwork:
    """A published size of published cells: N, F, stem and input size.

    The errors are the published ones in percent, on ImageNet's validation or CIFAR-10's test images, with cutout where
    that was published; None where they are not known.
    """

    cells: str
    skeleton: str
    depth: int
    width: int
    stem: Stem
    resolution: int
    top1_error: float | None = None
    top5_error: float | None = None

    @property
    def classes(self) -> int:
        """Classes of the data set it was published for."""
        return 1000 if self.stem == "imagenet" else 10


def _cell(*blocks: str, concat: tuple[int, ...]) -> Cell:
    """Read blocks written ``state operation + state operation``."""
    parsed = []
    for text in blocks:
        a, f, _, b, g = text.split()
        parsed.append(Block(Edge(int(a), f), Edge(int(b), g)))
    return Cell(tuple(parsed), concat)


CELLS: dict[str, PublishedCells] = {
    cells.name: cells
    for cells in (
        PublishedCells(
            "nasnet-a",
            "Zoph 2018, as released (TF-Slim)",
            "nasnet:concat=extra",
            _cell(
                "1 sep_conv_5x5 + 0 sep_conv_3x3",
                "0 sep_conv_5x5 + 0 sep_conv_3x3",
                "1 avg_pool_3x3 + 0 identity",
                "0 avg_pool_3x3 + 0 avg_pool_3x3",
                "1 sep_conv_3x3 + 1 identity",
                concat=(0, 2, 3, 4, 5, 6),
            ),
            _cell(
                "1 sep_conv_5x5 + 0 sep_conv_7x7",
                "1 max_pool_3x3 + 0 sep_conv_7x7",
                "1 avg_pool_3x3 + 0 sep_conv_5x5",
                "3 identity + 2 avg_pool_3x3",
                "2 sep_conv_3x3 + 1 max_pool_3x3",
                concat=(3, 4, 5, 6),
            ),
        ),
        PublishedCells(
            "amoebanet-a",
            "Real 2019, as released (TPU code)",
            "amoebanet:concat=extra",
            _cell(
                "1 avg_pool_3x3 + 1 max_pool_3x3",
                "0 sep_conv_3x3 + 0 identity",
                "1 identity + 0 avg_pool_3x3",
                "1 sep_conv_3x3 + 2 sep_conv_5x5",
                "5 avg_pool_3x3 + 1 sep_conv_3x3",
                concat=(0, 3, 4, 6),
            ),
            _cell(
                "0 sep_conv_3x3 + 1 avg_pool_3x3",
                "1 max_pool_3x3 + 2 sep_conv_7x7",
                "0 max_pool_3x3 + 1 max_pool_3x3",
                "4 sep_conv_3x3 + 1 conv_1x7_7x1",
                "0 avg_pool_3x3 + 1 sep_conv_7x7",
                concat=(2, 3, 4, 5, 6),
            ),
        ),
        PublishedCells(
            "amoebanet-b",
            "Real 2019, as released (TPU code)",
            "amoebanet:operations=amoebanet-wide,concat=extra",
            _cell(
                "0 conv_1x1 + 0 max_pool_3x3",
                "0 identity + 1 sep_conv_3x3",
                "0 conv_1x1 + 1 sep_conv_3x3",
                "2 conv_1x1 + 2 identity",
                "0 avg_pool_3x3 + 5 conv_1x1",
                concat=(1, 3, 4, 6),
            ),
            _cell(
                "1 max_pool_2x2 + 1 max_pool_3x3",
                "2 identity + 0 conv_3x3",
                "2 dil_sep_conv_5x5 + 2 max_pool_3x3",
                "3 identity + 0 sep_conv_3x3",
                "4 avg_pool_3x3 + 3 conv_1x1",
                concat=(5, 6),
            ),
        ),
        PublishedCells(
            "amoebanet-c",
            "Real 2019, as released (TPU code)",
            "amoebanet:concat=extra",
            _cell(
                "1 avg_pool_3x3 + 1 sep_conv_3x3",
                "1 identity + 1 sep_conv_3x3",
                "2 avg_pool_3x3 + 0 sep_conv_3x3",
                "1 identity + 0 sep_conv_3x3",
                "3 avg_pool_3x3 + 1 sep_conv_3x3",
                concat=(0, 2, 4, 5, 6),
            ),
            _cell(
                "1 max_pool_3x3 + 1 max_pool_3x3",
                "2 sep_conv_7x7 + 1 sep_conv_3x3",
                "1 sep_conv_7x7 + 0 max_pool_3x3",
                "4 sep_conv_5x5 + 4 sep_conv_5x5",
                "0 max_pool_3x3 + 0 sep_conv_3x3",
                concat=(1, 2, 3, 4, 5, 6),
            ),
        ),
        PublishedCells(
            "amoebanet-d",
            "Real 2019, as released (TPU code)",
            "amoebanet:operations=amoebanet-wide,concat=extra",
            _cell(
                "0 conv_1x1 + 0 max_pool_3x3",
                "0 identity + 1 conv_1x7_7x1",
                "1 conv_1x1 + 1 conv_1x7_7x1",
                "2 max_pool_3x3 + 2 identity",
                "0 avg_pool_3x3 + 5 conv_1x1",
                concat=(1, 3, 4, 6),
            ),
            _cell(
                "1 max_pool_2x2 + 1 max_pool_3x3",
                "2 identity + 0 conv_3x3",
                "2 conv_1x7_7x1 + 2 max_pool_3x3",
                "3 identity + 0 max_pool_2x2",
                "2 avg_pool_3x3 + 3 conv_1x1",
                concat=(4, 5, 6),
            ),
        ),
        PublishedCells(
            "pnasnet-5",
            "Liu 2018, as released (TF-Slim)",
            "pnasnet:concat=blocks",
            _cell(
                "0 sep_conv_5x5 + 0 max_pool_3x3",
                "1 sep_conv_7x7 + 1 max_pool_3x3",
                "1 sep_conv_5x5 + 1 sep_conv_3x3",
                "4 sep_conv_3x3 + 1 max_pool_3x3",
                "0 sep_conv_3x3 + 1 identity",
                concat=(2, 3, 4, 5, 6),
            ),
            _cell(
                "0 sep_conv_5x5 + 0 max_pool_3x3",
                "1 sep_conv_7x7 + 1 max_pool_3x3",
                "1 sep_conv_5x5 + 1 sep_conv_3x3",
                "4 sep_conv_3x3 + 1 max_pool_3x3",
                "0 sep_conv_3x3 + 1 identity",
                concat=(2, 3, 4, 5, 6),
            ),
        ),
        PublishedCells(
            "enas-micro",
            "Pham 2018, the released arc",
            "enas",
            _cell(
                "0 avg_pool_3x3 + 0 sep_conv_3x3",
                "0 identity + 0 sep_conv_5x5",
                "0 identity + 1 sep_conv_5x5",
                "1 sep_conv_3x3 + 0 sep_conv_5x5",
                "0 avg_pool_3x3 + 1 sep_conv_5x5",
                concat=(2, 3, 4, 5, 6),
            ),
            _cell(
                "1 sep_conv_3x3 + 1 sep_conv_3x3",
                "0 max_pool_3x3 + 0 avg_pool_3x3",
                "1 sep_conv_5x5 + 3 sep_conv_5x5",
                "1 sep_conv_3x3 + 0 identity",
                "0 max_pool_3x3 + 1 sep_conv_5x5",
                concat=(2, 4, 5, 6),
            ),
        ),
        PublishedCells(
            "enas-micro-figure",
            "Pham 2018, figure, others' transcription",
            "enas",
            _cell(
                "1 sep_conv_3x3 + 1 identity",
                "1 sep_conv_5x5 + 0 identity",
                "0 avg_pool_3x3 + 1 sep_conv_3x3",
                "0 sep_conv_3x3 + 1 avg_pool_3x3",
                "1 sep_conv_5x5 + 0 avg_pool_3x3",
                concat=(2, 3, 4, 5, 6),
            ),
            _cell(
                "0 sep_conv_5x5 + 1 avg_pool_3x3",
                "1 sep_conv_3x3 + 1 avg_pool_3x3",
                "1 avg_pool_3x3 + 1 sep_conv_3x3",
                "4 sep_conv_5x5 + 1 avg_pool_3x3",
                "5 sep_conv_3x3 + 0 sep_conv_5x5",
                concat=(2, 3, 6),
            ),
        ),
        PublishedCells(
            "darts-v1",
            "Liu 2019, first order",
            "darts",
            _cell(
                "1 sep_conv_3x3 + 0 sep_conv_3x3",
                "0 identity + 1 sep_conv_3x3",
                "0 identity + 1 sep_conv_3x3",
                "0 sep_conv_3x3 + 2 identity",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "0 max_pool_3x3 + 1 max_pool_3x3",
                "2 identity + 0 max_pool_3x3",
                "0 max_pool_3x3 + 2 identity",
                "2 identity + 0 avg_pool_3x3",
                concat=(2, 3, 4, 5),
            ),
        ),
        PublishedCells(
            "darts-v2",
            "Liu 2019, second order",
            "darts",
            _cell(
                "0 sep_conv_3x3 + 1 sep_conv_3x3",
                "0 sep_conv_3x3 + 1 sep_conv_3x3",
                "1 sep_conv_3x3 + 0 identity",
                "0 identity + 2 dil_conv_3x3",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "0 max_pool_3x3 + 1 max_pool_3x3",
                "2 identity + 1 max_pool_3x3",
                "0 max_pool_3x3 + 2 identity",
                "2 identity + 1 max_pool_3x3",
                concat=(2, 3, 4, 5),
            ),
        ),
        PublishedCells(
            "pc-darts-cifar",
            "Xu 2020, found on CIFAR-10",
            "darts",
            _cell(
                "1 sep_conv_3x3 + 0 identity",
                "0 sep_conv_3x3 + 1 dil_conv_3x3",
                "0 sep_conv_5x5 + 1 sep_conv_3x3",
                "0 avg_pool_3x3 + 1 dil_conv_3x3",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "1 sep_conv_5x5 + 0 max_pool_3x3",
                "1 sep_conv_5x5 + 2 sep_conv_5x5",
                "0 sep_conv_3x3 + 3 sep_conv_3x3",
                "1 sep_conv_3x3 + 2 sep_conv_3x3",
                concat=(2, 3, 4, 5),
            ),
        ),
        PublishedCells(
            "pc-darts-imagenet",
            "Xu 2020, found on ImageNet",
            "darts",
            _cell(
                "1 identity + 0 sep_conv_3x3",
                "0 sep_conv_3x3 + 1 identity",
                "1 sep_conv_3x3 + 3 sep_conv_3x3",
                "1 sep_conv_3x3 + 4 dil_conv_5x5",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "0 sep_conv_3x3 + 1 identity",
                "2 dil_conv_5x5 + 1 max_pool_3x3",
                "2 sep_conv_3x3 + 1 sep_conv_3x3",
                "0 sep_conv_5x5 + 3 sep_conv_3x3",
                concat=(2, 3, 4, 5),
            ),
        ),
        PublishedCells(
            "p-darts",
            "Chen 2019",
            "darts",
            _cell(
                "0 identity + 1 dil_conv_3x3",
                "0 identity + 1 sep_conv_3x3",
                "1 sep_conv_3x3 + 3 sep_conv_3x3",
                "0 sep_conv_3x3 + 4 dil_conv_5x5",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "0 avg_pool_3x3 + 1 sep_conv_5x5",
                "0 sep_conv_3x3 + 2 dil_conv_5x5",
                "0 max_pool_3x3 + 1 dil_conv_3x3",
                "1 dil_conv_3x3 + 3 dil_conv_5x5",
                concat=(2, 3, 4, 5),
            ),
        ),
        PublishedCells(
            "snas-mild",
            "Xie 2019, mild constraint",
            "darts",
            _cell(
                "0 sep_conv_3x3 + 1 sep_conv_3x3",
                "0 identity + 1 dil_conv_3x3",
                "0 identity + 1 identity",
                "0 identity + 1 sep_conv_3x3",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "0 max_pool_3x3 + 1 max_pool_3x3",
                "1 max_pool_3x3 + 2 identity",
                "1 max_pool_3x3 + 2 identity",
                "0 max_pool_3x3 + 2 dil_conv_5x5",
                concat=(2, 3, 4, 5),
            ),
        ),
        PublishedCells(
            "snas-moderate",
            "Xie 2019, moderate constraint",
            "darts",
            _cell(
                "0 dil_conv_5x5 + 1 identity",
                "0 sep_conv_3x3 + 1 identity",
                "0 identity + 1 identity",
                "0 sep_conv_3x3 + 1 dil_conv_5x5",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "0 max_pool_3x3 + 1 max_pool_3x3",
                "0 sep_conv_5x5 + 1 dil_conv_5x5",
                "0 sep_conv_5x5 + 1 sep_conv_5x5",
                "0 sep_conv_5x5 + 1 sep_conv_5x5",
                concat=(2, 3, 4, 5),
            ),
        ),
        PublishedCells(
            "snas-aggressive",
            "Xie 2019, aggressive constraint",
            "darts:operations=sep_conv_3x3+sep_conv_5x5+dil_conv_3x3+dil_conv_5x5+max_pool_3x3+avg_pool_3x3+identity+zero",
            _cell(
                "0 sep_conv_5x5 + 1 identity",
                "0 identity + 1 identity",
                "1 dil_conv_5x5 + 0 identity",
                "0 identity + 1 dil_conv_5x5",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "0 sep_conv_5x5 + 1 zero",
                "0 sep_conv_5x5 + 1 zero",
                "1 zero + 0 zero",
                "1 zero + 0 zero",
                concat=(2, 3, 4, 5),
            ),
        ),
        PublishedCells(
            "gdas",
            "Dong 2019",
            "darts",
            _cell(
                "0 identity + 1 identity",
                "0 identity + 2 sep_conv_5x5",
                "3 sep_conv_3x3 + 0 identity",
                "4 sep_conv_5x5 + 3 sep_conv_3x3",
                concat=(2, 3, 4, 5),
            ),
            _cell(
                "0 sep_conv_5x5 + 1 sep_conv_3x3",
                "2 sep_conv_5x5 + 1 sep_conv_5x5",
                "2 dil_conv_5x5 + 1 sep_conv_3x3",
                "0 sep_conv_5x5 + 1 sep_conv_5x5",
                concat=(2, 3, 4, 5),
            ),
        ),
    )
}

NETWORKS: dict[str, PublishedNetwork] = {
    "nasnet-a-mobile": PublishedNetwork("nasnet-a", "nasnet", 4, 44, "imagenet", 224, 26.0, 8.4),
    "nasnet-a-large": PublishedNetwork("nasnet-a", "nasnet-large", 6, 168, "imagenet", 331, 17.3, 3.8),
    "nasnet-a-7@1920": PublishedNetwork("nasnet-a", "nasnet-large", 7, 80, "imagenet", 299, 19.2, 4.7),
    "nasnet-a-5@1538": PublishedNetwork("nasnet-a", "nasnet-large", 5, 64, "imagenet", 299, 21.4, 5.8),
    "nasnet-a-cifar-6@768": PublishedNetwork("nasnet-a", "nasnet", 6, 32, "cifar", 32, 2.65),
    "nasnet-a-cifar-7@2304": PublishedNetwork("nasnet-a", "nasnet", 7, 96, "cifar", 32, 2.4),
    "amoebanet-a-large": PublishedNetwork("amoebanet-a", "nasnet", 6, 190, "imagenet", 331, 17.2, 3.9),
    "amoebanet-a-448": PublishedNetwork("amoebanet-a", "nasnet", 6, 448, "imagenet", 299, 16.1, 3.4),
    "amoebanet-a-mobile": PublishedNetwork("amoebanet-a", "nasnet", 4, 50, "imagenet", 224, 25.5, 8.0),
    "amoebanet-b-mobile": PublishedNetwork("amoebanet-b", "nasnet", 3, 62, "imagenet", 224, 26.0, 8.5),
    "amoebanet-b-large": PublishedNetwork("amoebanet-b", "nasnet", 6, 190, "imagenet", 331),
    "amoebanet-c-mobile": PublishedNetwork("amoebanet-c", "nasnet", 4, 50, "imagenet", 224, 24.3, 7.6),
    "amoebanet-c-large": PublishedNetwork("amoebanet-c", "nasnet", 6, 228, "imagenet", 331, 16.5, 3.5),
    "amoebanet-a-cifar-6-32": PublishedNetwork("amoebanet-a", "nasnet", 6, 32, "cifar", 32, 3.4),
    "amoebanet-a-cifar-6-36": PublishedNetwork("amoebanet-a", "nasnet", 6, 36, "cifar", 32, 3.34),
    "amoebanet-b-cifar-6-36": PublishedNetwork("amoebanet-b", "nasnet", 6, 36, "cifar", 32, 2.55),
    "amoebanet-b-cifar-6-80": PublishedNetwork("amoebanet-b", "nasnet", 6, 80, "cifar", 32),
    "amoebanet-b-cifar-6-112": PublishedNetwork("amoebanet-b", "nasnet", 6, 112, "cifar", 32),
    "amoebanet-b-cifar-6-128": PublishedNetwork("amoebanet-b", "nasnet", 6, 128, "cifar", 32),
    "pnasnet-5-large": PublishedNetwork("pnasnet-5", "pnasnet-large", 4, 216, "imagenet", 331, 17.1, 3.8),
    "pnasnet-5-mobile": PublishedNetwork("pnasnet-5", "pnasnet", 3, 54, "imagenet", 224, 25.8, 8.1),
    "pnasnet-5-cifar": PublishedNetwork("pnasnet-5", "pnasnet", 3, 48, "cifar", 32, 3.41),
    "enas-micro": PublishedNetwork("enas-micro", "enas", 5, 36, "cifar", 32, 2.89),
    "darts-v1-cifar": PublishedNetwork("darts-v1", "darts", 6, 36, "cifar", 32, 3.0),
    "darts-v2-cifar": PublishedNetwork("darts-v2", "darts", 6, 36, "cifar", 32, 2.76),
    "darts-v1-imagenet": PublishedNetwork("darts-v1", "darts", 4, 48, "imagenet", 224),
    "darts-v2-imagenet": PublishedNetwork("darts-v2", "darts", 4, 48, "imagenet", 224, 26.7, 8.7),
    "pc-darts-cifar": PublishedNetwork("pc-darts-cifar", "darts", 6, 36, "cifar", 32, 2.57),
    "pc-darts-imagenet": PublishedNetwork("pc-darts-imagenet", "darts", 4, 48, "imagenet", 224, 24.2),
    "p-darts-cifar": PublishedNetwork("p-darts", "darts", 6, 36, "cifar", 32),
    "gdas-cifar": PublishedNetwork("gdas", "darts", 6, 36, "cifar", 32),
    "snas-moderate-cifar": PublishedNetwork("snas-moderate", "darts", 6, 36, "cifar", 32, 2.85),
}


def published_architecture(name: str, *, skeleton: str | None = None) -> tuple[CellSpace, Architecture]:
    """Return the space that holds the published cells of that name, and their architecture in it.

    Args:
        name: a key of `CELLS`.
        skeleton: stack them in another skeleton than the space's own.

    Raises:
        UnknownNameError: no such cells, or no such skeleton.
    """
    if name not in CELLS:
        raise UnknownNameError("published cell", name, CELLS)
    cells = CELLS[name]
    specification = cells.space
    if skeleton and skeleton != cell_space(specification).skeleton.name:
        specification += f"{',' if ':' in specification else ':'}skeleton={skeleton}"
    space = cell_space(specification)
    return space, space.from_cells(cells.normal, cells.reduction)


@lru_cache(maxsize=64)
def published_blueprint(name: str) -> Blueprint:
    """Return the blueprint of a published network.

    Raises:
        UnknownNameError: no such network.
    """
    if name not in NETWORKS:
        raise UnknownNameError("published network", name, NETWORKS)
    network = NETWORKS[name]
    _, architecture = published_architecture(network.cells, skeleton=network.skeleton)
    return Blueprint(
        architecture,
        network.resolution,
        classes=network.classes,
        stem=network.stem,
        depth=network.depth,
        width=network.width,
    )
