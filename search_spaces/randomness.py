"""Random generators derived from (seed, number, purpose), so that no draw depends on what ran before it.

Nothing in this project uses global random state: a generator is made where it is needed and passed on.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch


def derive_seed(seed: int, number: int, purpose: str) -> int:
    """Return a 63-bit seed for one purpose of one numbered step of a run.

    Args:
        seed: the run's seed, zero or larger.
        number: the step (a trial number, an epoch), zero or larger.
        purpose: what the draws are for; different purposes give independent streams.
    """
    sequence = np.random.SeedSequence([seed, number, zlib.crc32(purpose.encode())])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def derive_generator(seed: int, number: int, purpose: str) -> np.random.Generator:
    """Return a numpy generator for one purpose of one numbered step; see `derive_seed`."""
    return np.random.Generator(np.random.PCG64(derive_seed(seed, number, purpose)))


def derive_torch_generator(seed: int, number: int, purpose: str) -> torch.Generator:
    """Return a CPU torch generator for one purpose of one numbered step; see `derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, number, purpose))
