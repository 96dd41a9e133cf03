"""Colour noise: the components of the colours, and the distribution of what is added."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from nas.parts.colour_noise import ColourComponents, add_colour_noise


def images(count: int = 300) -> torch.Tensor:
    """Grey-ish images with some colour, away from black and white."""
    generator = torch.Generator().manual_seed(0)
    grey = torch.randn(count, 1, 4, 4, generator=generator) * 20
    colour = torch.randn(count, 3, 4, 4, generator=generator) * torch.tensor([2.0, 5.0, 9.0]).view(3, 1, 1)
    return (128 + grey + colour).clamp(0, 255).to(torch.uint8)


def test_components_are_those_of_the_covariance() -> None:
    pixels = images().transpose(0, 1).flatten(1).numpy() / 255
    values, vectors = np.linalg.eigh(np.cov(pixels, bias=True))
    found = ColourComponents.of(images())
    assert found.variances == pytest.approx(values[::-1], rel=1e-6)
    for direction, vector in zip(found.directions, vectors.T[::-1], strict=True):
        assert abs(np.dot(direction, vector)) == pytest.approx(1, abs=1e-6)
        assert max(direction, key=abs) > 0


def test_components_go_to_json_and_back() -> None:
    found = ColourComponents.of(images())
    assert ColourComponents.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_noise_has_the_paper_s_variance_along_each_component() -> None:
    """Alpha has standard deviation 0.1; 20,000 draws: five standard deviations of it are 2.5 %."""
    components = ColourComponents((0.9, 0.5), ((1.0, 0.0), (0.0, 1.0)))
    grey = torch.full((20_000, 2, 1, 1), 128, dtype=torch.uint8)
    noise = add_colour_noise(grey, components, torch.Generator().manual_seed(0)).float() - 128
    assert noise.mean().abs() < 1
    spread = noise.std(0).flatten()
    assert spread.tolist() == pytest.approx([0.1 * 0.9 * 255, 0.1 * 0.5 * 255], rel=0.025)


def test_every_pixel_of_an_image_gets_the_same_and_each_image_another() -> None:
    batch = images(20)
    noise = add_colour_noise(batch, ColourComponents((3.0,), ((0.5, 0.6, 0.7),)), torch.Generator().manual_seed(0))
    inside = (batch > 80) & (batch < 170) & (noise > 0) & (noise < 255)
    added = noise.int() - batch.int()
    for image, mask in zip(added[:, 0], inside[:, 0], strict=True):
        assert len(image[mask].unique()) <= 1
    assert len(added[:, 0].flatten(1).median(1).values.unique()) > 10


def test_bytes_stay_bytes_and_the_generator_decides() -> None:
    batch, components = images(4), ColourComponents.of(images())
    before = batch.clone()
    one, same, other = (add_colour_noise(batch, components, torch.Generator().manual_seed(s), std=2) for s in (1, 1, 2))
    assert one.dtype == torch.uint8
    assert one.shape == batch.shape
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(batch, before)
    assert torch.equal(add_colour_noise(batch, components, torch.Generator(), std=0), batch)
    extremes = torch.tensor([0, 255], dtype=torch.uint8).expand(2, 1, 1, 2)
    far = add_colour_noise(extremes, ColourComponents((1e3,), ((1.0,),)), torch.Generator().manual_seed(0))
    assert set(far.flatten().tolist()) <= {0, 255}  # clamped, not wrapped around


def test_grey_images_have_one_component() -> None:
    grey = images()[:, :1]
    assert ColourComponents.of(grey).directions == ((1.0,),)
