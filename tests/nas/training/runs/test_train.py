"""`nas train` from end to end: a trained network in a folder, the same after a kill, one line for a mistake."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

import nas
from nas.baselines.airbench import Whitening
from nas.building import build_blueprint
from nas.data import load_data
from nas.errors import InvalidInputError, JournalError, MissingDependencyError, NASError
from nas.finalizing import load_stored
from nas.training.runs.config import TrainingConfig
from nas.training.runs.log import TrainingLog, read_log, read_log_content
from nas.training.runs.run import TrainedRun, load_trained
from nas.training.runs.running import resume_training, train
from nas.training.runs.session import CHECKPOINT, TrainWatcher
from nas.training.runs.source import find_source
from nas.training.step import TrainingStep
from nas.training.training_loop import Training

# All that carries over from epoch to epoch: momentum, the average, the best weights; and all that draws.
CHANGES = {
    **{"epochs": 3, "batch_size": 32, "average": 0.9, "patience": 5, "drop_path": 0.3, "auxiliary_weight": 0.4},
    **{"colour_noise": 0.1, "cutout": 2, "flip_test": True},
}
SMALL: dict[str, Any] = {"train_limit": 100, "depth": 1, "width": 4, "recipe_changes": CHANGES}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """One small finished training."""
    return train("nasnet-a", **SMALL, out=tmp_path_factory.mktemp("trained") / "small")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "best" / "weights.safetensors")


def same(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def story(folder: Path) -> list[dict[str, Any]]:
    """A training's log without its times."""
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in read_log(folder)[1:]]


def test_training_leaves_a_tested_network(run: TrainedRun) -> None:
    assert {path.name for path in run.folder.iterdir()} == {"best", "checkpoints", "config.toml", "training.jsonl"}
    assert [entry["epoch"] for entry in run.epochs] == [1, 2, 3]
    assert {"train_loss", "val_accuracy", "val_loss", "seconds"} <= run.epochs[0].keys()
    assert run.metrics["test_accuracy"] == run.metrics["test_correct"] / run.metrics["test_images"]
    assert sum(p.numel() for p in run.network().parameters()) == run.metrics["params"]
    assert TrainingConfig.from_toml(run.folder / "config.toml") == run.config
    assert load_trained(run.folder) == run


def test_the_stored_network_scores_what_is_written(run: TrainedRun) -> None:
    test = nas.load_data("digits").test
    images = run.best.preprocess(test.images)
    with torch.inference_mode():
        network = run.network()
        logits = network(images) + network(images.flip(3))
    assert int((logits.argmax(1) == test.labels).sum()) == run.metrics["test_correct"]


def test_a_training_repeats_itself(run: TrainedRun, tmp_path: Path) -> None:
    again = train("nasnet-a", **SMALL, out=tmp_path / "again")
    assert same(again.folder, run.folder)
    assert story(again.folder) == story(run.folder)
    other = train("nasnet-a", **SMALL, seed=1, out=tmp_path / "other")
    assert not same(other.folder, run.folder)


KILLED = """
import os, signal, sys
import torch
import torchvision
torch.set_num_threads(1)
from nas.training.optimizers import Optimizers
import nas.training.runs.session as session
from nas.training.runs.running import train

calls = []

def die_at(number, function):
    def called(*arguments, **options):
        calls.append(0)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return called

moment = sys.argv[2]
if moment == "first epoch":
    Optimizers.step = die_at(2, Optimizers.step)
elif moment == "second epoch":
    Optimizers.step = die_at(5, Optimizers.step)
elif moment == "between log and checkpoint":
    session.write_state = die_at(2, session.write_state)
elif moment == "after the last epoch":
    session.store_network = die_at(1, session.store_network)
train("nasnet-a", train_limit=100, depth=1, width=4, recipe_changes=eval(sys.argv[3]), out=sys.argv[1])
"""


