"""The last mile of a search: retrain the best network, measure it once on the test split, and store it.

``best/`` holds everything needed to use the network elsewhere. It is written to one side and moved into place
whole, so a killed process never leaves half of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from controllers.trial import Record
from nas.building import space_of
from nas.data.image_data import ImageData, merge_train_validation, normalise_bytes
from nas.errors import InvalidInputError, NASError, StorageError
from nas.evaluators.training_evaluator import build_seeded
from nas.training.recipe import Recipe
from nas.training.training_loop import Epoch, measure_accuracy, train
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.local_file import SOURCE_FOLDER, save_source
from search_spaces.randomness import derive_seed

FOLDER = "best"
FORMAT = 1
KEPT_METRICS = ("val_accuracy", "params", "macs")  # of the search; a training-free one has no accuracy


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    """A trained network in a folder: what it is, how images reach it, what it scores, and its weights.

    Attributes:
        folder: where it lies.
        blueprint: what it is.
        mean, std: per channel in [0, 1]; images are scaled to [0, 1], then normalised by these.
        class_names: what the logits stand for.
        metrics: ``test_accuracy`` in [0, 1], ``test_correct`` and ``test_images``, ``params``, ``macs`` and more.
    """

    folder: Path
    blueprint: Blueprint
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    metrics: dict[str, float]

    @property
    def architecture(self) -> Architecture:
        """The architecture that was found."""
        assert isinstance(self.blueprint.network, Architecture)
        return self.blueprint.network

    def network(self) -> nn.Module:
        """Return the network with its trained weights, in evaluation mode.

        A network of a user's own space is built by the file kept in ``space/``: that file is run, as on import.

        Raises:
            NASError: the weights are missing, damaged, or another network's, or the file is another one.
        """
        network = space_of(self.blueprint, folder=self.folder).build(self.blueprint)
        path = self.folder / "weights.safetensors"
        try:
            network.load_state_dict(load(path.read_bytes()))
        except (OSError, SafetensorError) as error:
            raise NASError(
                f"cannot read the weights in {path}: {error}. Remove {self.folder} and run "
                f"`nas resume {self.folder.parent}`: it trains them again."
            ) from None
        except RuntimeError as error:
            raise NASError(f"{path} holds weights of another network: {str(error).splitlines()[-1].strip()}") from None
        return network.eval()

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Return uint8 images (batch, channels, height, width) as the float32 that the network takes."""
        return normalise_bytes(images, mean=self.mean, std=self.std)


def finalize(
    record: Record,
    blueprint: Blueprint,
    data: ImageData,
    *,
    recipe: Recipe,
    run_seed: int,
    device: str,
    folder: Path,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> StoredNetwork:
    """Retrain a network on training and validation images, measure it once on the test images, and store it.

    Args:
        record: the trial that won.
        blueprint: its network.
        data: all three splits.
        recipe: how to retrain.
        run_seed: weights and training derive from it.
        device: where to retrain.
        folder: the run's folder; ``best/`` in it is replaced.
        on_epoch: called after each epoch of the retraining.
    """
    seed = derive_seed(run_seed, record.trial.number, "final")
    merged = merge_train_validation(data)
    network = build_seeded(space_of(blueprint), blueprint, recipe=recipe, seed=seed)
    epoch = train(network, merged, recipe=recipe, seed=seed, device=device, on_epoch=on_epoch)
    metrics = _metrics(network, merged, epoch, record)
    stored = StoredNetwork(folder / FOLDER, blueprint, merged.mean, merged.std, data.class_names, metrics)
    _store(stored, network)
    return stored


def _metrics(network: nn.Module, data: ImageData, epoch: Epoch, record: Record) -> dict[str, float]:
    accuracy = measure_accuracy(network, data, data.test)
    return {
        "test_accuracy": accuracy.share,
        "test_correct": accuracy.correct,
        "test_images": accuracy.images,
        "test_loss": accuracy.loss,
        "trial": record.trial.number,
        **{name: value for name, value in record.measurement.metrics.items() if name in KEPT_METRICS},
        "train_s": epoch.seconds,
    }


def _store(stored: StoredNetwork, network: nn.Module) -> None:
    aside = stored.folder.with_name(f".{FOLDER}-being-written")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        plain = replace(stored.blueprint, auxiliary=False)
        space = space_of(plain)
        expected = space.build(plain).state_dict().keys()
        state = {name: tensor.cpu() for name, tensor in network.state_dict().items() if name in expected}
        # copies: a user's network may use one tensor twice, which the format refuses
        weights = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
        (aside / "weights.safetensors").write_bytes(save(weights))
        own = save_source(space, aside) is not None
        (aside / "architecture.json").write_text(json.dumps(_description(stored), indent=2) + "\n")
        (aside / "metrics.json").write_text(json.dumps(stored.metrics, indent=2) + "\n")
        (aside / "README.md").write_text(_readme(stored, own_space=own))
        shutil.rmtree(stored.folder, ignore_errors=True)
        aside.rename(stored.folder)
    except OSError as error:
        run = stored.folder.parent
        raise StorageError(
            f"cannot store the best network in {stored.folder}: {error.strerror}. The search itself is kept: "
            f"make room, then `nas resume {run}`."
        ) from None


def _description(stored: StoredNetwork) -> dict[str, Any]:
    space = space_of(stored.blueprint)
    return {
        "format": FORMAT,
        "blueprint": stored.blueprint.to_json(),
        "options": space.options(stored.architecture),
        "mean": list(stored.mean),
        "std": list(stored.std),
        "class_names": list(stored.class_names),
    }


def load_stored(folder: Path) -> StoredNetwork:
    """Read a stored network.

    Raises:
        InvalidInputError: the folder holds none, or its files cannot be read.
    """
    try:
        description = json.loads((folder / "architecture.json").read_text())
        metrics = json.loads((folder / "metrics.json").read_text())
        if description["format"] != FORMAT:
            raise InvalidInputError(f"{folder} is in format {description['format']!r}; this version reads {FORMAT}.")
        return StoredNetwork(
            folder,
            Blueprint.from_json(description["blueprint"]),
            tuple(description["mean"]),
            tuple(description["std"]),
            tuple(description["class_names"]),
            metrics,
        )
    except FileNotFoundError as error:
        raise InvalidInputError(f"{folder} holds no stored network: {Path(error.filename).name} is missing.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, NASError):
            raise
        raise InvalidInputError(f"the stored network in {folder} cannot be read: {error}.") from None


def _readme(stored: StoredNetwork, *, own_space: bool) -> str:
    metrics, blueprint = stored.metrics, stored.blueprint
    source = (
        f"\n- `{SOURCE_FOLDER}/`: the file that builds it; reading the network back runs this file" if own_space else ""
    )
    shape = f"(batch, {blueprint.channels}, {blueprint.resolution}, {blueprint.resolution})"
    return f"""# The best network of this search

Test accuracy {metrics["test_accuracy"]:.2%} ({metrics["test_correct"]:.0f} of {metrics["test_images"]:.0f} images), \
{metrics["params"]:,.0f} parameters, {metrics["macs"]:,.0f} multiply-accumulates an image.

- `architecture.json`: what it is, the normalisation of its images, and the names of its classes
- `weights.safetensors`: its weights
- `metrics.json`: what was measured{source}

```python
import nas

best = nas.load("{stored.folder.parent}").best
network = best.network()                      # a torch module in evaluation mode
logits = network(best.preprocess(images))     # uint8 {shape} -> (batch, {blueprint.classes})
```
"""
