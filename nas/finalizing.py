"""The last mile: retrain a search's best network, measure it once on the test split, and store it.

``best/`` holds everything needed to use the network elsewhere. It is written to one side and moved into place
whole, so a killed process never leaves half of it.
"""

from __future__ import annotations

import json
import shlex
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
from nas.baselines.weights import listed, tensor_differences
from nas.building import build_blueprint, space_of
from nas.data.image_data import ImageData, merge_train_validation, normalise_bytes
from nas.errors import InvalidInputError, NASError, StorageError
from nas.evaluators.training_evaluator import build_seeded
from nas.training.recipe import Recipe
from nas.training.training_loop import Epoch, measure_accuracy, train
from search_spaces.architecture import Architecture, Blueprint
from search_spaces.local_file import SOURCE_FOLDER, save_source
from search_spaces.randomness import derive_seed
from search_spaces.space import SearchSpace

FOLDER = "best"
FORMAT = 1
NETWORK_FILE = "architecture.json"  # in the folder of a stored network
TRAINING_FILE = "training.jsonl"  # in the folder of a training, and in no search's
EXPORTS = {
    "network.py": "the network as one file of plain PyTorch, which imports nothing else",
    "network.onnx": "network and weights as ONNX, for any number of images, which are to be normalised first",
}
VIEWS = {  # by their number
    2: ", each by the mean of `network(x)` and `network(x.flip(3))`, its mirror image",
    10: ", each by the mean over ten crops",
}
_ALONE = """
With torch and safetensors alone, from this folder:

```python
from network import CLASSES, load, preprocess

network = load("weights.safetensors")         # a torch module in evaluation mode
logits = network(preprocess(images))          # uint8 images
```
"""
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
        """The architecture that was found.

        Raises:
            InvalidInputError: the network is a baseline and no architecture of a space.
        """
        if not isinstance(self.blueprint.network, Architecture):
            raise InvalidInputError(f"{self.blueprint.network} is a baseline and no architecture of a search space.")
        return self.blueprint.network

    def network(self) -> nn.Module:
        """Return the network with its trained weights, in evaluation mode.

        A network of a user's own space is built by the file kept in ``space/``: that file is run, as on import.

        Raises:
            NASError: the weights are missing, damaged, or another network's, or the file is another one.
        """
        network = build_blueprint(replace(self.blueprint, auxiliary=False), folder=self.folder)
        path = self.folder / "weights.safetensors"
        try:
            weights = load(path.read_bytes())
        except (OSError, SafetensorError) as error:
            raise NASError(
                f"cannot read the weights in {path}: {error}. Remove {self.folder} and run "
                f"`{_command_again(self.folder.parent)}`: it trains them again."
            ) from None
        differences = tensor_differences(network.state_dict(), weights)
        if differences:
            raise NASError(f"{path} holds weights of another network: {listed(differences)}.")
        network.load_state_dict(weights)
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
    network = build_seeded(space_of(blueprint), blueprint, data=merged, recipe=recipe, seed=seed)
    epoch = train(network, merged, recipe=recipe, seed=seed, device=device, on_epoch=on_epoch)
    metrics = {
        **measure_test(network, merged, recipe),
        "trial": record.trial.number,
        **{name: value for name, value in record.measurement.metrics.items() if name in KEPT_METRICS},
        "train_s": epoch.seconds,
    }
    stored = StoredNetwork(folder / FOLDER, blueprint, merged.mean, merged.std, data.class_names, metrics)
    store_network(stored, network)
    return stored


def measure_test(network: nn.Module, data: ImageData, recipe: Recipe) -> dict[str, float]:
    """Return what a network scores on the test images, measured as its recipe says; to be called once."""
    accuracy = measure_accuracy(network, data, data.test, mirrored=recipe.flip_test, crops=recipe.test_crops)
    views = 2 if recipe.flip_test else recipe.test_crops
    return {
        "test_accuracy": accuracy.share,
        "test_correct": accuracy.correct,
        "test_images": accuracy.images,
        "test_loss": accuracy.loss,
        **({"test_views": views} if views > 1 else {}),
    }


