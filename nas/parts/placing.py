"""Where attention and stochastic depth go in a network that is there, and putting them there.

The places are found by running the network once, by rules that hold for any network:

1. Where maps are added, behind the branch: that operand which more convolutions and linear layers of the module that
   adds are behind. So a residual block gets its attention in front of the addition (Hu 2018, figure 3; Woo 2018,
   figure 3), and an identity or a projection none. Where both operands have equally many, as the two operations of a
   cell's block may, both are branches.
2. In a network without such additions, behind every module that concatenates maps, the outermost of several: an
   Inception module (Hu 2018, figure 2), a fire module, a dense layer.
3. In one with neither, behind the last layer of every map size above one position: a stage of a plain network.

Stochastic depth needs what a dropped branch is added to, and so the first rule.
"""

from __future__ import annotations

import torch
from torch import nn

from nas.errors import InvalidInputError
from nas.parts.activations import EXCHANGEABLE
from nas.parts.attention import ATTENTIONS
from nas.parts.flow import MAP, Flow
from nas.parts.regularizers import stochastic_depth

# What ends a stage of a plain network: not its pooling, nor a dropout.
STAGE_LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.LocalResponseNorm, *EXCHANGEABLE)


def attention_places(network: nn.Module, flow: Flow) -> dict[str, int]:
    """Return the names of the modules that attention goes behind, and the channels of what they give.

    Raises:
        InvalidInputError: the network has no such place.
    """
    for rule in (_branches,) if flow.branches else (_joints, _stages):
        found = _named(network, [module for module in rule(flow) if _gives_maps(module, flow)], flow)
        if found:
            return {name: flow.outputs[module][1] for name, module in found.items()}
    raise InvalidInputError(
        f"this {type(network).__name__} has no place for attention: no addition, concatenation or stage of maps "
        "(batch, channels, height, width) behind a module that is used once."
    )


def depth_places(network: nn.Module, flow: Flow) -> dict[str, float]:
    """Return the names of the branches that can be dropped, and each one's share of the last one's rate.

    Block l of L has the share l / L (Huang 2016, eq. 4); a block is an addition, whichever branches it has.

    Raises:
        InvalidInputError: nothing is added in the network.
    """
    shares: dict[str, float] = {}
    blocks = [found for block in flow.branches if (found := _named(network, list(block), flow))]
    for i, block in enumerate(blocks):
        shares |= {name: (i + 1) / len(blocks) for name in block if name not in shares}
    if not shares:
        raise InvalidInputError(
            f"stochastic depth drops what is added to something else, and this {type(network).__name__} has no "
            "such addition: choose a residual network, or leave it out."
        )
    return shares


def put_attention(network: nn.Module, places: dict[str, int], name: str) -> None:
    """Put new attention behind modules, in place; `places` as `attention_places` gives them."""
    for place, channels in places.items():
        _put_behind(network, place, ATTENTIONS[name](channels))


def put_depth(network: nn.Module, places: dict[str, float], rate: float) -> None:
    """Drop branches for whole images in training, in place; `places` as `depth_places` gives them."""
    for place, share in places.items():
        _put_behind(network, place, stochastic_depth(rate * share))


def drops_branches(network: nn.Module) -> bool:
    """Return whether a network drops branches by itself at some rate above 0."""
    from torchvision.ops import StochasticDepth

    return any(
        (isinstance(module, StochasticDepth) and module.p > 0)
        or (isinstance(rate := getattr(module, "drop_path", 0.0), float) and rate > 0)
        or (isinstance(kept := getattr(module, "survival", 1.0), float) and kept < 1)
        for module in network.modules()
    )


def put_behind(module: nn.Module, added: nn.Module) -> nn.Module:
    """Return what runs one module behind another, on the first one's device and in its mode.

    A plain sequence is made longer, so that the names of its weights stay.
    """
    first = next((tensor for tensor in (*module.parameters(), *module.buffers())), torch.zeros(()))
    added.to(first.device).train(module.training)
    if type(module) is nn.Sequential:
        return module.append(added)
    return nn.Sequential(module, added).train(module.training)


def _put_behind(network: nn.Module, place: str, added: nn.Module) -> None:
    network.set_submodule(place, put_behind(network.get_submodule(place), added))


def _named(network: nn.Module, modules: list[nn.Module], flow: Flow) -> dict[str, nn.Module]:
    """Return modules by name; without the network itself, and without those that are used at several places."""
    names = {module: name for name, module in network.named_modules()}
    return {names[module]: module for module in modules if names.get(module) and flow.runs_once(module)}


def _gives_maps(module: nn.Module, flow: Flow) -> bool:
    shape = flow.outputs.get(module, ())
    return len(shape) == MAP


def _branches(flow: Flow) -> list[nn.Module]:
    return list(dict.fromkeys(module for block in flow.branches for module in block))


def _joints(flow: Flow) -> list[nn.Module]:
    inner = {part for joint in flow.joints for part in joint.modules() if part is not joint}
    return [joint for joint in dict.fromkeys(flow.joints) if joint not in inner]


def _stages(flow: Flow) -> list[nn.Module]:
    last: dict[int, nn.Module] = {}
    weighted = [i for i, layer in enumerate(flow.layers) if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in flow.layers[: weighted[-1] if weighted else 0]:  # the last one gives the classes
        shape = flow.outputs.get(layer, ())
        if isinstance(layer, STAGE_LAYERS) and len(shape) == MAP and shape[2] > 1:
            last[shape[2]] = layer
    return list(last.values())
