"""The search space of MnasNet (Tan 2019, https://arxiv.org/abs/1807.11626, section 4.1): stages of mobile blocks.

Every stage of a base network chooses its block, kernel, squeeze-and-excitation, skip, expansion, filters and repeats;
all blocks of a stage are alike. The paper's base is MobileNet-v2. Its third skip, pooling, is left out: neither paper
nor released code says what it does where shapes change. EfficientNet-B0 came out of the same space; as its 192 and
MnasNet-A1's 112 filters are no quarter steps from MobileNet-v2's, each is a point of the space around itself, and
so are MobileNet-v3's, where a stage is one block. The papers search for accuracy x (MACs / T)^-0.07 with T = 400M,
which is `nas search --space mbconv --target-macs 400M`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache

from search_spaces.architecture import Architecture, Blueprint, Complexity, Decision, Option, Stem
from search_spaces.counting import Sizes
from search_spaces.errors import InvalidInputError, UnknownNameError
from search_spaces.mbconv_design import DESIGNS, BlockKind, Design, Stage
from search_spaces.mbconv_layout import MBConvLayout, layout_network
from search_spaces.mbconv_network import MBConvNetwork
from search_spaces.scaling_rules import scale_filters
from search_spaces.space import SearchSpace

NAME = "mbconv"
PAPER_EXPANSIONS = (3, 6)
SKIPS = {"none": False, "identity": True}
POINTS = (
    *("mobilenet-v2", "mobilenet-v3-large", "mobilenet-v3-small", "mnasnet-a1", "mnasnet-b1"),
    "efficientnet-b0",
)


@dataclass(frozen=True, slots=True)
class Block:
    """What a block's name stands for: the kind it is built as, and whether it has a choice of expansion."""

    kind: BlockKind
    expands: bool


BLOCKS: dict[str, Block] = {
    "mbconv": Block("mbconv", expands=True),
    "sep_conv": Block("mbconv", expands=False),
    "conv": Block("fused", expands=False),
    "fused_mbconv": Block("fused", expands=True),
}


@dataclass(frozen=True, slots=True)
class MBConvSpaceOptions:
    """What can be chosen, stage by stage, around a base.

    Attributes:
        base: a key of `DESIGNS`: stem, head, strides, activations, normalisation, filters and repeats to start from.
        blocks: keys of `BLOCKS`.
        kernels, excitations: values of `Stage`.
        expansions: values of `Stage`; to the paper's, a base's stage adds its own, which differ in MobileNet-v3.
        skips: keys of `SKIPS`.
        filters: factors of the base's filters; the products are rounded to multiples of 8.
        repeats: differences from the base's repeats; a stage keeps at least one block.
    """

    base: str = "mobilenet-v2"
    blocks: tuple[str, ...] = ("mbconv", "sep_conv", "conv")
    kernels: tuple[int, ...] = (3, 5)
    excitations: tuple[float, ...] = (0.0, 0.25)
    skips: tuple[str, ...] = ("none", "identity")
    expansions: tuple[int, ...] = PAPER_EXPANSIONS
    filters: tuple[float, ...] = (0.75, 1.0, 1.25)
    repeats: tuple[int, ...] = (-1, 0, 1)

    def __post_init__(self) -> None:
        """Refuse settings that make no space."""
        if self.base not in DESIGNS:
            raise UnknownNameError("base of a mobile space", self.base, DESIGNS)
        for kind, names, known in (("block", self.blocks, BLOCKS), ("skip", self.skips, SKIPS)):
            for name in names:
                if name not in known:
                    raise UnknownNameError(kind, name, known)
        if any(factor <= 0 for factor in self.filters):
            raise InvalidInputError(f"filters are multiplied by factors > 0, got {list(self.filters)}.")
        for kernel in self.kernels:
            Stage("mbconv", kernel, 1, 1, 1)
        for expansion in self.expansions:
            Stage("mbconv", 3, expansion, 1, 1)
        for excitation in self.excitations:
            Stage("mbconv", 3, 1, 1, 1, excitation=excitation)

    def filter_options(self, base: Stage) -> tuple[int, ...]:
        """Return the filters that a stage can have; factors that round to the same number count once."""
        return tuple(dict.fromkeys(scale_filters(base.filters, factor) for factor in self.filters))

    def expansion_options(self, base: Stage) -> tuple[float, ...]:
        """Return the expansions that a stage can have."""
        adds_own = self.expansions == PAPER_EXPANSIONS and base.expansion != 1
        return tuple(dict.fromkeys((*self.expansions, base.expansion) if adds_own else self.expansions))

    def repeat_options(self, base: Stage) -> tuple[int, ...]:
        """Return the repeats that a stage can have."""
        return tuple(dict.fromkeys(max(1, base.repeats + more) for more in self.repeats))