@pytest.mark.parametrize(
    ("moment", "begun"),
    [
        ("second epoch", 1),
        pytest.param("first epoch", 0, marks=pytest.mark.slow),
        ("between log and checkpoint", 2),
        ("after the last epoch", 3),
    ],
)
def test_a_killed_training_goes_on_to_the_same_weights(
    run: TrainedRun, tmp_path: Path, moment: str, begun: int
) -> None:
    """Bit for bit; an epoch that was under way is begun again."""
    folder = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), moment, repr(CHANGES)], check=False)
    assert done.returncode == -signal.SIGKILL
    killed = load_trained(folder)
    assert len(killed.epochs) == begun
    assert not killed.metrics
    said: list[str] = []
    resume_training(folder, watcher=TrainWatcher(said=said.append))
    assert same(folder, run.folder)
    assert story(folder) == story(run.folder)
    assert said == ([f"going on after epoch {min(begun, 1) if 'between' in moment else begun}"] if begun else [])


def test_a_finished_training_stays_as_it_is(run: TrainedRun) -> None:
    before = (run.folder / "training.jsonl").read_bytes()
    assert resume_training(run.folder) == run
    assert (run.folder / "training.jsonl").read_bytes() == before


def test_what_decides_the_training_cannot_change(run: TrainedRun) -> None:
    with pytest.raises(InvalidInputError, match="goes on with its own seed"):
        resume_training(run.folder, seed=3)


