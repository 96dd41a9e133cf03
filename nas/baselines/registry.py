"""The baselines by name. Every family's file holds a tuple `BASELINES`; it is listed here, and read when asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from nas.baselines.baseline import Baseline
from nas.errors import UnknownNameError

FAMILIES: tuple[str, ...] = (
    # in the order of their years, roughly; `nas.baselines.` goes before each
    "lenet",
    "alexnet",
    "maxout",
    "network_in_network",
    "vgg",
    "googlenet",
    "bn_inception",
    "highway",
    "cifar_resnet",
    "resnet",
    "preact_resnet",
    "inception_v3",
    "pyramidnet",
    "inception_v4",
    "inception_resnet",
    "polynet",
    "xception",
    "densenet",
    "dpn",
    "residual_attention",
    "senet",
    "mobile",
    "vision_transformer",
    "convnext",
    "regnet",
    "squeezenet",
    "alphago",
    "mobilenet_v1",
    "shufflenet",
    "sagan",
    "airbench",
)


@cache
def baselines() -> dict[str, Baseline]:
    """Return all baselines by name, in the order of `FAMILIES`."""
    found: dict[str, Baseline] = {}
    for family in FAMILIES:
        for baseline in import_module(f"nas.baselines.{family}").BASELINES:
            assert baseline.name not in found, f"two baselines are called {baseline.name!r}"
            found[baseline.name] = baseline
    return found


@cache
def _aliases() -> dict[str, str]:
    found: dict[str, str] = {}
    for baseline in baselines().values():
        for alias in baseline.aliases:
            assert alias not in found, f"{alias!r} is an alias of {found[alias]!r} and of {baseline.name!r}"
            assert alias not in baselines(), f"{alias!r} is an alias and a name"
            found[alias] = baseline.name
    return found


def names() -> list[str]:
    """Return the names of all baselines; aliases are not among them."""
    return list(baselines())


def find_baseline(name: str) -> Baseline:
    """Return the baseline of a name or an alias.

    Raises:
        UnknownNameError: there is none; the message lists the known ones.
    """
    proper = _aliases().get(name, name)
    if proper not in baselines():
        raise UnknownNameError("baseline", name, [*baselines(), *_aliases()])
    return baselines()[proper]
