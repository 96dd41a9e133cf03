"""Small data for these tests, and where the real reference data is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.data import ImageData, Split

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def make_split() -> Callable[..., Split]:
    """Make a split of random images whose labels go round the classes."""

    def make(num_images: int, *, classes: int = 3, seed: int = 0, channels: int = 1, resolution: int = 4) -> Split:
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (num_images, channels, resolution, resolution), dtype=np.uint8)
        return Split(torch.from_numpy(images), torch.arange(num_images) % classes)

    return make


@pytest.fixture
def make_data(make_split: Callable[..., Split]) -> Callable[..., ImageData]:
    """Make a data set of random images: 30 to train on, 9 for validation, 12 for test, 3 classes."""

    def make(**shape: int) -> ImageData:
        splits = [make_split(num, seed=seed, **shape) for seed, num in enumerate((30, 9, 12))]
        return ImageData("random", *splits, class_names=("a", "b", "c"))

    return make


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Return the folder with real data: NAS_DATA, or the one beside the checkout."""
    folder = Path(os.environ.get("NAS_DATA", CHECKOUT.parent / "shared" / "data"))
    if not (folder / "fashion_mnist").is_dir():
        pytest.skip(f"no reference data in {folder}: set NAS_DATA to a folder with fashion_mnist, mnist and cifar10")
    return folder


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a new folder on this machine; return the folder and its address."""
    folder = tmp_path / "server"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()
        thread.join()