def test_a_damaged_checkpoint_costs_time_only(run: TrainedRun, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"

    class StopError(Exception):
        pass

    def stop(epoch: Any, epochs: int) -> None:
        if epoch.index == 1:
            raise StopError

    with pytest.raises(StopError):
        train("nasnet-a", **SMALL, out=folder, watcher=TrainWatcher(trained=stop))
    checkpoint = folder / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    resume_training(folder)
    assert same(folder, run.folder)


def test_one_process_writes(tmp_path: Path) -> None:
    log = TrainingLog.create(tmp_path / "one", {"config": {}})
    with pytest.raises(JournalError, match="another process"):
        TrainingLog.reopen(tmp_path / "one", epochs=0)
    log.close()
    TrainingLog.reopen(tmp_path / "one", epochs=0).close()


def test_a_torn_last_line_is_dropped_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    log = TrainingLog.create(tmp_path / "one", {"config": {}})
    log.append({"epoch": 1})
    log.close()
    path = tmp_path / "one" / "training.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"epo')
    assert len(read_log(tmp_path / "one")) == 2
    assert "line 3 of" in read_log_content(tmp_path / "one").repair
    path.write_text(whole.replace('"epoch"', '"epich"') + "{}\n")
    with pytest.raises(JournalError, match="line 2"):
        read_log(tmp_path / "one")


def test_memory_that_ends_halves_the_parts_and_not_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that takes 10 images at once, and a network without batch normalisation: the result is as ever."""
    settings: dict[str, Any] = {
        "train_limit": 100,
        "recipe_changes": {"epochs": 2, "batch_size": 32, "learning_rate": 0.01},
    }
    undisturbed = train("lenet-5", **settings, out=tmp_path / "undisturbed")
    loss, calls = TrainingStep._loss, 0

    def small_card(training: TrainingStep, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 4 and len(images) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return loss(training, images, labels)

    monkeypatch.setattr(TrainingStep, "_loss", small_card)
    said: list[str] = []
    run = train("lenet-5", **settings, out=tmp_path / "small", watcher=TrainWatcher(said=said.append))
    assert run.accumulation == 4
    assert [entry["epoch"] for entry in run.epochs] == [1, 2]
    assert said[-1] == "out of memory: batches of 32 images are computed in parts of 8 from now on"
    expected = weights(undisturbed.folder)
    assert all(torch.allclose(tensor, expected[name], atol=1e-4) for name, tensor in weights(run.folder).items())


def test_a_network_that_never_fits_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*arguments: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr(TrainingStep, "_loss", no_memory)
    with pytest.raises(NASError, match="even with a batch of 1 image"):
        train("lenet-5", train_limit=100, recipe_changes={"epochs": 1, "batch_size": 4}, out=tmp_path / "none")


def test_patience_stops_early(tmp_path: Path) -> None:
    said: list[str] = []
    changes = {"epochs": 30, "patience": 1, "learning_rate": 1e-9}
    run = train(
        "lenet-5", train_limit=50, recipe_changes=changes, out=tmp_path / "a", watcher=TrainWatcher(said=said.append)
    )
    assert len(run.epochs) == 2
    assert "stopped after 2" in said[-1]
    assert run.metrics["val_accuracy"] == run.epochs[0]["val_accuracy"]


def test_tensorboard_logs_are_written(tmp_path: Path) -> None:
    run = train("lenet-5", train_limit=50, recipe_changes={"epochs": 1}, tensorboard=True, out=tmp_path / "a")
    assert list((run.folder / "tensorboard").iterdir())


def test_tensorboard_that_is_missing_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch.utils.tensorboard", "tensorboardX"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match="pip install tensorboard"):
        train("lenet-5", train_limit=50, recipe_changes={"epochs": 1}, tensorboard=True, out=tmp_path / "a")


def test_blueprints_are_trained_from_values_files_and_stored_networks(run: TrainedRun, tmp_path: Path) -> None:
    (tmp_path / "blueprint.json").write_text(json.dumps(run.blueprint.to_json()))
    file = tmp_path / "blueprint.json"
    for network in (run.blueprint, file, str(file), run.best, run.folder / "best"):
        assert find_source(network).network == run.blueprint
    assert same(train(file, train_limit=100, recipe_changes=CHANGES, out=tmp_path / "again").folder, run.folder)


def test_a_blueprint_s_file_is_trained_at_its_own_size_unless_told(tmp_path: Path) -> None:
    """Else a network that was scaled in resolution would be trained as a smaller one."""
    file = tmp_path / "member.json"
    file.write_text(json.dumps(nas.get_blueprint("lenet-5", input_shape=(1, 12, 12), classes=10).to_json()))
    sizes = [
        train(file, train_limit=50, recipe_changes={"epochs": 1}, out=tmp_path / name, **given).blueprint.resolution
        for name, given in (("own", {}), ("told", {"resolution": 10}))
    ]
    assert sizes == [12, 10]


def test_the_best_of_a_search_is_trained_anew(tmp_path: Path) -> None:
    searched = nas.search(
        space="nasnet:blocks=1",
        controller="random",
        trials=2,
        train_limit=100,
        width=4,
        recipe_changes={"epochs": 1},
        out=tmp_path / "search",
    )
    run = train(searched.folder, recipe_changes={"epochs": 1}, out=tmp_path / "trained")
    assert run.best.blueprint == searched.best.blueprint
    assert run.config.train_limit == 100
    assert run.config.recipe == "quick"


def test_weights_of_another_network_are_refused_before_anything_is_written(
    run: TrainedRun, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    """The tensors that differ are named, by shape where they are there."""
    answer = cli("train", "lenet-5", "--weights", run.folder / "best", "--out", tmp_path / "never")
    assert answer.code == 2
    assert "these weights are of another network: " in answer.err
    assert " is missing; " in answer.err
    wide = cli("train", run.config.network, "--width", 8, "--weights", run.folder / "best", "--out", tmp_path / "never")
    assert wide.code == 2
    assert "and should be (" in wide.err
    assert not (tmp_path / "never").exists()


def test_features_keep_every_old_weight(run: TrainedRun, tmp_path: Path) -> None:
    started = train(
        run.blueprint,
        train_limit=100,
        weights=str(run.folder / "best"),
        mode="features",
        recipe_changes={"epochs": 1},
        out=tmp_path / "a",
    )
    old, new = weights(run.folder), weights(started.folder)
    assert {name for name in old if not torch.equal(old[name], new[name])} == {"classifier.weight", "classifier.bias"}
    assert started.best.mean == run.best.mean


def test_fine_tuning_begins_with_the_old_weights(run: TrainedRun, tmp_path: Path) -> None:
    changes = {"epochs": 1, "learning_rate": 1e-9, "weight_decay": 0.0}
    path = run.folder / "best" / "weights.safetensors"
    tuned = train(run.blueprint, train_limit=100, weights=str(path), recipe_changes=changes, out=tmp_path / "a")
    old, new = weights(run.folder), weights(tuned.folder)
    trained = [name for name in old if "running" not in name and "num_batches" not in name]
    assert all(torch.allclose(old[name], new[name], atol=1e-6) for name in trained)


def test_pretrained_weights_are_torchvision_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 32 pixels with a file in the place of the download; the classifier is new, the normalisation ImageNet's."""
    from nas.training.seeding import seeded

    with seeded(0):
        theirs = torchvision.models.resnet18()
    asked: list[str] = []

    def fetch(name: str) -> dict[str, torch.Tensor]:
        asked.append(name)
        state: dict[str, torch.Tensor] = theirs.state_dict()
        return state

    monkeypatch.setattr("nas.baselines.weights.fetch_torchvision_weights", fetch)
    folder = _pictures(tmp_path / "pictures")
    settings: dict[str, Any] = {"data": "folder", "data_root": folder, "resolution": 224, "weights": "pretrained"}
    run = train(
        "resnet-18",
        **settings,
        mode="features",
        recipe_changes={"epochs": 1, "batch_size": 4},
        out=tmp_path / "run",
    )
    new = weights(run.folder)
    assert set(asked) == {"resnet18"}
    assert torch.equal(new[next(iter(build_blueprint(run.blueprint).state_dict()))], theirs.conv1.weight)
    assert run.best.mean == pytest.approx((0.485, 0.456, 0.406))
    with pytest.raises(InvalidInputError, match="try --resolution 224"):
        train("resnet-18", **{**settings, "resolution": 32}, out=tmp_path / "small")
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_of_torchvision_s_is_taken_as_it_is(wrapped: bool, tmp_path: Path) -> None:
    """As `torch.save` writes it, alone or beside an optimizer's state; its 1,000 classes give way to the data's."""
    from nas.training.seeding import seeded

    with seeded(0):
        theirs = torchvision.models.squeezenet1_1().state_dict()
    torch.save({"model": theirs, "epoch": 3} if wrapped else theirs, tmp_path / "squeezenet.pth")
    run = train(
        "squeezenet-1.1",
        data="folder",
        data_root=_pictures(tmp_path / "pictures"),
        resolution=224,
        weights=str(tmp_path / "squeezenet.pth"),
        mode="features",
        recipe_changes={"epochs": 1, "batch_size": 4},
        out=tmp_path / "run",
    )
    names = [name for name in build_blueprint(run.blueprint).state_dict() if not name.startswith("classifier")]
    new, old = weights(run.folder), list(theirs.values())
    assert all(torch.equal(new[name], tensor) for name, tensor in zip(names, old, strict=False))
    assert run.best.mean == pytest.approx((0.485, 0.456, 0.406))
    assert not (tmp_path / "small").exists()


def _pictures(folder: Path) -> Path:
    """Two classes of grey pictures, some for each split."""
    import numpy as np
    from PIL import Image

    for i, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.random.default_rng([i, number]).integers(100 * i, 100 * i + 100, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_first_layers_that_whiten_are_made_for_the_images(tmp_path: Path) -> None:
    """Airbench's first layer gives patches of the training images about unit variance; it is not trained."""
    settings: dict[str, Any] = {"train_limit": 100, "width": 0.1, "recipe": "fast"}
    run = train("airbench94", **settings, recipe_changes={"epochs": 1, "batch_size": 50}, out=tmp_path / "run")
    layer = next(module for module in run.network().modules() if isinstance(module, Whitening))
    data = nas.load_data("digits", train_limit=100)
    patches = torch.nn.functional.unfold(data.normalise(data.train.images), layer.kernel_size).transpose(1, 2)
    filters = layer.weight.detach().flatten(1)[: layer.out_channels // 2]
    assert torch.allclose((patches.flatten(0, 1) @ filters.T).square().mean(0), torch.ones(len(filters)), atol=0.1)


def test_a_users_own_space_is_trained_from_its_copy(tmp_path: Path) -> None:
    """The file may be gone when the training goes on: a copy lies in the folder."""
    source = tmp_path / "own.py"
    source.write_text((Path(__file__).parents[3] / "search_spaces" / "own_net.py").read_text())
    searched = nas.search(
        space=str(source),
        controller="random",
        trials=1,
        train_limit=50,
        recipe_changes={"epochs": 1},
        final_recipe="proxy",
        out=tmp_path / "search",
    )

    class StopError(Exception):
        pass

    def stop(epoch: Any, epochs: int) -> None:
        raise StopError

    source.unlink()
    with pytest.raises(StopError):
        train(searched.folder, recipe_changes={"epochs": 2}, out=tmp_path / "run", watcher=TrainWatcher(trained=stop))
    code = f"""
import torch
import torchvision
torch.set_num_threads(1)
from nas.training.runs.running import resume_training
print(len(resume_training({str(tmp_path / "run")!r}).epochs))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2", done.stderr


def test_ctrl_c_says_how_to_go_on(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: TrainedRun
) -> None:
    whole, folder = Training.run_epoch, tmp_path / "run"

    def interrupted(training: Training) -> Any:
        if training.done == 1:
            raise KeyboardInterrupt
        return whole(training)

    changes = [part for name, value in CHANGES.items() for part in ("--recipe-set", f"{name}={str(value).lower()}")]
    flags = ["--train-limit", 100, "--depth", 1, "--width", 4, *changes]
    with monkeypatch.context() as patch:
        patch.setattr(Training, "run_epoch", interrupted)
        answer = cli("train", "nasnet-a", *flags, "--out", folder)
    assert answer.code == 1
    assert f"Go on with: nas train {folder}" in answer.err
    assert cli("train", folder).code == 0
    assert same(folder, run.folder)


def test_data_is_a_name() -> None:
    with pytest.raises(InvalidInputError, match="data is the name of a data set"):
        train("lenet-5", data=nas.load_data("digits", train_limit=50))


def test_python_refuses_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="no argument 'epochs'; it takes network"):
        train("lenet-5", epochs=3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lenet-6"], "Did you mean 'lenet-5'"),
        (["lenet-5", "--recipe", "quik"], "Did you mean 'quick'"),
        (["lenet-5", "--recipe-set", "average=2"], "average must be in [0, 1)"),
        (["lenet-5", "--mode", "features"], "give --weights as well"),
        (["lenet-5", "--weights", "pretrained"], "no weights that fit lenet-5"),
        (["lenet-5", "--weights", "nowhere"], "nowhere has none"),
        (["lenet-5", "--classes", "3"], "--classes must be at least the 10"),
        (["lenet-5", "--device", "tpu9"], "--device is cpu, cuda or cuda:N"),
        (["missing/blueprint.json"], "there is no file or folder"),
        (["tests"], "holds neither a search, nor a training, nor a stored network"),
        (["timm:vit_tiny_patch16_224"], "made for 224 x 224 pixels, cannot take 8: "),
        (["lenet-5", "--threads", "0"], "--threads must be a whole number >= 1"),
    ],
)
def test_a_mistake_is_one_line(cli: Callable[..., Any], tmp_path: Path, arguments: list[str], said: str) -> None:
    answer = cli("train", *arguments, "--out", tmp_path / "never")
    assert answer.code == 2
    assert said in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert not (tmp_path / "never").exists()


def test_weights_and_layers_that_do_not_fit_leave_no_folder(cli: Callable[..., Any], tmp_path: Path) -> None:
    def refused(network: str, *arguments: object) -> str:
        answer = cli("train", network, "--train-limit", 50, *arguments, "--out", tmp_path / "never")
        assert (answer.code, len(answer.err.splitlines())) == (2, 1), answer.err
        assert not (tmp_path / "never").exists()
        return str(answer.err)

    torch.save(nas.build("lenet-5-modern", input_shape=(1, 8, 8), classes=10).state_dict(), tmp_path / "lenet.pt")
    torch.save(nas.build("squeezenet-1.1", input_shape=(1, 8, 8), classes=7).state_dict(), tmp_path / "squeezenet.pt")
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "theirs.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    whole = (tmp_path / "lenet.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    given = ("lenet-5-modern", "--weights", tmp_path / "lenet.pt")
    assert "unknown layer with weights '99'" in refused(*given, "--freeze-until", 99)
    assert "0.weight is missing" in refused("lenet-5", "--weights", tmp_path / "squeezenet.pt")
    assert "features.0.0.weight is missing" in refused("squeezenet-1.1", *given[1:])
    of_colours = refused("squeezenet-1.1", "--weights", tmp_path / "theirs.pt")
    assert "for images of 3 channels, and these have 1" in of_colours
    for name in ("list.pt", "cut.pt"):
        assert "cannot read weights from" in refused("lenet-5-modern", "--weights", tmp_path / name)
    tuned = cli("train", *given, "--train-limit", 50, "--epochs", 3, "--freeze-until", 2, "--out", tmp_path / "tuned")
    assert tuned.code == 0, tuned.err
    new, old = weights(tmp_path / "tuned"), torch.load(tmp_path / "lenet.pt", weights_only=True)
    assert [name for name in old if torch.equal(new[name], old[name])] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_the_command_trains_and_goes_on(cli: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    flags = ["--train-limit", 50, "--epochs", 2, "--recipe-set", "batch_size=16", "--out", folder]
    answer = cli("train", "lenet-5", *flags)
    assert answer.code == 0
    assert answer.out.startswith("test accuracy ")
    assert "2/2 epochs, loss" in answer.err
    again = cli("train", folder)
    assert (again.code, again.out) == (0, answer.out)
    assert "is finished" in again.err
    refused = cli("train", folder, "--seed", 3)
    assert refused.code == 2
    assert "goes on with its own seed" in refused.err
    occupied = cli("train", "lenet-5", "--out", folder)
    assert occupied.code == 2
    assert "is not empty" in occupied.err
    assert load_stored(folder / "best").blueprint.network == "lenet-5"
    with pytest.raises(InvalidInputError, match="is a baseline"):
        _ = load_stored(folder / "best").architecture


def test_a_network_with_other_parts_is_trained_and_read_again(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """Weight normalisation changes the names of weights, and LSUV looks at images, which reading has none of."""
    parts = ("--part", "activation=silu", "--part", "weight_normalization=weight", "--part", "initialization=lsuv")
    options = ("--data", "digits", "--train-limit", 100, "--epochs", 1, "--width", 0.25)
    answer = cli("train", "resnet-18", *options, *parts, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    stored = load_trained(tmp_path / "run")
    network = stored.network()
    assert any(isinstance(module, nn.SiLU) for module in network.modules())
    images = load_data("digits").test
    right = (network(stored.best.preprocess(images.images)).argmax(1) == images.labels).sum()
    assert int(right) == stored.metrics["test_correct"]


def test_a_search_with_other_parts(tmp_path: Path, cli: Callable[..., Any]) -> None:
    options = ("--data", "digits", "--train-limit", 100, "--trials", 1, "--recipe-set", "epochs=1", "--width", 4)
    answer = cli("search", *options, "--final-recipe", "proxy", "--part", "activation=gelu", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert any(isinstance(module, nn.GELU) for module in nas.load(tmp_path / "run").best.network().modules())
    refused = cli("search", "--part", "activation=gulu", "--out", tmp_path / "other")
    assert refused.code == 2
    assert "Did you mean 'gelu'" in refused.err
