"""Random changes do what they say, to each image on its own, and nothing else."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from nas.data.augmentation import Augmentation, crop_randomly, cut_out, flip_randomly
from nas.errors import InvalidInputError, UnknownNameError

Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
CHANGES: dict[str, Change] = {
    "crop": lambda images, generator: crop_randomly(images, generator, margin=2),
    "crop-reflect": lambda images, generator: crop_randomly(images, generator, margin=2, padding="reflect"),
    "flip": flip_randomly,
    "cutout": lambda images, generator: cut_out(images, generator, size=3, fill=7),
    "all": Augmentation(crop_padding=2, flip=True, cutout=3).apply,
}


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(num_images: int = 16, channels: int = 3, height: int = 8, width: int = 8) -> torch.Tensor:
    return torch.randint(1, 256, (num_images, channels, height, width), generator=_generator(9), dtype=torch.uint8)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_shape_type_and_memory_format_stay_and_the_input_is_untouched(
    name: str, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    images = _images().to(dtype).contiguous(memory_format=layout)
    before = images.clone()
    changed = CHANGES[name](images, _generator())
    assert (changed.shape, changed.dtype) == (images.shape, dtype)
    assert changed.is_contiguous(memory_format=layout)
    assert torch.equal(images, before)
    assert not torch.equal(changed, images)


@pytest.mark.parametrize("name", CHANGES)
def test_the_generator_decides(name: str) -> None:
    images, before = _images(), torch.get_rng_state()
    first, again, other = (CHANGES[name](images, _generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", CHANGES)
def test_bytes_and_floats_are_changed_alike(name: str) -> None:
    images = _images()
    assert torch.equal(CHANGES[name](images, _generator()).float(), CHANGES[name](images.float(), _generator()))


@settings(deadline=None, max_examples=40)
@given(margin=st.integers(0, 4), seed=st.integers(0, 999), height=st.integers(5, 9), reflect=st.booleans())
def test_every_crop_is_a_window_of_the_padded_image(margin: int, seed: int, height: int, reflect: bool) -> None:
    images = _images(4, 2, height, 7)
    cropped = crop_randomly(images, _generator(seed), margin=margin, padding="reflect" if reflect else "zeros")
    mode = "reflect" if reflect and margin else "constant"
    padded = pad(images.float(), (margin,) * 4, mode=mode).to(torch.uint8)
    for image, whole in zip(cropped, padded, strict=True):
        windows = (whole[:, y : y + height, x : x + 7] for y in range(2 * margin + 1) for x in range(2 * margin + 1))
        assert any(torch.equal(image, window) for window in windows)


def test_crops_reach_every_shift_about_equally_often() -> None:
    """4,500 draws over 9 shifts: 500 each, standard deviation 21; 6 of them are exceeded once in 50 million seeds."""
    images = torch.zeros(4500, 1, 5, 5)
    images[:, :, 2, 2] = 1
    cropped = crop_randomly(images, _generator(), margin=1)
    counts = cropped.sum((0, 1))[1:4, 1:4]
    assert counts.sum() == 4500
    assert (counts - 500).abs().max() < 6 * 21


def test_the_shift_is_drawn_for_each_image_on_its_own() -> None:
    images = _images(1).expand(64, -1, -1, -1)
    assert len({image.numpy().tobytes() for image in crop_randomly(images, _generator(), margin=2)}) > 10


def test_a_margin_of_0_crops_nothing() -> None:
    images = _images()
    assert torch.equal(crop_randomly(images, _generator(), margin=0), images)


def test_a_margin_that_cannot_be_reflected_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="8 pixels cannot be reflected from images of 8x8"):
        crop_randomly(_images(), _generator(), margin=8, padding="reflect")


def test_about_half_of_the_images_are_mirrored_and_the_others_stay() -> None:
    """10,000 draws of probability 1/2: standard deviation 50; 5 of them are exceeded once in two million seeds."""
    images = torch.tensor([0, 1], dtype=torch.uint8).expand(10_000, 1, 3, 2)
    flipped = flip_randomly(images, _generator())
    mirrored = (flipped == images.flip(3)).all((1, 2, 3))
    kept = (flipped == images).all((1, 2, 3))
    assert (mirrored ^ kept).all()
    assert abs(int(mirrored.sum()) - 5000) < 250


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 12), seed=st.integers(0, 999))
def test_cutout_fills_one_square_of_each_image_up_to_the_edge(size: int, seed: int) -> None:
    images = _images(6, 3, 8, 9)
    changed = cut_out(images, _generator(seed), size=size)
    for filled in changed == 0:
        assert torch.equal(filled[0], filled[1])
        rows, columns = filled[0].any(1), filled[0].any(0)
        assert torch.equal(filled[0], rows[:, None] & columns)
        for line, edge in ((rows, 8), (columns, 9)):
            inside = line.nonzero().flatten().tolist()
            assert inside == list(range(inside[0], inside[-1] + 1))
            assert len(inside) == size or (len(inside) < size and (inside[0] == 0 or inside[-1] == edge - 1))


def test_cutout_of_a_pixel_reaches_every_pixel() -> None:
    """900 draws over 9 pixels: one is missed once in 10^45 seeds."""
    changed = cut_out(torch.ones(900, 1, 3, 3), _generator(), size=1)
    assert ((changed == 0).sum((0, 1)) > 50).all()


def test_cutout_fills_each_channel_with_its_own_value_rounded_for_bytes() -> None:
    changed = cut_out(_images(4), _generator(), size=20, fill=(1.4, 2.6, 250))
    assert changed.unique().numel() == 3
    assert changed[0, :, 4, 4].tolist() == [1, 3, 250]


def test_the_default_changes_nothing_and_draws_nothing() -> None:
    images, generator = _images(), _generator()
    before = generator.get_state()
    assert torch.equal(Augmentation().apply(images, generator), images)
    assert torch.equal(generator.get_state(), before)


def test_apply_is_crop_then_flip_then_cutout() -> None:
    images, generator = _images(), _generator(5)
    expected = crop_randomly(images, generator, margin=2, padding="reflect")
    expected = cut_out(flip_randomly(expected, generator), generator, size=3, fill=9)
    augmentation = Augmentation(crop_padding=2, flip=True, cutout=3, padding="reflect")
    assert torch.equal(augmentation.apply(images, _generator(5), fill=9), expected)


def test_scaling_follows_the_size_of_the_images() -> None:
    augmentation = Augmentation(crop_padding=4, flip=True, cutout=8, padding="reflect")
    assert augmentation.scaled(2) == Augmentation(crop_padding=8, flip=True, cutout=16, padding="reflect")
    assert augmentation.scaled(1) == augmentation


@pytest.mark.parametrize("field", ["crop_padding", "cutout"])
@pytest.mark.parametrize("value", [-1, 1.5, True])
def test_sizes_that_are_no_whole_numbers_of_pixels_are_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=f"{field} must be a whole number of pixels >= 0, got {value}"):
        Augmentation(**{field: value})  # type: ignore[arg-type]


def test_unknown_paddings_and_odd_flips_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown padding 'mirror'"):
        Augmentation(padding="mirror")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"flip must be true or false, got 0\.5"):
        Augmentation(flip=0.5)  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_cpu_generator_changes_images_on_a_gpu_as_on_the_cpu(name: str, layout: torch.memory_format) -> None:
    images = _images().contiguous(memory_format=layout)
    on_gpu = CHANGES[name](images.cuda(), _generator())
    assert on_gpu.is_contiguous(memory_format=layout)
    assert torch.equal(on_gpu.cpu(), CHANGES[name](images, _generator()))
    CHANGES[name](images.cuda(), torch.Generator("cuda").manual_seed(0))
