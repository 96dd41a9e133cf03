"""The real files, where this machine has them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.data import load_data
from nas.data.cifar import _CIFAR_10
from nas.data.dataset import LoadOptions
from nas.errors import InvalidInputError


@pytest.mark.parametrize(
    ("name", "mean", "std", "fingerprint"),
    [
        ("fashion-mnist", 0.2857, 0.3530, "3c18e304191d1c75bfeaac6dbae1f64248960935317320277a4e165c47b47da1"),
        ("mnist", 0.1306, 0.3080, "4962ee8909f8cf1809be591bc6197d4b14d3f1887053bb97364de40b493e0aa5"),
    ],
)
def test_the_full_sets_load_from_the_folder_that_holds_them(
    reference_data: Path, name: str, mean: float, std: float, fingerprint: str
) -> None:
    data = load_data(name, root=reference_data)
    assert len(data.train) + len(data.validation) == 60_000
    assert len(data.test) == 10_000
    assert abs(len(data.validation) - 6_000) < 6 * 74  # six standard deviations of 60,000 draws of 0.1
    assert data.mean == pytest.approx((mean,), abs=5e-5)
    assert data.std == pytest.approx((std,), abs=5e-5)
    assert data.fingerprint == fingerprint
    assert data.notes == ()


def test_one_set_is_not_taken_for_the_other(reference_data: Path) -> None:
    """They have the same file names, shapes and sizes."""
    with pytest.raises(InvalidInputError, match="it is another data set's, or damaged"):
        load_data("fashion-mnist", root=reference_data / "mnist")


HEAD = "data_batch_1_first4000.bin"
HEAD_OF_CIFAR_10 = replace(_CIFAR_10, files=(HEAD, HEAD), pickles=(HEAD, HEAD), records=(4000, 4000))


def test_official_cifar_10_pixels_are_known(reference_data: Path) -> None:
    pools = HEAD_OF_CIFAR_10.read(LoadOptions(root=reference_data))
    assert pools.notes == ()
    assert pools.train.labels[:8].tolist() == [6, 9, 9, 4, 1, 1, 2, 7]
    images = pools.train.read(torch.arange(4000)).double() / 255
    assert np.allclose(images.mean((0, 2, 3)), (0.4914, 0.4822, 0.4465), atol=0.01)


def test_changed_cifar_10_pixels_are_noted(reference_data: Path, tmp_path: Path) -> None:
    content = bytearray((reference_data / "cifar10" / HEAD).read_bytes())
    content[3073 * 17 + 99] ^= 1
    (tmp_path / HEAD).write_bytes(content)
    assert "not the official ones" in HEAD_OF_CIFAR_10.read(LoadOptions(root=tmp_path)).notes[0]


def test_an_incomplete_cifar_10_is_told(reference_data: Path) -> None:
    with pytest.raises(
        InvalidInputError, match=r"cifar-10: data_batch_1\.bin, .*test_batch\.bin not found\. Looked in"
    ):
        load_data("cifar-10", root=reference_data)
