"""What a split and a data set hold, refuse and derive."""

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from nas.data import ImageData, Split, merge_train_validation
from nas.data.membership import hash_images
from nas.errors import InvalidInputError

MakeSplit = Callable[..., Split]
MakeData = Callable[..., ImageData]


def test_a_split_fills_in_keys_and_digest(make_split: MakeSplit) -> None:
    split = make_split(5)
    assert torch.equal(split.keys, hash_images(split.images))
    assert len(split.digest) == 64


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64), "uint8 tensor.*got torch.float32"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), r"got torch.uint8 \(2, 4, 4\)"),
        (torch.zeros(2, 1, 4, 6, dtype=torch.uint8).mT, torch.zeros(2, dtype=torch.int64), "contiguous"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), r"\(2,\), one per image"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int32), "int64.*got torch.int32"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, -1]), "labels must be >= 0, got -1"),
    ],
)
def test_a_split_refuses_what_is_no_labelled_bytes(images: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Split(images, labels)


def test_a_split_refuses_keys_of_other_images(make_split: MakeSplit) -> None:
    split = make_split(5)
    with pytest.raises(InvalidInputError, match="got 4 for 5"):
        Split(split.images, split.labels, split.keys[:4])


def test_splits_are_equal_when_images_labels_and_order_are(make_split: MakeSplit) -> None:
    split = make_split(5)
    assert split == Split(split.images.clone(), split.labels.clone())
    assert split != split.select(torch.tensor([1, 0, 2, 3, 4]))
    assert split != Split(split.images, (split.labels + 1) % 3)
    assert len({split, make_split(5)}) == 1


def test_select_takes_images_labels_and_keys_together(make_split: MakeSplit) -> None:
    split = make_split(5)
    part = split.select(torch.tensor([4, 1]))
    assert torch.equal(part.images, split.images[[4, 1]])
    assert part.labels.tolist() == [1, 1]
    assert torch.equal(part.keys, hash_images(part.images))


def test_select_keeps_the_keys_of_the_images_as_they_were(make_split: MakeSplit) -> None:
    split = make_split(5)
    resized = Split(255 - split.images, split.labels, split.keys)
    assert torch.equal(resized.select(torch.tensor([3])).keys, split.keys[3:4])


def test_classes_are_counted_even_when_empty(make_split: MakeSplit) -> None:
    assert make_split(7).count_classes(4) == (3, 2, 2, 0)


def test_a_split_travels_by_buffers_that_may_be_read_only(make_split: MakeSplit) -> None:
    """As an object store does it: the pixels are not in the pickle, and what comes out is not writable."""
    split = make_split(50)
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(split, protocol=5, buffer_callback=buffers.append)
    assert len(content) < split.images.numel()
    restored = pickle.loads(content, buffers=[bytes(buffer) for buffer in buffers])
    assert restored == split
    assert torch.equal(restored.images, split.images)
    assert torch.equal(restored.keys, split.keys)


def test_an_image_data_survives_pickling(make_data: MakeData) -> None:
    data = make_data().for_search()
    assert pickle.loads(pickle.dumps(data)) == data


def test_moving_a_split_keeps_keys_and_digest(make_split: MakeSplit) -> None:
    split = make_split(3)
    moved = Split(split.images, split.labels, split.keys + 1, "kept").to("cpu")
    assert moved.digest == "kept"
    assert torch.equal(moved.keys, split.keys + 1)


def test_mean_and_deviation_are_those_of_the_training_images(make_data: MakeData) -> None:
    data = make_data(channels=3)
    scaled = data.train.images.double() / 255
    assert data.mean == pytest.approx(scaled.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert data.std == pytest.approx(scaled.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_statistics_are_exact_over_several_chunks() -> None:
    """2,500 images are counted in three parts; half black and half white gives one half and one half."""
    images = torch.zeros(2500, 1, 2, 2, dtype=torch.uint8)
    images[::2] = 255
    split = Split(images, torch.arange(2500) % 2)
    data = ImageData("grey", split, split, split, class_names=("a", "b"))
    assert (data.mean, data.std) == ((0.5,), (0.5,))


def test_other_splits_do_not_move_the_statistics(make_data: MakeData, make_split: MakeSplit) -> None:
    data = make_data()
    other = replace(data, validation=make_split(9, seed=8), test_split=make_split(12, seed=9))
    assert (other.mean, other.std) == (data.mean, data.std)


def test_a_constant_channel_can_be_normalised() -> None:
    split = Split(torch.full((2, 1, 2, 2), 51, dtype=torch.uint8), torch.tensor([0, 1]))
    data = ImageData("flat", split, split, split, class_names=("a", "b"))
    assert data.std == (1.0,)
    assert torch.allclose(data.normalise(split.images), torch.zeros(()), atol=1e-7)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_normalised_training_images_have_mean_0_and_deviation_1(
    make_data: MakeData, layout: torch.memory_format
) -> None:
    data = make_data(channels=3)
    images = data.train.images.contiguous(memory_format=layout)
    before = images.clone()
    normal = data.normalise(images)
    assert normal.dtype == torch.float32
    assert normal.is_contiguous(memory_format=layout)
    assert torch.allclose(normal.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(normal.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    assert torch.equal(images, before)


@pytest.mark.parametrize("field", ["train", "validation", "test_split"])
def test_the_fingerprint_follows_every_split(make_data: MakeData, make_split: MakeSplit, field: str) -> None:
    data = make_data()
    assert replace(data, **{field: make_split(30, seed=9)}).fingerprint != data.fingerprint


def test_the_fingerprint_is_about_images_and_not_about_names(make_data: MakeData) -> None:
    assert replace(make_data(), name="other").fingerprint == make_data().fingerprint


def test_swapping_validation_and_test_is_other_data(make_data: MakeData) -> None:
    data = make_data()
    swapped = replace(data, validation=data.test, test_split=data.validation)
    assert swapped.fingerprint != data.fingerprint


def test_a_search_gets_no_test_images_and_the_same_fingerprint(make_data: MakeData) -> None:
    data = make_data()
    seen = data.for_search()
    assert seen.test_split is None
    assert seen.fingerprint == data.fingerprint
    assert (seen.train, seen.validation, seen.mean) == (data.train, data.validation, data.mean)
    assert len(data.test) == 12
    with pytest.raises(InvalidInputError, match="test images of random are held back from a search"):
        _ = seen.test


def test_limiting_and_holding_back_commute(make_data: MakeData) -> None:
    data = make_data()
    assert data.with_train_limit(6).for_search() == data.for_search().with_train_limit(6)


def test_a_limit_keeps_classes_even_and_leaves_the_other_splits(make_data: MakeData) -> None:
    data = make_data()
    limited = data.with_train_limit(7)
    assert sorted(limited.train.count_classes(3)) == [2, 2, 3]
    assert (limited.validation, limited.test) == (data.validation, data.test)
    assert limited.fingerprint != data.fingerprint
    assert limited.mean != data.mean


def test_a_limit_that_limits_nothing_changes_nothing(make_data: MakeData) -> None:
    data = make_data()
    assert data.with_train_limit(None) is data
    assert data.with_train_limit(30) == data
    assert data.with_train_limit(31) == data


def test_a_limit_chooses_by_key_and_not_by_stored_pixels(make_data: MakeData) -> None:
    """Resized images keep the keys of the originals, so that a proxy trains on the same images at every size."""
    data = make_data()
    inverted = Split(255 - data.train.images, data.train.labels, data.train.keys)
    chosen = replace(data, train=inverted).with_train_limit(6)
    assert torch.equal(255 - chosen.train.images, data.with_train_limit(6).train.images)


def test_merging_adds_validation_to_train_and_leaves_test(make_data: MakeData) -> None:
    data = make_data()
    merged = merge_train_validation(data)
    assert torch.equal(merged.train.images, torch.cat([data.train.images, data.validation.images]))
    assert torch.equal(merged.train.labels, torch.cat([data.train.labels, data.validation.labels]))
    assert torch.equal(merged.train.keys, torch.cat([data.train.keys, data.validation.keys]))
    assert len(merged.validation) == 0
    assert merged.test == data.test
    assert merged.mean != data.mean


def test_merging_keeps_the_test_images_held_back(make_data: MakeData) -> None:
    assert merge_train_validation(make_data().for_search()).test_split is None


def test_the_data_knows_its_shape_and_classes(make_data: MakeData) -> None:
    data = make_data(channels=3, resolution=6)
    assert data.input_shape == (3, 6, 6)
    assert data.classes == 3


def test_no_training_images_is_an_error(make_data: MakeData) -> None:
    data = make_data()
    with pytest.raises(InvalidInputError, match="random has no training images"):
        replace(data, train=data.train.select(torch.empty(0, dtype=torch.int64)))


def test_splits_of_different_shapes_are_refused(make_data: MakeData, make_split: MakeSplit) -> None:
    with pytest.raises(InvalidInputError, match=r"of one shape, got \(1, 4, 4\) and \(1, 6, 6\)"):
        replace(make_data(), validation=make_split(3, resolution=6))


def test_images_that_are_not_square_are_refused() -> None:
    split = Split(torch.zeros(2, 1, 4, 6, dtype=torch.uint8), torch.tensor([0, 1]))
    with pytest.raises(InvalidInputError, match="must be square"):
        ImageData("wide", split, split, split, class_names=("a", "b"))


def test_labels_beyond_the_classes_are_refused(make_data: MakeData, make_split: MakeSplit) -> None:
    with pytest.raises(InvalidInputError, match="below its 3 classes, got 3"):
        replace(make_data(), test_split=make_split(8, classes=4))


def test_values_cannot_be_changed(make_data: MakeData) -> None:
    with pytest.raises(FrozenInstanceError):
        make_data().name = "other"  # type: ignore[misc]


def test_the_summary_tells_what_is_there_without_the_images(make_data: MakeData) -> None:
    data = make_data()
    summary = data.summary()
    assert summary["images"] == {"train": 30, "validation": 9, "test": 12}
    assert data.for_search().summary()["images"] == {"train": 30, "validation": 9}
    assert summary["fingerprint"] == data.fingerprint
    assert summary["mean"] == list(data.mean)


def test_printing_a_split_does_not_print_pixels(make_split: MakeSplit) -> None:
    assert repr(make_split(5)).startswith("Split(5 images 1x4x4, ")


def test_the_fingerprint_is_that_of_the_first_version() -> None:
    """A change here makes every stored run refuse its own data."""
    images = torch.from_numpy(np.arange(64, dtype=np.uint8).reshape(4, 1, 4, 4))
    split = Split(images, torch.tensor([0, 1, 0, 1]))
    data = ImageData("tiny", split, split, split, class_names=("a", "b"))
    assert data.fingerprint == "6a02885e0d9104dc4b56a28be79048fd380703e61c93e380256b56be2fba060e"
