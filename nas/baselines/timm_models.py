"""Any model of timm as a baseline, by ``timm:NAME``. Needs the package timm, which nothing else here does."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import nn

from nas.baselines.baseline import Baseline
from nas.baselines.sizes import Sizes
from nas.errors import InvalidInputError, MissingDependencyError, UnknownNameError

PREFIX = "timm:"


def find_timm_model(name: str) -> Baseline:
    """Return timm's model of a name without its prefix, for the images that it was made for.

    Raises:
        MissingDependencyError: timm is not installed.
        UnknownNameError: timm has no such model.
    """
    timm = _import_timm()
    if not timm.is_model(name):
        raise UnknownNameError("model of timm", name, timm.list_models())
    # the name of an architecture, or with a dot that of one of its weights
    settings = timm.get_pretrained_cfg(name, allow_unregistered=True)
    channels, resolution, _ = settings.input_size if settings is not None else (3, 224, 224)
    return Baseline(
        f"{PREFIX}{name}",
        f"{name} of timm {timm.__version__}",
        paper="",
        year=0,
        make=lambda sizes: _make(timm, name, sizes, canonical=resolution),
        resolution=resolution,
        channels=channels,
        scales=(),
    )


def _make(timm: ModuleType, name: str, sizes: Sizes, *, canonical: int) -> nn.Module:
    """Build a model; on images of another size than its own, it is run once, because timm's models do not adapt.

    Raises:
        InvalidInputError: the model cannot take such images.
    """
    try:
        module = _create(timm, name, sizes)
        if sizes.resolution != canonical:
            images = torch.zeros(1, sizes.channels, sizes.resolution, sizes.resolution)
            with torch.no_grad():
                module.eval()(images)
            module.train()
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidInputError(
            f"timm's {name}, made for {canonical} x {canonical} pixels, cannot take {sizes.resolution}: {reason}"
        ) from None
    return module


def _create(timm: ModuleType, name: str, sizes: Sizes) -> nn.Module:
    """Build a model; one with a fixed image size is told it."""
    given = {"num_classes": sizes.classes, "in_chans": sizes.channels}
    try:
        module: nn.Module = timm.create_model(name, img_size=sizes.resolution, **given)
    except TypeError:  # a model of any image size takes none
        module = timm.create_model(name, **given)
    return module


def _import_timm() -> ModuleType:
    try:
        import timm
    except ImportError:
        raise MissingDependencyError(
            "baselines called timm:NAME need the package timm, which is not installed: pip install timm."
        ) from None
    module: ModuleType = timm
    return module