# Multipliers of the base's repeats and filters, by the size of the images.
PROXY_FACTORS: Mapping[Stem, tuple[float, float]] = {"tiny": (1, 0.25), "cifar": (1, 0.5), "imagenet": (1, 1)}


class MBConvSpace(SearchSpace):
    """Architectures made of stages of mobile blocks."""

    def __init__(self, name: str, options: MBConvSpaceOptions | None = None) -> None:
        """Lay out the decisions.

        Args:
            name: the specification that `search_spaces.get_space` turns into this space.
            options: what can be chosen; by default as in the paper.
        """
        self.space_options = options or MBConvSpaceOptions()
        self.base = DESIGNS[self.space_options.base]
        stages = enumerate(self.base.stages)
        decisions = [decision for i, stage in stages for decision in self._decisions(i, stage)]
        super().__init__(name, decisions, proxy_sizes=PROXY_FACTORS)

    def _decisions(self, i: int, base: Stage) -> Iterator[Decision]:
        options = self.space_options
        yield Decision(f"stage{i}_block", options.blocks)
        yield Decision(f"stage{i}_kernel", options.kernels)
        yield Decision(f"stage{i}_excitation", options.excitations)
        yield Decision(f"stage{i}_skip", options.skips)
        yield Decision(f"stage{i}_expansion", options.expansion_options(base))
        yield Decision(f"stage{i}_filters", options.filter_options(base))
        yield Decision(f"stage{i}_repeats", options.repeat_options(base))

    def design(self, architecture: Architecture) -> Design:
        """Return the network: the base with the stages that the architecture chooses."""
        self.validate(architecture)
        step = len(self.decisions) // len(self.base.stages)
        stages = [
            self._stage(base, architecture.choices[i * step : (i + 1) * step])
            for i, base in enumerate(self.base.stages)
        ]
        return replace(self.base, stages=tuple(stages))

    def _stage(self, base: Stage, choices: tuple[int, ...]) -> Stage:
        options = self.space_options
        block, kernel, excitation, skip, expansion, filters, repeats = choices
        chosen = BLOCKS[options.blocks[block]]
        return replace(
            base,
            block=chosen.kind,
            kernel=options.kernels[kernel],
            excitation=options.excitations[excitation],
            skip=SKIPS[options.skips[skip]],
            expansion=options.expansion_options(base)[expansion] if chosen.expands else 1,
            filters=options.filter_options(base)[filters],
            repeats=options.repeat_options(base)[repeats],
        )

    def from_stages(self, stages: tuple[Stage, ...]) -> Architecture:
        """Return the architecture with these stages; the inverse of `design` but for strides and activations.

        Raises:
            InvalidInputError: another number of stages, or one that this space cannot express.
        """
        if len(stages) != len(self.base.stages):
            raise InvalidInputError(
                f"networks of {self.name!r} have {len(self.base.stages)} stages, got {len(stages)}."
            )
        chosen = [option for stage in stages for option in self._chosen(stage)]
        choices = []
        for decision, option in zip(self.decisions, chosen, strict=True):
            if option not in decision.options:
                raise InvalidInputError(
                    f"{decision.name} of {self.name!r} is one of {list(decision.options)}, got {option!r}."
                )
            choices.append(decision.options.index(option))
        return self.architecture(choices)

    def _chosen(self, stage: Stage) -> tuple[Option, ...]:
        """Return the options of a stage in the order of the decisions; the first expansion where it has none."""
        expands = stage.expansion != 1
        block = next(name for name, one in BLOCKS.items() if one == Block(stage.block, expands))
        skip = next(name for name, value in SKIPS.items() if value == stage.skip)
        expansion = stage.expansion if expands else self.space_options.expansions[0]
        return block, stage.kernel, stage.excitation, skip, expansion, stage.filters, stage.repeats

    def key(self, architecture: Architecture) -> str:
        """Return the stages in short, without expansions where the block has none.

        A skip counts also where no block of the stage keeps its shape: another depth or image size changes that.
        """
        return "/".join([_stage_key(stage) for stage in self.design(architecture).stages])

    def layout(self, blueprint: Blueprint) -> MBConvLayout:
        """Return the network with every shape worked out.

        The blueprint's depth and width multiply repeats and filters; its stem is the base's for every image size,
        with strides as `search_spaces.scaling_rules` has them.

        Raises:
            InvalidInputError: another space's architecture.
        """
        if not isinstance(blueprint.network, Architecture):
            raise InvalidInputError(
                f"space {self.name!r} builds its architectures, got the name {blueprint.network!r}."
            )
        design = self.design(blueprint.network)
        depth = 1.0 if blueprint.depth is None else blueprint.depth
        width = 1.0 if blueprint.width is None else blueprint.width
        return layout_network(design, Sizes.of(blueprint), depth=depth, width=width)

    def build(self, blueprint: Blueprint) -> MBConvNetwork:
        """Return the network; there is no auxiliary classifier to add."""
        return MBConvNetwork(self.layout(blueprint))

    def complexity(self, blueprint: Blueprint) -> Complexity:
        """Return parameters and MACs from shapes alone."""
        return self.layout(blueprint).complexity


