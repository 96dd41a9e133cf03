"""What stored networks score on test images, each alone and all together as an ensemble."""

# ruff: noqa: PT028 - the function has the name of its command and is no test of pytest's

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nas.data import ImageData, get_dataset, load_data
from nas.errors import InvalidInputError
from nas.finalizing import FOLDER, StoredNetwork, load_stored
from nas.parts.prediction import mean_of_probabilities
from nas.run import Run
from nas.training.measuring import TEN_CROPS, Accuracy, accuracy_of, predict
from nas.training.runs.run import TrainedRun
from nas.training.transfer import normalised_as

Testable = str | Path | StoredNetwork | Run | TrainedRun
SHOWN_CLASSES = 3


@dataclass(frozen=True, slots=True)
class Score:
    """What a network, or several as one, score on test images.

    Attributes:
        name: folder of the network, or what the ensemble is called.
        measured: correct answers, images, and the mean cross-entropy.
    """

    name: str
    measured: Accuracy

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        found = self.measured
        return {
            "network": self.name,
            "test_accuracy": found.share,
            "test_correct": found.correct,
            "test_images": found.images,
            "test_loss": found.loss,
        }


@dataclass(frozen=True, slots=True)
class Tested:
    """What was measured.

    Attributes:
        data: name of the data set.
        networks: the score of each network, in the order in which they were given.
        ensemble: that of the mean of their probabilities; None for a single network.
        crops: views of each image that a prediction is the mean of.
    """

    data: str
    networks: tuple[Score, ...]
    ensemble: Score | None
    crops: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        ensemble = self.ensemble.to_json() if self.ensemble else None
        networks = [one.to_json() for one in self.networks]
        return {"data": self.data, "crops": self.crops, "networks": networks, "ensemble": ensemble}


def test(
    networks: Testable | Iterable[Testable],
    *,
    data: str | ImageData,
    data_root: str | Path | None = None,
    download: bool = False,
    crops: int = 1,
    device: str = "cpu",
) -> Tested:
    """Measure stored networks on test images; several also as an ensemble, the mean of their probabilities.

    Args:
        networks: folders of finished searches or trainings, their ``best/``, or what `nas.load` and `nas.train` gave.
        data: a data set's name; its images come in the size that each network takes. Or the images themselves.
        data_root: folder of the data set's files; see `nas.data.load_data`.
        download: fetch them if they are missing.
        crops: 10 for ten-crop testing; see `nas.training.measuring`.
        device: where to compute.

    Raises:
        InvalidInputError: a folder without a network, a network for other images or classes, or no test images.
        NASError: weights that cannot be read.
    """
    if crops not in (1, TEN_CROPS):
        raise InvalidInputError(f"crops is 1 or {TEN_CROPS}, got {crops}.")
    _check_device(device)
    given = [networks] if isinstance(networks, Testable) else networks
    stored = [find_stored(one) for one in given]
    if not stored:
        raise InvalidInputError("nothing to test: give at least one stored network.")
    images = _load(stored, data, root=data_root, download=download)  # before anything is computed
    logits = [
        predict(one.network().to(device), fitting, fitting.test, crops=crops).cpu()
        for one, fitting in zip(stored, images, strict=True)
    ]
    labels, classes = images[0].test.labels, images[0].classes
    scores = tuple(
        Score(str(one.folder), accuracy_of(found, labels)) for one, found in zip(stored, logits, strict=True)
    )
    ensemble = None
    if len(stored) > 1:
        together = mean_of_probabilities([found.log_softmax(1)[:, :classes] for found in logits])
        ensemble = Score(f"ensemble of {len(stored)}", accuracy_of(together, labels))
    return Tested(images[0].name, scores, ensemble, crops)


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise InvalidInputError(f"device is cpu, cuda or cuda:N that this machine has, got {device!r}.") from None


def find_stored(network: Testable) -> StoredNetwork:
    """Return a stored network: itself, what a run left, or what lies in a folder or in ``best/`` in it.

    Raises:
        InvalidInputError: there is none, or it cannot be read.
    """
    if isinstance(network, StoredNetwork):
        return network
    if isinstance(network, Run | TrainedRun):
        best = network.best
        if not isinstance(best, StoredNetwork):
            raise InvalidInputError(f"{network.folder} looked results up in a table: there is no network to test.")
        return best
    folder = Path(network)
    if not folder.is_dir():
        raise InvalidInputError(f"there is no folder {folder}: give the folder of a finished search or training.")
    return load_stored(folder / FOLDER if (folder / FOLDER).is_dir() else folder)


def _load(
    stored: list[StoredNetwork], data: str | ImageData, *, root: str | Path | None, download: bool
) -> list[ImageData]:
    """Return images that suit each network, in its size and with its normalisation; each size is read once."""
    found: dict[tuple[int, int], ImageData] = {}
    for one in stored:
        size = (one.blueprint.resolution, one.blueprint.channels)
        if size not in found:
            found[size] = _read(data, size, root=root, download=download) if isinstance(data, str) else data
        _check(one, found[size])
    sizes = [(one.blueprint.resolution, one.blueprint.channels) for one in stored]
    return [normalised_as(found[size], mean=one.mean, std=one.std) for size, one in zip(sizes, stored, strict=True)]


def _read(name: str, size: tuple[int, int], *, root: str | Path | None, download: bool) -> ImageData:
    resolution, channels = size
    has_choice = get_dataset(name).shape is None and channels in (1, 3)
    return load_data(
        name, root=root, download=download, resolution=resolution, channels=channels if has_choice else None
    )


def _check(stored: StoredNetwork, data: ImageData) -> None:
    """Raise in one line what keeps a network from being measured on these images."""
    blueprint, (channels, size, _) = stored.blueprint, data.input_shape
    if channels != blueprint.channels:
        raise InvalidInputError(
            f"{stored.folder} takes images of {blueprint.channels} channels, those of {data.name} have {channels}: "
            "test it on the data that it was trained on."
        )
    if size != blueprint.resolution:
        raise InvalidInputError(
            f"{stored.folder} takes images of {blueprint.resolution} pixels, those of {data.name} have {size}: load "
            f"them with resolution={blueprint.resolution}, or give the data's name."
        )
    if stored.class_names != data.class_names:
        raise InvalidInputError(
            f"{stored.folder} tells apart {_shown(stored.class_names)}; {data.name} has {_shown(data.class_names)}: "
            "test it on the data that it was trained on."
        )
    if not len(data.test):
        raise InvalidInputError(f"{data.name} has no test images: add some.")


def _shown(names: tuple[str, ...]) -> str:
    first = ", ".join(names[:SHOWN_CLASSES])
    return f"{len(names)} classes ({first}{', ...' if len(names) > SHOWN_CLASSES else ''})"
