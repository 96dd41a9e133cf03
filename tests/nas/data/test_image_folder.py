"""A user's folder of images: layouts, splits, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import ImageData, load_data
from nas.data.membership import hash_contents
from nas.errors import InvalidInputError

RNG = np.random.default_rng(0)


def _fill(folder: Path, num_images: int, *, size: tuple[int, int] = (6, 6), suffix: str = "png") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i}.{suffix}" for i in range(num_images)]
    for path in paths:
        Image.fromarray(RNG.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A folder of two classes with 40 images each."""
    root = tmp_path / "images"
    for name in ("dog", "cat"):
        _fill(root / name, 40)
    return root


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A folder of two classes with a folder for every split."""
    root = tmp_path / "images"
    for folder, num_images in (("train", 10), ("val", 3), ("test", 4)):
        for name in ("dog", "cat"):
            _fill(root / folder / name, num_images)
    return root


def _sizes(data: ImageData) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def test_a_flat_folder_is_split_by_hash(flat: Path) -> None:
    data = load_data("folder", root=flat)
    assert sum(_sizes(data)) == 80
    assert min(_sizes(data)) >= 5
    assert len(data.train) > 40
    assert data.class_names == ("cat", "dog")
    assert data.input_shape == (3, 6, 6)
    assert data.notes == ()


def test_pixels_and_labels_belong_together(split: Path) -> None:
    data = load_data("folder", root=split)
    paths = [split / "train" / name / f"{i}.png" for name in ("cat", "dog") for i in range(10)]
    assert data.train.labels.tolist() == [0] * 10 + [1] * 10
    for image, path in zip(data.train.images, paths, strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(path)))


def test_files_are_taken_in_the_order_of_their_paths(split: Path) -> None:
    for old, new in (("0", "b1"), ("1", "b10"), ("2", "a2")):
        (split / "val/cat" / f"{old}.png").rename(split / "val/cat" / f"{new}.png")
    paths = [split / "val/cat" / f"{name}.png" for name in ("a2", "b1", "b10")]
    keys = load_data("folder", root=split).validation.keys[:3]
    assert keys.tolist() == hash_contents(path.read_bytes() for path in paths).tolist()


def test_given_splits_are_kept(split: Path) -> None:
    assert _sizes(load_data("folder", root=split)) == (20, 6, 8)


def test_a_missing_test_folder_is_taken_from_train_and_not_from_val(split: Path) -> None:
    shutil.rmtree(split / "test")
    for name in ("dog", "cat"):
        _fill(split / "train" / name, 40)
    data = load_data("folder", root=split)
    assert len(data.validation) == 6
    assert len(data.train) + len(data.test) == 80
    assert len(data.test) >= 5


def test_a_missing_val_folder_is_taken_from_train(split: Path) -> None:
    shutil.rmtree(split / "val")
    for name in ("dog", "cat"):
        _fill(split / "train" / name, 60)
    data = load_data("folder", root=split)
    assert len(data.test) == 8
    assert len(data.train) + len(data.validation) == 120
    assert 0 < len(data.validation) < 30


def test_membership_follows_the_file_and_not_its_name(flat: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed"
    for name in ("dog", "cat"):
        (renamed / name / "deep").mkdir(parents=True)
        for i, path in enumerate(sorted((flat / name).iterdir(), reverse=True)):
            shutil.copy(path, renamed / name / "deep" / f"{i}.PNG")
    first, second = load_data("folder", root=flat), load_data("folder", root=renamed)
    for mine, other in ((first.train, second.train), (first.validation, second.validation), (first.test, second.test)):
        assert set(mine.keys.tolist()) == set(other.keys.tolist())


def test_keys_are_hashes_of_the_files(split: Path) -> None:
    data = load_data("folder", root=split, resolution=4)
    paths = [split / "test" / name / f"{i}.png" for name in ("cat", "dog") for i in range(4)]
    assert data.test.keys.tolist() == hash_contents(path.read_bytes() for path in paths).tolist()


def test_copies_of_held_out_images_are_left_out_and_noted(split: Path) -> None:
    shutil.copy(split / "test/cat/0.png", split / "train/cat/copy.png")
    shutil.copy(split / "val/cat/0.png", split / "train/dog/copy.png")
    shutil.copy(split / "test/dog/0.png", split / "val/dog/copy.png")
    data = load_data("folder", root=split)
    assert _sizes(data) == (20, 6, 8)
    assert data.notes == ("3 images were left out because a held-out split has the very same image",)


def test_copies_in_a_flat_folder_stay_on_one_side(flat: Path) -> None:
    for path in (flat / "dog").iterdir():
        shutil.copy(path, flat / "cat" / f"copy-{path.name}")
    data = load_data("folder", root=flat)
    keys = [set(split.keys.tolist()) for split in (data.train, data.validation, data.test)]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]
    assert sum(_sizes(data)) == 120


def test_images_of_any_size_are_brought_to_the_resolution(flat: Path) -> None:
    _fill(flat / "cat", 50, size=(9, 14))
    data = load_data("folder", root=flat, resolution=5, channels=1)
    assert data.input_shape == (1, 5, 5)


def test_images_of_several_sizes_need_a_resolution(flat: Path) -> None:
    _fill(flat / "dog", 40, size=(9, 9))
    with pytest.raises(InvalidInputError, match=r"differ in size: 6x6, but .* is 9x9\. Give a resolution"):
        load_data("folder", root=flat)


def test_a_limit_decodes_only_what_it_keeps(split: Path) -> None:
    whole = load_data("folder", root=split)
    limited = load_data("folder", root=split, train_limit=4)
    assert limited == whole.with_train_limit(4)
    unused = set(whole.train.keys.tolist()) - set(limited.train.keys.tolist())
    broken = next(p for p in (split / "train").rglob("*.png") if hash_contents([p.read_bytes()]).item() in unused)
    Image.fromarray(np.zeros((7, 7, 3), dtype=np.uint8)).save(broken)
    with pytest.raises(InvalidInputError, match="differ in size"):
        load_data("folder", root=split)


def test_other_and_hidden_files_are_ignored_and_counted(split: Path) -> None:
    (split / "train/cat/notes.txt").touch()
    (split / "val/dog/Thumbs.db").touch()
    (split / "train/cat/._0.png").touch()
    (split / "train/.cache").mkdir()
    data = load_data("folder", root=split)
    assert _sizes(data) == (20, 6, 8)
    assert data.notes == ("3 files that are no images were ignored",)


def test_a_broken_image_is_named(split: Path) -> None:
    (split / "train/cat/3.png").write_bytes(b"broken")
    with pytest.raises(InvalidInputError, match=r"train/cat/3\.png cannot be decoded"):
        load_data("folder", root=split)


def test_a_class_without_images_is_named(split: Path) -> None:
    (split / "train/empty").mkdir()
    with pytest.raises(InvalidInputError, match="train has no images of class empty: add some, or remove it"):
        load_data("folder", root=split)


def test_a_class_that_is_only_held_out_is_named(split: Path) -> None:
    _fill(split / "test/bird", 2)
    with pytest.raises(InvalidInputError, match="test has the class 'bird', which has no training images"):
        load_data("folder", root=split)


def test_a_held_out_split_may_lack_a_class_but_not_all_images(split: Path) -> None:
    shutil.rmtree(split / "val/dog")
    assert _sizes(load_data("folder", root=split)) == (20, 3, 8)
    shutil.rmtree(split / "val/cat")
    with pytest.raises(InvalidInputError, match="val has no images: add some, or remove the folder"):
        load_data("folder", root=split)


def test_held_out_images_without_labels_are_told_of(split: Path) -> None:
    for path in [*(split / "test").rglob("*.png")]:
        path.rename(split / "test" / f"{path.parent.name}{path.name}")
    with pytest.raises(InvalidInputError, match="images in no folder of a class, so they have no labels"):
        load_data("folder", root=split)


def test_fewer_than_two_classes_are_refused_with_the_layout(tmp_path: Path) -> None:
    _fill(tmp_path / "only", 2)
    with pytest.raises(InvalidInputError, match="at least 2 classes, got only: the layout is CLASS/IMAGE"):
        load_data("folder", root=tmp_path)


def test_held_out_folders_without_train_are_no_classes(split: Path) -> None:
    shutil.move(split / "train", split / "training")
    with pytest.raises(InvalidInputError, match="has a folder 'val' but none named 'train'"):
        load_data("folder", root=split)


def test_too_few_images_for_three_splits_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _fill(tmp_path / name, 1)
    with pytest.raises(InvalidInputError, match=r"folder: .* add images"):
        load_data("folder", root=tmp_path)


def test_a_folder_that_is_not_given_or_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="needs the folder of the images: give it as root"):
        load_data("folder")
    with pytest.raises(InvalidInputError, match=r"there is no folder .*nowhere"):
        load_data("folder", root=tmp_path / "nowhere")


def test_the_augmentation_fits_the_resolution(split: Path) -> None:
    assert load_data("folder", root=split, resolution=64).augmentation.crop_padding == 8
    assert not load_data("folder", root=split, resolution=64).augmentation.flip