def _stage_key(stage: Stage) -> str:
    skip = "skip" if stage.skip else "plain"
    shape = f"{stage.filters}x{stage.repeats}"
    return f"{stage.block}{stage.kernel}-e{stage.expansion:g}-se{stage.excitation:g}-{skip}-{shape}"


@lru_cache(maxsize=64)
def mbconv_space(specification: str) -> MBConvSpace:
    """Return the space of a specification: ``mbconv``, then optional settings; values of one are joined by ``+``.

    ``mbconv``; ``mbconv:base=efficientnet-b0``; ``mbconv:blocks=mbconv+fused_mbconv,expansions=4+6``.

    Raises:
        UnknownNameError: unknown setting, base, block or skip.
        InvalidInputError: a setting that cannot be read, or makes no space.
    """
    settings: dict[str, object] = {}
    defaults = {field.name: field.default for field in fields(MBConvSpaceOptions)}
    for setting in filter(None, specification.partition(":")[2].split(",")):
        name, equals, text = setting.partition("=")
        if name not in defaults:
            raise UnknownNameError("setting of a mobile space", name, defaults)
        if not equals or not text:
            raise InvalidInputError(f"settings of a space are written name=value, got {setting!r}.")
        settings[name] = _parse(name, text, like=defaults[name])
    return MBConvSpace(specification, MBConvSpaceOptions(**settings))  # type: ignore[arg-type]


def _parse(name: str, text: str, *, like: object) -> object:
    if not isinstance(like, tuple):
        return text
    kind = type(like[0])
    try:
        return tuple([kind(part) for part in text.split("+")])
    except ValueError:
        raise InvalidInputError(f"setting {name} takes values like {'+'.join(map(str, like))}, got {text!r}.") from None


def mbconv_points() -> dict[str, Architecture]:
    """Return the published networks that are points of a space, by name; each of the space around itself."""
    points = {}
    for name in POINTS:
        default = name == MBConvSpaceOptions().base
        points[name] = mbconv_space(NAME if default else f"{NAME}:base={name}").from_stages(DESIGNS[name].stages)
    return points
