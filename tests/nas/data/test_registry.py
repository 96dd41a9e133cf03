"""Data sets by name, with nothing heavy imported before it is needed."""

import subprocess
import sys

import pytest

from nas.data import DATASETS, get_dataset, load_data
from nas.errors import InvalidInputError, UnknownNameError


def test_the_known_data_sets() -> None:
    assert list(DATASETS) == ["digits", "mnist", "fashion-mnist", "cifar-10", "cifar-100", "svhn", "folder"]
    assert all(name == dataset.name for name, dataset in DATASETS.items())


@pytest.mark.parametrize("spelling", ["fashion_mnist", "FashionMNIST", "fashion-mnist", "Fashion-MNIST"])
def test_spellings_do_not_matter(spelling: str) -> None:
    assert get_dataset(spelling) is DATASETS["fashion-mnist"]


def test_an_unknown_name_is_told_with_the_nearest_and_all() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown dataset 'cifar-1'\. Did you mean 'cifar-10'\? Known: .*svhn"):
        load_data("cifar-1")


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_tells_what_a_user_asks_before_loading(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.images
    assert dataset.licence
    assert dataset.source
    assert (dataset.shape is None) == (dataset.classes is None) == (name == "folder")


def test_only_folders_have_a_choice_of_channels() -> None:
    assert load_data("digits", channels=1).input_shape == (1, 8, 8)
    with pytest.raises(InvalidInputError, match="digits has 1 channels, got channels=3: leave it out"):
        load_data("digits", channels=3)


def test_options_reach_the_data() -> None:
    data = load_data("digits", resolution=12, train_limit=25)
    assert data.input_shape == (1, 12, 12)
    assert len(data.train) == 25


def test_importing_is_light_and_a_fresh_process_loads_the_same_data() -> None:
    """One process for both: starting one takes seconds."""
    code = """
import sys, nas.data
print([name for name in "torchvision sklearn scipy PIL pandas ray optuna matplotlib".split() if name in sys.modules])
print(nas.data.load_data("digits").fingerprint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", load_data("digits").fingerprint]
