"""Every baseline against exact counts, and what every baseline must be able to do.

`tests/golden/baselines/*.json` holds, by name, parameters and MACs on the canonical images, and where they were
counted; a MAC count that no source gives is null.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nas.baselines import Sizes, baselines, find_baseline
from nas.baselines.blueprints import baseline_blueprint, baseline_complexity
from nas.errors import InvalidInputError

GOLDEN = Path(__file__).parents[2] / "golden" / "baselines"
COUNTS = {name: entry for path in sorted(GOLDEN.glob("*.json")) for name, entry in json.loads(path.read_text()).items()}

DEEP = {"cifar-resnet-1202", "preact-resnet-1001"}  # seconds each, and made of the same blocks as shallower ones


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_the_published_code_s(name: str) -> None:
    """Parameters and multiply-accumulates on the images that the network was made for, to the last one."""
    cost = baseline_complexity(baseline_blueprint(name))
    assert cost.params == COUNTS[name]["params"]
    assert COUNTS[name]["macs"] in (cost.macs, None)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in DEEP else ()) for name in baselines()]
)
@pytest.mark.parametrize("resolution", [8, 32, 100])
def test_any_image_size_gives_logits(name: str, resolution: int) -> None:
    """Images of other sizes and channels, on the meta device; what is too small is refused with the smallest size."""
    baseline = find_baseline(name)
    sizes = Sizes(resolution, channels=1, classes=7)
    with torch.device("meta"):
        try:
            network = baseline.make(sizes).eval()
        except InvalidInputError as error:
            network, refusal = None, str(error)
        if network is None:
            assert f"{name} takes images of at least" in refusal
        else:
            assert network(torch.zeros(2, 1, resolution, resolution)).shape == (2, 7)