def store_network(stored: StoredNetwork, network: nn.Module, *, source: Path | None = None) -> None:
    """Write a trained network's folder, replacing what is there.

    Args:
        stored: what to write, and where.
        network: whose weights; auxiliary heads are left out.
        source: folder that keeps the file of a user's own space, for a process that does not know that space.

    Raises:
        StorageError: it cannot be written.
    """
    from nas.exporting import export_beside  # which reads stored networks, too

    aside = stored.folder.with_name(f".{FOLDER}-being-written")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        plain = replace(stored.blueprint, auxiliary=False)
        expected = build_blueprint(plain, folder=source).state_dict().keys()
        state = {name: tensor.cpu() for name, tensor in network.state_dict().items() if name in expected}
        # copies: a user's network may use one tensor twice, which the format refuses
        weights = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
        (aside / "weights.safetensors").write_bytes(save(weights))
        space = space_of(plain, folder=source) if isinstance(plain.network, Architecture) else None
        own = space is not None and save_source(space, aside) is not None
        description = _description(stored, space)
        (aside / NETWORK_FILE).write_text(json.dumps(description, indent=2) + "\n")
        (aside / "metrics.json").write_text(json.dumps(stored.metrics, indent=2) + "\n")
        problems = export_beside(replace(stored, folder=aside))
        (aside / "README.md").write_text(_readme(stored, written=aside, own_space=own, problems=problems))
        shutil.rmtree(stored.folder, ignore_errors=True)
        aside.rename(stored.folder)
    except OSError as error:
        run = stored.folder.parent
        raise StorageError(
            f"cannot store the best network in {stored.folder}: {error.strerror}. What was found is kept: "
            f"make room, then `{_command_again(run)}`."
        ) from None


def _command_again(run: Path) -> str:
    """Return the command that goes on with the folder of a search or of a training."""
    return shlex.join(["nas", "train" if (run / TRAINING_FILE).exists() else "resume", str(run)])


def _description(stored: StoredNetwork, space: SearchSpace | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "blueprint": stored.blueprint.to_json(),
        **({"options": space.options(stored.architecture)} if space else {}),
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
        description = json.loads((folder / NETWORK_FILE).read_text())
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


def _readme(stored: StoredNetwork, *, written: Path, own_space: bool, problems: dict[str, str]) -> str:
    metrics, blueprint = stored.metrics, stored.blueprint
    source = (
        f"\n- `{SOURCE_FOLDER}/`: the file that builds it; reading the network back runs this file" if own_space else ""
    )
    files = "".join(f"\n- `{name}`: {what}" for name, what in EXPORTS.items() if (written / name).exists())
    missing = "".join(f"\n- not written as {name}: {reason}" for name, reason in problems.items())
    alone = _ALONE if (written / "network.py").exists() else ""
    shape = f"(batch, {blueprint.channels}, {blueprint.resolution}, {blueprint.resolution})"
    searched = "trial" in metrics
    title = "The best network of this search" if searched else f"{_title(blueprint)}, trained"
    reading = f'nas.load("{stored.folder.parent}").best' if searched else f'load_stored(Path("{stored.folder}"))'
    first = "import nas" if searched else "from pathlib import Path\n\nfrom nas.finalizing import load_stored"
    views = VIEWS.get(int(metrics.get("test_views", 1)), "")
    return f"""# {title}

Test accuracy {metrics["test_accuracy"]:.2%} ({metrics["test_correct"]:.0f} of {metrics["test_images"]:.0f} \
images{views}), {metrics["params"]:,.0f} parameters, {metrics["macs"]:,.0f} multiply-accumulates an image.

- `architecture.json`: what it is, the normalisation of its images, and the names of its classes
- `weights.safetensors`: its weights
- `metrics.json`: what was measured{source}{files}{missing}
{alone}
With this package:

```python
{first}

best = {reading}
network = best.network()                      # a torch module in evaluation mode
logits = network(best.preprocess(images))     # uint8 {shape} -> (batch, {blueprint.classes})
```
"""


def _title(blueprint: Blueprint) -> str:
    return blueprint.network if isinstance(blueprint.network, str) else f"A network of {blueprint.network.space}"
